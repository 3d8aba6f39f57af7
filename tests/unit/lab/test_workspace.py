"""Private directories of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.workspace import Workspace, remove_folder, remove_stale

if TYPE_CHECKING:
    from pathlib import Path

WAIT = """
import sys, pathlib
from torrentnet.lab.workspace import Workspace
made = Workspace(pathlib.Path(sys.argv[1]))
(made.new_folder() / "file").write_text("x")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    return tmp_path / "state" / "programs"


def test_nothing_is_made_before_it_is_needed(parent: Path) -> None:
    Workspace(parent).close()
    assert not parent.exists()


def test_folders_are_removed_at_the_end(parent: Path) -> None:
    made = Workspace(parent)
    folder = made.new_folder()
    (folder / "file").write_text("x")
    kept = made.keep(folder, "digest")
    assert (kept / "file").read_text() == "x"
    made.close()
    assert not parent.parent.exists()


def test_the_same_content_is_kept_once(parent: Path) -> None:
    made = Workspace(parent)
    first = made.keep(made.new_folder(), "digest")
    second = made.new_folder()
    assert made.keep(second, "digest") == first
    assert not second.exists()
    made.close()


def test_a_killed_process_leaves_nothing_after_the_next_start(parent: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    remove_stale(parent)
    assert len(list(parent.iterdir())) == 1, "the folder of a process that runs is kept"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(list(parent.iterdir())) == 1
    made = Workspace(parent)
    made.new_folder()
    assert [path.name.partition("-")[0] for path in parent.iterdir()] == [str(os.getpid())]
    made.close()


def test_a_copy_of_the_process_removes_nothing(parent: Path) -> None:
    made = Workspace(parent)
    folder = made.new_folder()
    child = os.fork()
    if child == 0:
        made.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert folder.exists()
    made.close()


def test_folders_without_permission_are_removed(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").touch()
    (tmp_path / "a" / "b").chmod(0)
    (tmp_path / "a").chmod(0o500)
    remove_folder(tmp_path / "a")
    assert not (tmp_path / "a").exists()
