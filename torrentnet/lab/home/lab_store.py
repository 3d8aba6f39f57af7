"""What a lab leaves in its home directory while it is up.

``.torrentnet/lab.json``      the lab that ``make up`` left running; written last, when all went well
``.torrentnet/labs/PROJECT/`` the files that a lab's nodes share, who its owner is, and what its network suffers from
``.env``                      a marked block that makes plain ``docker compose`` commands find the lab; the lines
                              around it are the user's
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.lab.engines.owner import Owner, is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = ".torrentnet"
LAB_FILE = "lab.json"
OWNER_FILE = "owner"
FAULTS_FILE = "faults.json"
ENV_FILE = ".env"
ENV_BEGIN = "# >>> torrentnet: written by `make up`, removed by `make down`"
ENV_END = "# <<< torrentnet"
MAX_MAKE_ATTEMPTS = 100
OWNER_GRACE = 10.0
"""A lab's directory that says nobody's name for so long is nobody's."""


@dataclass(frozen=True, slots=True)
class RunningLab:
    """The lab that is up in a directory."""

    project: str
    scenario: str
    engine: str
    record: str
    """The run's directory."""


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """Something that is asked of a lab's network now."""

    text: str
    """As the scenario says it."""
    since: float
    """Seconds since the epoch."""
    link: bool
    """Whether it is the scenario's own network, which nothing heals, and no fault."""


def checkout_root() -> Path:
    """The checkout that this package was started from."""
    return Path(__file__).resolve().parents[3]


def lab_home() -> Path:
    """The directory whose labs are meant: the checkout, unless TORRENTNET_HOME names another."""
    return Path(os.environ.get("TORRENTNET_HOME") or checkout_root()).resolve()


# ── the lab that is up ───────────────────────────────────────────────────────────────────────────────────────


def write_running_lab(directory: Path, lab: RunningLab) -> None:
    """Say that a lab is up. Its owner may end from now on."""
    write_atomically(directory / FOLDER / LAB_FILE, json.dumps(asdict(lab), indent=2) + "\n")


def read_running_lab(directory: Path) -> RunningLab | None:
    """The lab that is up; None where there is none, or the file is not one of ours."""
    return _read_lab(directory / FOLDER / LAB_FILE)


