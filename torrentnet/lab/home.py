"""The lab's home directory, and the removal of labs.

While labs exist, these files are kept:

- ``.torrentnet/lab.json``: the lab that ``up`` left running. Written last, after everything went well.
- ``.torrentnet/labs/PROJECT/``: the files that a lab's nodes share, its owner, its network's faults, and its own
  ``lab.json``.
- ``.torrentnet/programs/``: files of programs, see :mod:`torrentnet.lab.workspace`.
- A Compose file, see :mod:`torrentnet.lab.plain_compose`.

Several users and machines may share a home. What cannot be read is not taken for missing, and only this user's labs
whose owner is known to be dead are removed.

Tested by tests/unit/lab/test_home.py and tests/integration/test_interrupt.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab import plain_compose, workspace
from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.owner import Owner, is_alive, is_dead
from torrentnet.lab.engines.selection import collect_orphans, make_engine
from torrentnet.lab.errors import LabError
from torrentnet.lab.installation import typed_command
from torrentnet.lab.paths import lab_directory, state_folder, write_atomically
from torrentnet.lab.scenario.override_rows import override_row, parse_override

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import ProgressCallback
    from torrentnet.lab.scenario.qualities import LinkOverride

LAB_FILE: Final = "lab.json"
OWNER_FILE: Final = "owner"
FAULTS_FILE: Final = "faults.json"
MAX_MAKE_ATTEMPTS: Final = 100
STAGED: Final = "."
"""First character of a lab's directory that is being made; its owner follows, because no file names it yet."""


@dataclass(frozen=True, slots=True)
class RunningLab:
    """A lab whose nodes exist."""

    project: str
    scenario: str
    engine: str
    record: str
    """The run's directory."""
    owner: str = ""
    """The process that brought it up, which may have ended, see :mod:`torrentnet.lab.engines.owner`."""
    engine_id: str = ""
    """See :attr:`Engine.identity`."""
    home: str = ""
    """Where it was brought up."""
    zero: str = ""
    """t = 0 in UTC; empty before that."""


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """A fault, or a link of the scenario, that is in force in a lab's network."""

    text: str
    """As the scenario writes it."""
    since: float
    """Seconds on the monotonic clock of the lab's machine."""
    link: bool
    """Whether it is one of the scenario's ``links``, which stay for the whole run."""
    number: int = 0
    """It names the fault in the lab, and in the record."""
    override: LinkOverride | None = None
    """What it changes; None where an older version has recorded it."""

    def row(self) -> dict[str, object]:
        """Return it as JSON."""
        row = {"text": self.text, "since": self.since, "link": self.link, "number": self.number}
        return row if self.override is None else {**row, **override_row(self.override)}

    @staticmethod
    def of(row: Mapping[str, Any]) -> ActiveFault:
        """Return the fault of a row.

        Raises ValueError, KeyError or TypeError where it is none.
        """
        override = parse_override(row) if "links" in row else None
        return ActiveFault(
            str(row["text"]), float(row["since"]), bool(row["link"]), int(row.get("number", 0)), override
        )


# -- the lab that is up ------------------------------------------------------------------------


def write_running_lab(home: Path, lab: RunningLab) -> None:
    """Record that a lab is up. From now on the lab outlives its owner."""
    _write_lab(state_folder(home) / LAB_FILE, lab)


def replace_running_lab(home: Path, lab: RunningLab, report: ProgressCallback) -> None:
    """Record that a lab is up, and take down the one that was.

    Another ``up`` may have brought that one up meanwhile; no record would lead to it. Raises LabError.
    """
    with _home_lock(home):
        other = read_running_lab(home)
        if other is not None and other.project != lab.project:
            take_down_running_lab(home, other.engine or lab.engine, report)
        write_running_lab(home, lab)


@contextlib.contextmanager
def _home_lock(home: Path) -> Iterator[None]:
    """Hold the lock under which the record of the lab that is up is replaced."""
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some network file systems cannot lock a directory.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_running_lab(home: Path) -> RunningLab | None:
    """Return the lab that is up; None where there is none.

    In a copy of a directory whose lab is up, there is none: the lab is the original's. Raises LabError where the lab's
    file cannot be read.
    """
    lab = _read_lab(state_folder(home) / LAB_FILE)
    if lab is None or lab.home in {"", str(home)} or not is_finished(state_folder(Path(lab.home)), lab.project):
        return lab
    try:
        return lab if Path(lab.home).samefile(home) else None
    except OSError as error:
        raise LabError(
            f"{lab.scenario} was brought up in {lab.home}, which cannot be read: {error.strerror}",
            hint=f"if this directory is a copy of that one, remove {state_folder(home) / LAB_FILE}",
        ) from error


