"""Paths of the lab's own files and state, and the directory that labs belong to.

The files are the Dockerfile with its context, the Compose file, the scenarios, their schema and Wireshark's dissector:
those of a checkout, or the copies that setup.py has put into the wheel. A checkout keeps its labs inside itself; an
installed lab belongs to the current directory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path
from typing import Final

from torrentnet.lab.errors import LabError
from torrentnet.runtime.text import escape_controls

PACKAGE: Final = Path(__file__).resolve().parents[1]
"""The package ``torrentnet`` itself."""
_COPIES: Final = PACKAGE / "_files"
_STATE_FOLDER: Final = ".torrentnet"
_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}")
RUNTIME_VARIABLE: Final = "TORRENTNET_RUNTIME"
"""Environment variable that names another :func:`runtime_folder`."""


def checkout() -> Path | None:
    """Return the checkout that contains this package; None where there is none.

    There is none where the package is installed from a wheel.
    """
    return None if _COPIES.is_dir() else PACKAGE.parent


def files_root() -> Path:
    """Return the directory of the lab's own files.

    The directory is the checkout, or that of the copies in the installed package.
    """
    return checkout() or _COPIES


def scenarios_folder() -> Path:
    """Return the folder of the scenarios that can be named without a path."""
    return files_root() / "scenarios"


def rubrics_folder() -> Path:
    """Return the folder of the rubrics that can be named without a path."""
    return files_root() / "rubrics"


def lab_home() -> Path:
    """Return the directory that this process's labs belong to.

    It is TORRENTNET_HOME, else the checkout, else the current directory. Runs are recorded in ``runs/`` below it.
    """
    return Path(os.environ.get("TORRENTNET_HOME") or checkout() or Path.cwd()).resolve()


def state_folder(home: Path) -> Path:
    """Return the directory for the state of the labs that belong to ``home``.

    A checkout keeps it in ``.torrentnet`` in ``home``. An installed lab leaves ``home`` to its user: the state of each
    home has a directory below XDG_STATE_HOME.
    """
    if checkout():
        return home / _STATE_FOLDER
    return _xdg_state() / f"{home.name}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:8]}"


def lab_directory(home: Path, project: str) -> Path:
    """Return the directory of one lab's files.

    The name may come from a file or a label that others can write, and must not lead anywhere else. Raises LabError.
    """
    if not _PROJECT.fullmatch(project):
        raise LabError(
            f"`{escape_controls(project)}` is not the name of a lab",
            hint=f"if {state_folder(home) / 'lab.json'} names it, remove that file; the next `up` removes the rest",
        )
    return state_folder(home) / "labs" / project


def machine_folder() -> Path:
    """Return the directory for facts about this machine, which all labs share."""
    root = checkout()
    return root / _STATE_FOLDER if root else _xdg_state()


def runtime_folder() -> Path:
    """Return the directory of the local engine's labs.

    The path is short, because sockets are in the directory.
    """
    return Path(os.environ.get(RUNTIME_VARIABLE) or f"/tmp/torrentnet-{os.getuid()}")


def _xdg_state() -> Path:
    # The XDG Base Directory Specification ignores relative paths.
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".local" / "state") / "torrentnet"


def relative_to_home(path: Path, home: Path) -> str:
    """Return a path for people: relative to the home directory where it is inside."""
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content at once: a reader sees the old text or the new one.

    Raises OSError, and leaves the old text then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else None
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
