"""The image's tag changes with what goes into it, and with nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from torrentnet.lab.engines.docker.image import REPOSITORIES, SOURCES, source_hash, sources, tag_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("torrentnet/wire", "torrentnet/lab/engines", "docker", "scripts"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("Dockerfile", "tracker.py", "torrentnet/wire/udp.py", "torrentnet/lab/cli.py", "docker/launch"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "name", ["Dockerfile", "tracker.py", "torrentnet/wire/udp.py", "torrentnet/wire/new.py", "peer.py"]
)
def test_a_change_gives_another_tag(tree: Path, name: str) -> None:
    before = source_hash(tree)
    (tree / name).write_text("other", encoding="utf-8")
    assert source_hash(tree) != before


def test_a_right_to_run_gives_another_tag(tree: Path) -> None:
    before = source_hash(tree)
    (tree / "docker/launch").chmod(0o755)
    assert source_hash(tree) != before


@pytest.mark.parametrize(
    "name", ["torrentnet/lab/cli.py", "torrentnet/lab/engines/x.py", "README.md", "torrentnet/x.pyc"]
)
def test_what_is_not_in_the_image_does_not(tree: Path, name: str) -> None:
    before = source_hash(tree)
    (tree / name).write_text("other", encoding="utf-8")
    assert source_hash(tree) == before


def test_all_that_the_dockerfile_copies_counts() -> None:
    copied = re.findall(
        r"^COPY (?!--from)(?:--\S+ )*(.+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    names = [name for line in copied for name in line.split()[:-1]]
    assert names
    assert all(name.split("/")[0] in SOURCES for name in names)
    assert not [path for path in sources(ROOT) if "lab" in path.relative_to(ROOT).parts]


def test_each_target_of_the_dockerfile_has_a_repository_of_its_own() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(REPOSITORIES) <= targets
    tags = {tag_of(ROOT, target) for target in REPOSITORIES}
    assert tags == {f"torrentnet:{source_hash(ROOT)}", f"torrentnet-clients:{source_hash(ROOT)}"}