def _read_lab(path: Path) -> RunningLab | None:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return RunningLab(**{name: str(fields[name]) for name in RunningLab.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_current_lab(directory: Path, lab: RunningLab) -> None:
    """Say, in the lab's own directory, which lab it is: for who looks at it while its scenario happens."""
    write_atomically(directory / FOLDER / "labs" / lab.project / LAB_FILE, json.dumps(asdict(lab), indent=2) + "\n")


def find_current_lab(directory: Path) -> RunningLab | None:
    """The lab to look at: the newest whose scenario happens just now, else the one that is up."""
    going: list[tuple[float, RunningLab]] = []
    with contextlib.suppress(FileNotFoundError):
        for path in (directory / FOLDER / "labs").iterdir():
            lab, owner = _read_lab(path / LAB_FILE), _owner(path)
            if lab is not None and owner is not None and is_alive(owner):
                with contextlib.suppress(FileNotFoundError):
                    going.append(((path / LAB_FILE).stat().st_mtime, lab))
    return max(going, key=lambda entry: entry[0])[1] if going else read_running_lab(directory)


def is_finished(directory: Path, project: str) -> bool:
    """Whether ``make up`` of that lab came to its end in that directory."""
    lab = read_running_lab(directory)
    return lab is not None and lab.project == project


def forget_running_lab(directory: Path, project: str) -> None:
    """The lab is no longer up: take back all that says so."""
    lab = read_running_lab(directory)
    if lab is not None and lab.project == project:
        (directory / FOLDER / LAB_FILE).unlink(missing_ok=True)
    remove_env_block(directory, project)
    with contextlib.suppress(OSError):
        (directory / FOLDER).rmdir()


# ── a lab's own directory ────────────────────────────────────────────────────────────────────────────────────


def make_lab_directory(directory: Path, project: str) -> Path:
    """A new directory for one lab's files."""
    path = directory / FOLDER / "labs" / project
    for attempt in range(MAX_MAKE_ATTEMPTS):
        try:
            path.mkdir(parents=True)
            break
        except (FileNotFoundError, FileExistsError):
            # Another lab that ends at this moment has taken away the folders above, which were empty.
            if attempt + 1 == MAX_MAKE_ATTEMPTS:
                raise
    (path / OWNER_FILE).write_text(str(Owner.myself()), encoding="ascii")
    return path


def remove_lab_directory(directory: Path, project: str) -> None:
    """Remove a lab's directory, and the folders above it once they are empty."""
    labs = directory / FOLDER / "labs"
    shutil.rmtree(labs / project, ignore_errors=True)
    for folder in (labs, labs.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()


def write_faults(directory: Path, project: str, faults: list[ActiveFault]) -> None:
    """Say what is asked of a lab's network at this moment."""
    path = directory / FOLDER / "labs" / project / FAULTS_FILE
    write_atomically(path, json.dumps([asdict(fault) for fault in faults], indent=2) + "\n")


def read_faults(directory: Path, project: str) -> list[ActiveFault]:
    """What is asked of a lab's network at this moment, oldest first; nothing where there is no such lab."""
    path = directory / FOLDER / "labs" / project / FAULTS_FILE
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [ActiveFault(str(row["text"]), float(row["since"]), bool(row["link"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def orphaned_projects(directory: Path) -> Iterator[str]:
    """The labs that have a directory here and whose owner is dead, but for the one that is up."""
    up = read_running_lab(directory)
    with contextlib.suppress(FileNotFoundError):
        for path in sorted((directory / FOLDER / "labs").iterdir()):
            owner = _owner(path)
            gone = _is_old(path) if owner is None else not is_alive(owner)
            if gone and (up is None or up.project != path.name):
                yield path.name


def _is_old(path: Path) -> bool:
    """Whether a directory without an owner has been left; in a new one the owner is just being written down."""
    try:
        return time.time() - path.stat().st_mtime > OWNER_GRACE
    except FileNotFoundError:
        return False


def _owner(path: Path) -> Owner | None:
    try:
        return Owner.parse((path / OWNER_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


# ── .env ─────────────────────────────────────────────────────────────────────────────────────────────────────


def write_env_block(directory: Path, project: str, compose_files: list[Path]) -> None:
    """Make plain ``docker compose`` commands in ``directory`` find the lab."""
    names = [
        str(path.relative_to(directory)) if path.is_relative_to(directory) else str(path) for path in compose_files
    ]
    block = [ENV_BEGIN, f"COMPOSE_PROJECT_NAME={project}", f"COMPOSE_FILE='{os.pathsep.join(names)}'", ENV_END]
    kept = _without_block(_env_lines(directory))
    # A last line without an end must not swallow our first.
    write_atomically(directory / ENV_FILE, "\n".join([*kept, *block]) + "\n")


def remove_env_block(directory: Path, project: str | None = None) -> None:
    """Take the block back, whosever it is or only ``project``'s; the file goes when nothing else is in it."""
    lines = _env_lines(directory)
    kept = _without_block(lines)
    if kept == lines or (project is not None and f"COMPOSE_PROJECT_NAME={project}" not in lines):
        return
    if any(line.strip() for line in kept):
        write_atomically(directory / ENV_FILE, "\n".join(kept) + "\n")
    else:
        (directory / ENV_FILE).unlink(missing_ok=True)


def read_env_project(directory: Path) -> str | None:
    """The lab that the block in ``.env`` names."""
    lines = _env_lines(directory)
    if ENV_BEGIN not in lines:
        return None
    prefix = "COMPOSE_PROJECT_NAME="
    block = lines[lines.index(ENV_BEGIN) :]
    return next((line.removeprefix(prefix) for line in block if line.startswith(prefix)), None)


def _env_lines(directory: Path) -> list[str]:
    try:
        return (directory / ENV_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _without_block(lines: list[str]) -> list[str]:
    if ENV_BEGIN not in lines:
        return lines
    begin = lines.index(ENV_BEGIN)
    try:
        end = lines.index(ENV_END, begin)
    except ValueError:
        # Cut off by hand: our lines are the ones that follow at once.
        end = begin
        while end + 1 < len(lines) and lines[end + 1].startswith("COMPOSE_"):
            end += 1
    return lines[:begin] + lines[end + 1 :]


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that there is either the old or the new one, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else None
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    if mode is not None:
        temporary.chmod(mode)
    temporary.replace(path)
