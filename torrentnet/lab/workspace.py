"""Private directories for files that live as long as this process.

Each process has one directory in each home that it uses, below ``programs/`` of the home's state folder, with a lock
that its death releases. The process removes its directory when it ends; a directory whose lock is free was left behind
by a process that was killed, and goes with the next start.

Tested by tests/unit/lab/test_workspace.py.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from torrentnet.lab.errors import system_error
from torrentnet.lab.paths import lab_home, state_folder

FOLDER: Final = "programs"
_LOCK: Final = "lock"
_STAGED: Final = ".new-"
"""Prefix of a directory that has no lock yet."""
_GRACE: Final = 60.0
"""Seconds after which a directory without a lock is not being made any more."""


class Workspace:
    """A directory of this process's own, which is made when it is first needed."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._path: Path | None = None
        self._process = os.getpid()
        self._lock = -1

    def new_folder(self) -> Path:
        """Return a new, empty folder. Raises LabError where none can be made."""
        try:
            return Path(tempfile.mkdtemp(dir=self._directory()))
        except OSError as error:
            raise system_error(error) from error

    def keep(self, folder: Path, name: str) -> Path:
        """Give a folder the name of its content, and return it.

        Where a folder of that name exists, the new one is removed: it has the same content.
        """
        kept = self._directory() / name
        with contextlib.suppress(OSError):
            folder.rename(kept)
        if not kept.is_dir():
            return folder
        remove_folder(folder)
        return kept

    def _directory(self) -> Path:
        if self._path is None or not self._path.is_dir():
            remove_stale(self._parent)
            self._parent.mkdir(parents=True, exist_ok=True)
            staged = Path(tempfile.mkdtemp(prefix=_STAGED, dir=self._parent))
            self._lock = os.open(staged / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._path = staged.rename(self._parent / f"{self._process}-{staged.name.removeprefix(_STAGED)}")
        return self._path

    def close(self) -> None:
        """Remove the directory. A copy of this process, made by fork, removes nothing."""
        if self._path is None or self._process != os.getpid():
            return
        remove_folder(self._path)
        os.close(self._lock)
        self._path = None
        for parent in (self._parent, self._parent.parent):
            with contextlib.suppress(OSError):
                parent.rmdir()


_workspaces: Final[dict[tuple[int, Path], Workspace]] = {}
"""By process and home."""


def workspace() -> Workspace:
    """Return this process's workspace in the lab's home."""
    parent = state_folder(lab_home()) / FOLDER
    found = _workspaces.get((os.getpid(), parent))
    if found is None:
        found = _workspaces[os.getpid(), parent] = Workspace(parent)
        atexit.register(found.close)
    return found


def remove_stale(parent: Path) -> None:
    """Remove this user's workspaces whose process has ended without removing them."""
    with contextlib.suppress(OSError):
        for path in list(parent.iterdir()):
            with contextlib.suppress(OSError):
                if path.lstat().st_uid == os.getuid() and path.is_dir() and not path.is_symlink() and _is_stale(path):
                    remove_folder(path)


def _is_stale(path: Path) -> bool:
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - path.stat().st_mtime > _GRACE
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def remove_folder(folder: Path) -> None:
    """Remove a folder as far as possible, folders without write permission included."""
    for path, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)