def write_current_lab(home: Path, lab: RunningLab) -> None:
    """Record a lab in its own directory.

    ``status`` finds the record there while the scenario runs.
    """
    _write_lab(lab_directory(home, lab.project) / LAB_FILE, lab)


def find_current_lab(home: Path) -> RunningLab | None:
    """Return the newest lab whose scenario is running, else the lab that is up."""
    current: list[tuple[float, RunningLab]] = []
    for path in _lab_directories(home):
        owner = _read_owner(path)
        if owner is not None and is_alive(owner):
            # The lab may not have written its file yet, or may end at this moment.
            with contextlib.suppress(LabError, FileNotFoundError):
                if (lab := _read_lab(path / LAB_FILE)) is not None:
                    current.append(((path / LAB_FILE).stat().st_mtime, lab))
    return max(current, key=lambda entry: entry[0])[1] if current else read_running_lab(home)


def is_finished(state: Path, project: str) -> bool:
    """Return whether ``up`` has left that lab running, by its state folder.

    A file that cannot be read can be that of such a lab, so its lab counts as one.
    """
    try:
        lab = _read_lab(state / LAB_FILE)
    except LabError:
        return True
    return lab is not None and lab.project == project


def forget_running_lab(home: Path, project: str) -> None:
    """Remove every record that a lab is up."""
    if is_finished(state_folder(home), project):
        (state_folder(home) / LAB_FILE).unlink(missing_ok=True)
    plain_compose.withdraw(home, project)
    with contextlib.suppress(OSError):
        state_folder(home).rmdir()


def _write_lab(path: Path, lab: RunningLab) -> None:
    write_atomically(path, json.dumps(asdict(lab), indent=2) + "\n")


