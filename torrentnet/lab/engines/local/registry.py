"""The registry of this user's labs on this machine.

Each lab has one directory, in a base directory at a fixed place.

The base directory's path is short: the nodes' console sockets are in this directory, and a socket's path has 107 bytes
at most. The nodes' own directories, which may be large, are in the lab's home.

A lab's processes and namespaces cannot outlive its supervisor; files can. At the start of any lab, the files of labs
whose owner and supervisor are dead are removed. A lab whose files cannot be read is left alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.client import SupervisorClient
from torrentnet.lab.engines.local.protocol import SupervisedLab
from torrentnet.lab.engines.local.supervisor import cgroups
from torrentnet.lab.engines.owner import Life, Owner, directory_id, is_alive, is_dead, life_of
from torrentnet.lab.engines.types import RemovedLab
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import typed_command
from torrentnet.lab.paths import RUNTIME_VARIABLE, runtime_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOCK: Final = "lock"
SOCKET_PATH_MOST: Final = 107
LONGEST_NODE: Final = 46
"""Characters of a node's name: 40, a dash, the number."""
DIRECTORY_MODE: Final = 0o700
END_TIMEOUT: Final = 5.0
END_POLL_INTERVAL: Final = 0.01


def base_directory() -> Path:
    """Return the base directory, created where it does not exist.

    Only this user may write in the directory. Raises EngineError where others may write in it,
    or where its path is too long.
    """
    path = runtime_folder()
    if len(str(path)) + len("/123456/") + LONGEST_NODE + len("/" + protocol.CONSOLE) > SOCKET_PATH_MOST:
        raise EngineError(f"{path} is too long a path for sockets", hint=f"set {RUNTIME_VARIABLE} to a shorter one")
    with contextlib.suppress(FileExistsError):
        path.mkdir(DIRECTORY_MODE)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise EngineError(
            f"{path} is not a directory that only this user may write in",
            hint=f"remove it, or set {RUNTIME_VARIABLE} to another path",
        )
    return path


@dataclass(frozen=True, slots=True)
class LabEntry:
    """A lab's directory in the registry."""

    path: Path
    lab: SupervisedLab | None
    """None where the lab's file is missing or cannot be read."""

    @property
    def supervisor(self) -> Owner | None:
        """The supervisor's process, dead or alive; None where it is not known."""
        try:
            return Owner.parse((self.path / protocol.SUPERVISOR_FILE).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    @property
    def supervisor_life(self) -> Life:
        """Whether the supervisor is alive. It holds the lock of its file for life."""
        supervisor = self.supervisor
        life = Life.UNKNOWN if supervisor is None else life_of(supervisor)
        if life is Life.UNKNOWN and not _is_locked(self.path / protocol.SUPERVISOR_FILE):
            return Life.DEAD
        return life

    def is_orphan(self, is_finished: Callable[[Path, str], bool]) -> bool:
        """Return whether nobody else will ever remove this lab.

        The caller has the lock. ``is_finished`` is that of ``Engine.collect_orphans``.
        """
        if self.lab is None:
            # The owner writes the file with the lock, so that it died where there is none.
            return _is_missing(self.path / protocol.LAB_FILE)
        owner = Owner.parse(self.lab.owner)
        if owner is None or not is_dead(owner):
            return False
        life = self.supervisor_life
        if life is not Life.ALIVE:
            return life is Life.DEAD
        if _is_missing(self.path / protocol.RELEASED_FILE):
            return True
        # `up` has left it running, unless its home no longer says so. A home out of reach says nothing.
        state, parent = Path(self.lab.state), self.lab.state_parent
        return bool(parent) and directory_id(state.parent) == parent and not is_finished(state, self.lab.project)


def _is_locked(path: Path) -> bool:
    """Return whether a process may hold the lock of a file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_missing(path: Path) -> bool:
    """Return whether a file is known not to exist."""
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


@contextlib.contextmanager
def locked() -> Iterator[Path]:
    """Yield the base directory; no other process creates or removes labs meanwhile."""
    path = base_directory()
    with (path / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


def labs(base: Path | None = None) -> list[LabEntry]:
    """Return all labs of this user."""
    base = base or base_directory()
    return [LabEntry(path, _read(path)) for path in sorted(base.iterdir()) if path.is_dir() and not path.is_symlink()]


def _read(path: Path) -> SupervisedLab | None:
    try:
        return SupervisedLab.loads((path / protocol.LAB_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def find(project: str) -> LabEntry | None:
    """Return a lab by its project."""
    return next((entry for entry in labs() if entry.lab is not None and entry.lab.project == project), None)


def new_directory(base: Path, project: str) -> Path:
    """Create the directory of a new lab; the caller holds the lock."""
    name = project.rpartition("-")[2][-6:] or "lab"
    for attempt in range(100):
        path = base / (name if attempt == 0 else f"{name[:4]}{attempt:02}")
        with contextlib.suppress(FileExistsError):
            path.mkdir(DIRECTORY_MODE)
            return path
    raise EngineError(f"{base} is full of labs", hint=f"`{typed_command('down')}` removes those that are left behind")


def remove(entry: LabEntry) -> None:
    """Wait for a supervisor's end, and remove its lab's directory in the registry.

    Raises EngineError.
    """
    supervisor = entry.supervisor
    if supervisor is not None:
        _await_end(supervisor)
    if entry.supervisor_life is not Life.DEAD:
        raise EngineError(f"{entry.path} is left: the supervisor of its lab cannot be seen from here")
    if entry.lab is not None:
        for node in entry.lab.nodes:
            cgroups.remove(cgroups.groups(entry.lab.cgroups, entry.lab.project, node.name))
    shutil.rmtree(entry.path, ignore_errors=True)


def _await_end(supervisor: Owner) -> None:
    """Wait for a supervisor that has lost its lab; kill one that does not end."""
    deadline = time.monotonic() + END_TIMEOUT
    killed = False
    while is_alive(supervisor):
        if time.monotonic() > deadline and not killed:
            killed = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(supervisor.pid, signal.SIGKILL)
        elif time.monotonic() > deadline + END_TIMEOUT:
            raise EngineError(f"the supervisor of a lab that is gone does not end (process {supervisor.pid})")
        time.sleep(END_POLL_INTERVAL)


def collect_orphans(is_finished: Callable[[Path, str], bool] = lambda _state, _project: True) -> list[RemovedLab]:
    """Remove the labs whose owner is dead; returns them.

    Without ``is_finished``, no lab that ``up`` has left running is removed.
    """
    removed = []
    with locked() as base:
        for entry in labs(base):
            if entry.is_orphan(is_finished):
                # A supervisor whose lab was left running would not end by itself.
                with contextlib.suppress(EngineError):
                    SupervisorClient(entry.path).request("end")
                remove(entry)
                if entry.lab is not None:
                    removed.append(RemovedLab(entry.lab.project, Path(entry.lab.home)))
    return removed
