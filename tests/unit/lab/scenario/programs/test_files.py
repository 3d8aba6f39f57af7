"""Copies of a program's folder."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.scenario.programs import files
from torrentnet.lab.scenario.programs.files import ProgramFilesError, copy_folder, measure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "tracker.py").write_text("print()")
    (folder / "peer").write_text("#!/bin/sh\n")
    (folder / "peer").chmod(0o755)
    return folder


def copied(source: Path, tmp_path: Path) -> dict[str, bytes]:
    target = tmp_path / "copy"
    target.mkdir(exist_ok=True)
    copy_folder(source, "mine", target)
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def refused(source: Path, tmp_path: Path) -> str:
    with pytest.raises(ProgramFilesError) as caught:
        copied(source, tmp_path)
    assert caught.value.exit_code == 2
    return caught.value.message


def test_files_keep_their_content_and_permission_to_run(source: Path, tmp_path: Path) -> None:
    assert copied(source, tmp_path) == {"src/tracker.py": b"print()", "peer": b"#!/bin/sh\n"}
    assert os.access(tmp_path / "copy" / "peer", os.X_OK)
    assert not os.access(tmp_path / "copy" / "src" / "tracker.py", os.X_OK)


def test_caches_and_version_control_are_left_out(source: Path, tmp_path: Path) -> None:
    for name in sorted(files.SKIPPED):
        (source / "src" / name).mkdir()
        (source / "src" / name / "large").write_bytes(b"x" * 1000)
    assert set(copied(source, tmp_path)) == {"src/tracker.py", "peer"}


def test_a_link_inside_becomes_the_file(source: Path, tmp_path: Path) -> None:
    (source / "tracker.py").symlink_to("src/tracker.py")
    assert copied(source, tmp_path)["tracker.py"] == b"print()"
    assert not (tmp_path / "copy" / "tracker.py").is_symlink()


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "nothing", "src", "loop"])
def test_other_links_are_refused(target: str, source: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (source / "loop").symlink_to(target)
    assert refused(source, tmp_path) == "mine: `loop` is a link that leads to no file of this folder"


def test_a_socket_is_refused(source: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "s"))
        assert refused(source, tmp_path) == "mine: `s` is neither a file nor a folder"


def test_too_many_bytes_are_refused(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 2**20)
    with (source / "zeros").open("wb") as sparse:
        sparse.truncate(2**40)
    message = refused(source, tmp_path)
    assert message == "mine: there are more than 1 MiB of files; the limit was passed in `zeros`"


def test_too_many_files_are_refused(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_ENTRIES", 20)
    for number in range(20):
        (source / f"{number}").touch()
    assert refused(source, tmp_path) == "mine: there are more than 20 files and folders"


def test_a_name_with_a_control_character_is_refused(source: Path, tmp_path: Path) -> None:
    (source / "a\x1b[2Jb").touch()
    assert refused(source, tmp_path) == r"mine: the name `a\x1b[2Jb` has a character that cannot be printed"


def test_the_digest_depends_on_names_contents_and_permissions(source: Path) -> None:
    first = measure(source)
    assert first[1] == len(b"print()") + len(b"#!/bin/sh\n")
    assert measure(source) == first
    found = {first[0]}
    (source / "peer").chmod(0o644)
    found.add(measure(source)[0])
    (source / "peer").rename(source / "reep")
    found.add(measure(source)[0])
    (source / "reep").write_text("other")
    found.add(measure(source)[0])
    (source / "empty").mkdir()
    found.add(measure(source)[0])
    assert len(found) == 5
