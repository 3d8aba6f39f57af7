"""Programs at a path: a folder, an archive, an image."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab import golden
from torrentnet.lab.errors import LabError
from torrentnet.lab.scenario.programs.found import find_program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def submission(tmp_path: Path) -> Path:
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "tracker.py").write_text("print()")
    (folder / "peer.py").write_text("print()")
    return folder


def test_a_folder_is_copied(submission: Path) -> None:
    found = find_program(submission)
    assert found.folder is not None
    assert found.folder != submission
    (submission / "tracker.py").write_text("changed")
    assert (found.folder / "tracker.py").read_text() == "print()"
    assert found.size == 14


def test_the_same_content_is_kept_once(submission: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        for name in ("tracker.py", "peer.py"):
            made.write(submission / name, f"wrapped/{name}")
    first, second = find_program(submission), find_program(tmp_path / "a.zip")
    assert first.folder == second.folder
    assert first.digest == second.digest
    assert len(first.digest) == 64


def test_an_image_needs_command_lines_from_elsewhere() -> None:
    found = find_program("image:example/client:2.0", commanded=True)
    assert (found.image, found.folder, found.digest) == ("example/client:2.0", None, "")


def test_nothing_is_left_of_what_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    before = find_program_folders()
    with pytest.raises(LabError):
        find_program(tmp_path / "empty")
    assert find_program_folders() == before


def find_program_folders() -> set[Path]:
    from torrentnet.lab.workspace import workspace

    folder = workspace().new_folder()
    names = set(folder.parent.iterdir()) - {folder}
    folder.rmdir()
    return names


def test_what_is_no_program_is_said(submission: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "empty").mkdir()
    lines = []
    for path in (
        "nothing",
        "submission/tracker.py",
        "notes.txt",
        "empty",
        "/dev/null",
        "a\0b",
        "image:Not An Image",
        "image:example/client",
        "x" * 5000,
    ):
        with pytest.raises(LabError) as caught:
            find_program(path, "--peers")
        assert caught.value.exit_code == 2
        lines += [f"# {path[:40]!r}", caught.value.message, f"    {caught.value.hint}", ""]
    golden.check("programs_at_no_path.txt", "\n".join(lines))
