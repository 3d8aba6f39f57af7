"""``torrentnet.yaml``: what it says, and a golden text for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.lab import golden
from torrentnet.lab.errors import ScenarioError
from torrentnet.lab.scenario.programs.manifest import read_manifest

WRONG = Path(__file__).parent / "wrong"
NAMES = sorted(path.stem for path in WRONG.glob("*.yaml"))

JAVA = """\
image: eclipse-temurin:21
addresses: machine
build: mkdir -p out && javac -d out $(find src -name '*.java')
tracker: java -cp out Tracker {ip}:{port}
share: java -cp out Peer share {file} {tracker} {listen}
get: java -cp out Peer get {file} {tracker} {listen}
ready: 15s
says: {request logs: all  logs}
"""


def test_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "torrentnet.yaml"
    path.write_text(JAVA)
    manifest = read_manifest(path, "torrentnet.yaml")
    assert manifest.image == "eclipse-temurin:21"
    assert manifest.build == "mkdir -p out && javac -d out $(find src -name '*.java')"
    assert manifest.ready == 15.0
    assert manifest.says == (("request logs", "all  logs"),)
    assert manifest.run is None


def test_a_build_may_have_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "torrentnet.yaml"
    path.write_text("build: |\n  make clean\n  make\nrun: ./server\n")
    assert read_manifest(path, "torrentnet.yaml").build == "make clean\nmake\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_file_has_these_errors(name: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_manifest(WRONG / f"{name}.yaml", "mine.zip/torrentnet.yaml")
    golden.check(f"{name}.txt", f"{caught.value}\n", WRONG)
    assert caught.value.exit_code == 2


def test_a_file_of_100_megabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "torrentnet.yaml"
    with path.open("wb") as sparse:
        sparse.write(b"a: b\n")
        sparse.truncate(100 * 2**20)
    with pytest.raises(ScenarioError, match="the file is larger than 256 KiB") as caught:
        read_manifest(path, "torrentnet.yaml")
    assert "a few lines of text" in caught.value.message
