"""Other forms of the right program run; hostile archives are refused."""

from __future__ import annotations

import shlex
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.submissions.attacks import ATTACKS, NODE_USER
from tests.submissions.catalogue import PLAIN
from tests.submissions.forms import FORMS, HOSTILE_TARS, HOSTILE_ZIPS, hostile_tar, hostile_zip, tar_of, zip_of
from tests.submissions.rig import Node, wait_for
from torrentnet.lab.errors import UsageError
from torrentnet.lab.scenario.programs.files import ProgramFilesError
from torrentnet.lab.scenario.programs.found import find_program

if TYPE_CHECKING:
    from pathlib import Path

CAUSES = {
    "symbolic_link": "`secret.py` is a link",
    "link_to_a_folder": "`data` is a link",
    "hard_link": "`secret.py` is a link",
    "device": "`zero` is neither a file nor a folder",
    "fifo": "`pipe` is neither a file nor a folder",
    "dotdot": "`../escaped.py` leads out of the folder",
    "absolute": "`/tmp/escaped.py` is an absolute path",
    "deep_dotdot": "`src/../../escaped.py` leads out of the folder",
    "zip_symbolic_link": "`secret.py` is a link",
    "bomb": "more than 50 MiB of files; the limit was passed in `zeros.bin`",
    "many_members": "more than 5000 files and folders",
    "overlapping_size": "the archive is damaged: Bad CRC-32",
}
COMMANDS = {
    "nested_in_odd_case": "python3 Peer.py get {file} {tracker} {listen}",
    "own_command_lines": "python3 src/node.py -n {name} get {file} {tracker} {listen}",
}
NESTED = {"tracker": "Projekt/SRC/Tracker.py {ip}:{port}"} | {
    action: f"Projekt/SRC/Peer.py {action} {{file}} {{tracker}} {{listen}}" for action in ("share", "get")
}


@pytest.mark.parametrize(("name", "folder"), [("nested_in_odd_case", "."), ("own_command_lines", "tmp")])
def test_a_form_moves_a_file_by_its_own_command_lines(name: str, folder: str, tmp_path: Path) -> None:
    program = FORMS[name].write(tmp_path / "program")
    manifest = program / "torrentnet.yaml"
    commands = yaml.safe_load(manifest.read_text()) if manifest.exists() else NESTED
    ip = {"nested_in_odd_case": "127.251.1", "own_command_lines": "127.251.2"}[name]
    nodes = []

    def start(role: str, number: int) -> Node:
        data = tmp_path / role / folder
        data.mkdir(parents=True)
        if role == "share":
            (data / "a.txt").write_text("Hello, world!\n")
        line = commands[role].format(
            ip=f"{ip}.1",
            port=6771,
            tracker=f"{ip}.1:6771",
            listen=f"{ip}.{number}:6881",
            name=role,
            file="a.txt",
        )
        words = [
            str(program / word) if word.endswith(".py") else word for word in shlex.split(line) if word != "python3"
        ]
        nodes.append(Node(words, tmp_path / role, f"{ip}.{number}:6881"))
        return nodes[-1]

    try:
        tracker = start("tracker", 1)
        assert wait_for(lambda: "tracker at" in tracker.text, 30)
        start("share", 2)
        leecher = start("get", 3)
        assert wait_for((tmp_path / "get" / folder / "a.txt").exists, 60)
        command = "all logs" if manifest.exists() else "request logs"
        assert "a.txt" in tracker.type(command, lambda text: "a.txt" in text, 30)
        assert f"{ip}.2:6881" in leecher.type(command, lambda text: "part 0" in text, 30)
    finally:
        for node in nodes:
            node.close()


def test_archives_have_the_files_of_the_folder(tmp_path: Path) -> None:
    texts = PLAIN.texts()
    with zipfile.ZipFile(zip_of(PLAIN, tmp_path / "a.zip")) as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == texts
    with tarfile.open(tar_of(PLAIN, tmp_path / "a.tar.gz")) as packed:
        assert sorted(packed.getnames()) == sorted(texts)


@pytest.mark.parametrize("kind", HOSTILE_TARS)
def test_a_hostile_tar_is_refused_with_its_cause(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ProgramFilesError, match=CAUSES[kind]):
        find_program(hostile_tar(kind, PLAIN, tmp_path / "a.tar.gz"))
    assert not list(tmp_path.parent.rglob("escaped.py"))


@pytest.mark.parametrize("kind", HOSTILE_ZIPS)
def test_a_hostile_zip_is_refused_with_its_cause(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ProgramFilesError, match=CAUSES[kind]):
        find_program(hostile_zip(kind, PLAIN, tmp_path / "a.zip"))
    assert not list(tmp_path.parent.rglob("escaped.py"))


@pytest.mark.parametrize("name", ["nested_in_odd_case", "own_command_lines"])
def test_a_form_is_found_in_its_archives(name: str, tmp_path: Path) -> None:
    found = [
        find_program(zip_of(FORMS[name], tmp_path / "a.zip")),
        find_program(tar_of(FORMS[name], tmp_path / "a.tar.gz")),
    ]
    assert found[0].digest == found[1].digest
    assert found[0].manifest is not None
    assert found[0].manifest.get == COMMANDS[name]


@pytest.mark.parametrize(("name", "cause"), [("ambiguous", "2 folders have"), ("no_tracker", "there is `peer.py`")])
def test_a_form_that_cannot_be_told_is_refused(name: str, cause: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=cause):
        find_program(FORMS[name].write(tmp_path / "program"))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_compiles_and_is_carried_out_for_one_user_only(name: str) -> None:
    text = ATTACKS[name].texts()["peer.py"]
    compile(text, "peer.py", "exec")
    assert text.count("attack()") == 2
    assert f'if action == "get" and os.getuid() == {NODE_USER}:' in text