def _read_lab(path: Path) -> RunningLab | None:
    """Return the lab in a file; None where there is no file.

    Raises LabError where the file cannot be read.
    """
    try:
        fields = {"owner": "", "engine_id": "", "home": "", "zero": "", **json.loads(path.read_text(encoding="utf-8"))}
        return _checked(RunningLab(**{name: str(fields[name]) for name in RunningLab.__dataclass_fields__}))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LabError(
            f"{path} cannot be read: {error.strerror}, so that it is unknown which lab is up",
            hint="make it readable; or set TORRENTNET_HOME to a directory of your own",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(
            f"{path} is damaged, so that it is unknown which lab is up",
            hint="remove the file; the next `up` or `down` removes what is left of the lab",
        ) from error


def _checked(lab: RunningLab) -> RunningLab:
    """Return a lab whose fields are what this program writes. Raises ValueError."""
    # No field may act on the terminal that shows it. The project is checked where it becomes a path.
    shown = (lab.scenario, lab.engine, lab.record, lab.owner, lab.engine_id, lab.home)
    if not all(text.isprintable() for text in shown):
        raise ValueError("no such lab")
    return lab


# -- a lab's own directory ---------------------------------------------------------------------


def make_lab_directory(home: Path, project: str) -> Path:
    """Create the directory of one lab's files, owned by this process.

    The directory gets its name once its owner is in it. Raises LabError.
    """
    path = lab_directory(home, project)
    owner = str(Owner.myself())
    staged = path.with_name(f"{STAGED}{owner.replace(':', '+')}+{project}")
    for attempt in range(MAX_MAKE_ATTEMPTS):
        try:
            staged.mkdir(parents=True)
            (staged / OWNER_FILE).write_text(owner, encoding="ascii")
            staged.rename(path)
            break
        except (FileNotFoundError, FileExistsError):
            # A lab that ends at this moment may have removed the parent directories, which were empty.
            if attempt + 1 == MAX_MAKE_ATTEMPTS:
                raise
        except OSError as error:
            raise LabError(
                f"the lab's directory cannot be created: {error.strerror}: {error.filename}",
                hint="set TORRENTNET_HOME to another directory, or XDG_STATE_HOME where the lab is installed",
            ) from error
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
    document = json.dumps([fault.row() for fault in faults], indent=2)
    write_atomically(lab_directory(home, project) / FAULTS_FILE, document + "\n")


def read_faults(home: Path, project: str) -> list[ActiveFault]:
    """Return the faults now in force in a lab's network, oldest first.

    The list is empty for an unknown lab. Raises LabError where the lab's file cannot be read.
    """
    try:
        rows = json.loads((lab_directory(home, project) / FAULTS_FILE).read_text(encoding="utf-8"))
        return [ActiveFault.of(row) for row in rows]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabError(f"what is in force in the network is unknown: {error}") from error


def orphaned_projects(home: Path) -> Iterator[str]:
    """Yield this user's labs whose owner has died, except for the lab that is up."""
    for path in _lab_directories(home):
        owner = _read_owner(path)
        if owner is None or not owner.mine or not is_dead(owner):
            continue
        if path.name.startswith(STAGED):
            shutil.rmtree(path, ignore_errors=True)
        elif not is_finished(state_folder(home), path.name):
            yield path.name


def _lab_directories(home: Path) -> list[Path]:
    try:
        return sorted((state_folder(home) / "labs").iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read_owner(path: Path) -> Owner | None:
    """Return the owner of a lab's directory; None where it is not known."""
    if path.name.startswith(STAGED):
        return Owner.parse(path.name.removeprefix(STAGED).rpartition("+")[0].replace("+", ":"))
    try:
        return Owner.parse((path / OWNER_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


# -- removal ---------------------------------------------------------------------------------------


def remove_orphans(engine: Engine, home: Path, report: ProgressCallback) -> list[str]:
    """Remove everything of labs whose owner was killed; return their projects."""
    removed = collect_orphans(engine, is_finished)
    for lab in removed:
        if lab.problem:
            report(f"{lab.project} has no owner any more, and is left: {lab.problem}")
            continue
        report(f"removed what {lab.project} left behind")
        for directory in {home, lab.home or home}:
            _forget(directory, lab.project)
    for project in list(orphaned_projects(home)):
        _forget(home, project)
    workspace.remove_stale(state_folder(home) / workspace.FOLDER)
    return [lab.project for lab in removed if not lab.problem]


def take_down(engine: Engine, home: Path, running: RunningLab | None) -> None:
    """Remove the lab that was found in ``home``, with the engine that runs it.

    ``running`` is what :func:`read_running_lab` has returned. A lab that has come up since then stays: it may have
    another engine. Afterwards the engine is bound to the removed lab and cannot create another.
    """
    if running is None:
        # A crash between two writes leaves the Compose file without a lab.
        plain_compose.withdraw(home)
        return
    _require_own(home, running)
    engine.adopt(running.project, missing_ok=True)
    if not engine.locations and running.engine_id and running.engine_id != engine.identity:
        raise LabError(
            f"{running.scenario} was brought up in another Docker Engine, where it may still run",
            hint="set DOCKER_HOST or DOCKER_CONTEXT as it was then; if that engine no longer exists, remove"
            f" {state_folder(home) / LAB_FILE}",
        )
    engine.destroy()
    _forget(home, running.project)


def take_down_running_lab(home: Path, default_engine: str, report: ProgressCallback) -> None:
    """Remove the lab that is up in ``home``, if any, with the engine that runs it."""
    running = read_running_lab(home)
    if running is None:
        return
    _require_own(home, running)
    report(f"{running.scenario} is up already; taking it down first")
    with contextlib.closing(make_engine(running.engine or default_engine)) as engine:
        engine.check()
        take_down(engine, home, running)


def _require_own(home: Path, lab: RunningLab) -> None:
    """Raise LabError where a lab belongs to another user or another machine."""
    owner = Owner.parse(lab.owner)
    if owner is None:
        return
    hint = "or set TORRENTNET_HOME to a directory of your own"
    if not owner.here:
        containers = f"docker ps -aq --filter label={labels.LAB}={lab.project}"
        left = f", and its containers: `docker rm -fv $({containers})`" if lab.engine == "docker" else ""
        raise LabError(
            f"{lab.scenario}, which is up in {home}, was brought up on another machine, or this one has a new name",
            hint=f"`{typed_command('down')}` there takes it down; {hint}; where this machine has a new name, remove"
            f" {state_folder(home) / LAB_FILE}{left}",
        )
    if not owner.mine:
        raise LabError(
            f"{lab.scenario}, which is up in {home}, belongs to user id {owner.user}",
            hint=f"that user's `{typed_command('down')}` takes it down; {hint}",
        )


def _forget(home: Path, project: str) -> None:
    remove_lab_directory(home, project)
    forget_running_lab(home, project)
