"""What the lab keeps in its home directory while a lab exists.

- ``.torrentnet/lab.json``: the lab that ``up`` left running. Written last, after everything went well.
- ``.torrentnet/labs/PROJECT/``: the files that a lab's nodes share, its owner, its network's faults, and its own
  ``lab.json``.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.owner import Owner, is_alive
from torrentnet.lab.errors import LabError
from torrentnet.lab.home.dotenv import remove_env_block
from torrentnet.lab.paths import lab_directory, state_folder, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAB_FILE: Final = "lab.json"
OWNER_FILE: Final = "owner"
FAULTS_FILE: Final = "faults.json"
MAX_MAKE_ATTEMPTS: Final = 100
OWNER_GRACE: Final = 10.0
"""A lab directory without an owner file is orphaned after this time."""


@dataclass(frozen=True, slots=True)
class RunningLab:
    """A lab whose nodes exist."""

    project: str
    scenario: str
    engine: str
    record: str
    """The run's directory."""


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """A fault, or a link of the scenario, that is in force in a lab's network."""

    text: str
    """As the scenario writes it."""
    since: float
    """Seconds since the epoch."""
    link: bool
    """Whether it is one of the scenario's ``links``, which stay for the whole run."""


# -- the lab that is up ------------------------------------------------------------------------


def write_running_lab(home: Path, lab: RunningLab) -> None:
    """Record that a lab is up. From now on it outlives its owner."""
    _write_lab(state_folder(home) / LAB_FILE, lab)


def read_running_lab(home: Path) -> RunningLab | None:
    """Return the lab that is up; None where there is none, or its file cannot be read."""
    return _read_lab(state_folder(home) / LAB_FILE)


def write_current_lab(home: Path, lab: RunningLab) -> None:
    """Record in a lab's own directory which lab it is, so that others can show it while its scenario runs."""
    _write_lab(lab_directory(home, lab.project) / LAB_FILE, lab)


def find_current_lab(home: Path) -> RunningLab | None:
    """Return the newest lab whose scenario is running, else the lab that is up."""
    current: list[tuple[float, RunningLab]] = []
    for path in _lab_directories(home):
        lab, owner = _read_lab(path / LAB_FILE), _read_owner(path)
        if lab is not None and owner is not None and is_alive(owner):
            with contextlib.suppress(FileNotFoundError):
                current.append(((path / LAB_FILE).stat().st_mtime, lab))
    return max(current, key=lambda entry: entry[0])[1] if current else read_running_lab(home)


def is_finished(home: Path, project: str) -> bool:
    """Return whether ``up`` of that lab completed in that home directory."""
    lab = read_running_lab(home)
    return lab is not None and lab.project == project


def forget_running_lab(home: Path, project: str) -> None:
    """Remove every record that a lab is up."""
    if is_finished(home, project):
        (state_folder(home) / LAB_FILE).unlink(missing_ok=True)
    remove_env_block(home, project)
    with contextlib.suppress(OSError):
        state_folder(home).rmdir()


def _write_lab(path: Path, lab: RunningLab) -> None:
    write_atomically(path, json.dumps(asdict(lab), indent=2) + "\n")


def _read_lab(path: Path) -> RunningLab | None:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return RunningLab(**{name: str(fields[name]) for name in RunningLab.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


# -- a lab's own directory ---------------------------------------------------------------------


def make_lab_directory(home: Path, project: str) -> Path:
    """Create the directory of one lab's files, owned by this process. Raises LabError."""
    path = lab_directory(home, project)
    for attempt in range(MAX_MAKE_ATTEMPTS):
        try:
            path.mkdir(parents=True)
            break
        except (FileNotFoundError, FileExistsError):
            # A lab that ends at this moment may have removed the parent directories, which were empty.
            if attempt + 1 == MAX_MAKE_ATTEMPTS:
                raise
        except OSError as error:
            raise LabError(
                f"the lab's directory cannot be made: {error.strerror}: {error.filename}",
                hint="TORRENTNET_HOME names another home; XDG_STATE_HOME another place for the state of installed labs",
            ) from error
    (path / OWNER_FILE).write_text(str(Owner.myself()), encoding="ascii")
    return path


def remove_lab_directory(home: Path, project: str) -> None:
    """Remove a lab's directory, and its parent directories once they are empty."""
    path = lab_directory(home, project)
    shutil.rmtree(path, ignore_errors=True)
    for folder in (path.parent, path.parent.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()


def write_faults(home: Path, project: str, faults: list[ActiveFault]) -> None:
    """Record what is in force in a lab's network now."""
    document = json.dumps([asdict(fault) for fault in faults], indent=2)
    write_atomically(lab_directory(home, project) / FAULTS_FILE, document + "\n")


def read_faults(home: Path, project: str) -> list[ActiveFault]:
    """Return what is in force in a lab's network now, oldest first; an empty list for an unknown lab."""
    try:
        rows = json.loads((lab_directory(home, project) / FAULTS_FILE).read_text(encoding="utf-8"))
        return [ActiveFault(str(row["text"]), float(row["since"]), bool(row["link"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def orphaned_projects(home: Path) -> Iterator[str]:
    """Yield the labs whose owner has died, except for the lab that is up."""
    running = read_running_lab(home)
    for path in _lab_directories(home):
        owner = _read_owner(path)
        orphaned = _is_old(path) if owner is None else not is_alive(owner)
        if orphaned and (running is None or running.project != path.name):
            yield path.name


def _lab_directories(home: Path) -> list[Path]:
    try:
        return sorted((state_folder(home) / "labs").iterdir())
    except FileNotFoundError:
        return []


def _is_old(path: Path) -> bool:
    """Return whether a directory has had time enough to get its owner file."""
    try:
        return time.time() - path.stat().st_mtime > OWNER_GRACE
    except FileNotFoundError:
        return False


def _read_owner(path: Path) -> Owner | None:
    try:
        return Owner.parse((path / OWNER_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
