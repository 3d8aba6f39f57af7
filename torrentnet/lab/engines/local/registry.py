"""Which labs of this user there are on this machine: one directory each, below one that has a fixed place.

Its path is short, because the nodes' console sockets are in it and a socket's path has 107 bytes at most. What is
large, the nodes' own directories, is in the lab's home.

A lab's processes cannot outlive its keeper, and neither can its namespaces; files can. They are removed at the next
start: those of every lab whose maker and keeper are dead.
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
from typing import TYPE_CHECKING

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.protocol import SupervisedLab
from torrentnet.lab.engines.owner import Owner, is_alive
from torrentnet.lab.errors import EngineError
from torrentnet.lab.home import lab_store
from torrentnet.lab.installation import typed_command
from torrentnet.lab.paths import lab_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENT = "TORRENTNET_RUNTIME"
"""Names another place than the usual one."""
LOCK = "lock"
SOCKET_PATH_MOST = 107
LONGEST_NODE = 46
"""Of a node's name: 40 characters, a dash, the number."""
DIRECTORY_MODE = 0o700
END_TIMEOUT = 5.0
END_POLL_INTERVAL = 0.01


def base_directory() -> Path:
    """Where the labs of this user are, made where it is not there; nobody else may write in it. Raises EngineError."""
    path = Path(os.environ.get(ENVIRONMENT) or f"/tmp/torrentnet-{os.getuid()}")
    if len(str(path)) + len("/123456/") + LONGEST_NODE + len("/" + protocol.CONSOLE) > SOCKET_PATH_MOST:
        raise EngineError(f"{path} is too long a path for sockets", hint=f"set {ENVIRONMENT} to a shorter one")
    with contextlib.suppress(FileExistsError):
        path.mkdir(DIRECTORY_MODE)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise EngineError(
            f"{path} is not a directory that only this user may write in",
            hint=f"remove it, or set {ENVIRONMENT} to another path",
        )
    return path


@dataclass(frozen=True, slots=True)
class LabEntry:
    """A lab's directory."""

    path: Path
    lab: SupervisedLab | None
    """None where its maker died while it wrote that down."""

    @property
    def keeper(self) -> Owner | None:
        """The lab's keeper, dead or alive."""
        try:
            return Owner.parse((self.path / protocol.SUPERVISOR_FILE).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    @property
    def kept(self) -> bool:
        """Whether its keeper lives."""
        keeper = self.keeper
        return keeper is not None and is_alive(keeper)

    @property
    def is_orphan(self) -> bool:
        """Whether nobody will ever clean it up but us."""
        if self.lab is None:
            return True
        owner = Owner.parse(self.lab.owner)
        if owner is not None and is_alive(owner):
            return False
        return not (self.kept and (self.path / protocol.RELEASED_FILE).exists())


@contextlib.contextmanager
def locked() -> Iterator[Path]:
    """The base, with nobody else making or removing labs meanwhile."""
    path = base_directory()
    with (path / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


def labs(path: Path | None = None) -> list[LabEntry]:
    """All labs of this user."""
    path = path or base_directory()
    return [
        LabEntry(entry, _read(entry)) for entry in sorted(path.iterdir()) if entry.is_dir() and not entry.is_symlink()
    ]


def _read(path: Path) -> SupervisedLab | None:
    try:
        return SupervisedLab.loads((path / protocol.LAB_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def find(project: str) -> LabEntry | None:
    """A lab by its project."""
    return next((entry for entry in labs() if entry.lab is not None and entry.lab.project == project), None)


def new_directory(path: Path, project: str) -> Path:
    """A directory for a new lab; the caller holds the lock."""
    name = project.rpartition("-")[2][-6:] or "lab"
    for attempt in range(100):
        place = path / (f"{name}" if attempt == 0 else f"{name[:4]}{attempt:02}")
        with contextlib.suppress(FileExistsError):
            place.mkdir(DIRECTORY_MODE)
            return place
    raise EngineError(f"{path} is full of labs", hint=f"`{typed_command('down')}` removes those that are left behind")


def remove(entry: LabEntry) -> None:
    """End a lab's keeper, if it lives, and remove its files."""
    keeper = entry.keeper
    if keeper is not None:
        _await_end(keeper)
    if entry.lab is not None:
        home = Path(entry.lab.home)
        for node in entry.lab.nodes:
            if is_removable(Path(node.data), entry, home):
                shutil.rmtree(node.data, ignore_errors=True)
    shutil.rmtree(entry.path, ignore_errors=True)


def is_removable(path: Path, entry: LabEntry, home: Path) -> bool:
    """Whether a node's directory is where we make them: nothing else is removed, whatever a file says."""
    assert entry.lab is not None
    made = lab_directory(home, entry.lab.project)
    return path.is_absolute() and ".." not in path.parts and (made in path.parents or entry.path in path.parents)


def _await_end(keeper: Owner) -> None:
    """Wait for a keeper that has lost its lab; one that does not end is ended."""
    deadline = time.monotonic() + END_TIMEOUT
    killed = False
    while is_alive(keeper):
        if time.monotonic() > deadline and not killed:
            killed = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(keeper.pid, signal.SIGKILL)
        elif time.monotonic() > deadline + END_TIMEOUT:
            raise EngineError(f"the keeper of a lab that is gone does not end (process {keeper.pid})")
        time.sleep(END_POLL_INTERVAL)


def collect_orphans() -> list[str]:
    """Remove what labs left behind whose maker is dead; answers with their projects."""
    swept = []
    with locked() as path:
        for entry in labs(path):
            if not entry.is_orphan:
                continue
            remove(entry)
            if entry.lab is not None:
                home = Path(entry.lab.home)
                lab_store.remove_lab_directory(home, entry.lab.project)
                lab_store.forget_running_lab(home, entry.lab.project)
                swept.append(entry.lab.project)
    return swept
