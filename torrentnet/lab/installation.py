"""The lab's installation: the commands users type, and a version check.

The check looks for a second installed version.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from torrentnet import __version__
from torrentnet.lab.errors import UsageError
from torrentnet.lab.paths import PACKAGE, checkout

_MAKE_ARGUMENTS: Final = {
    "up": "scenario",
    "run": "scenario",
    "sweep": "scenario",
    "explain": "scenario",
    "attach": "node",
    "logs": "node",
}
"""Command -> the variable of ``make`` for the command's argument."""


def program() -> str:
    """Return the command line's program, for what ``make`` has no target for."""
    return ".venv/bin/torrentnet" if checkout() else "torrentnet"


def typed_command(verb: str, argument: str = "") -> str:
    """Return a command of the lab as its user types it.

    For example ``make up scenario=X``, or ``torrentnet up X``.
    """
    if checkout() is None:
        return " ".join(["torrentnet", verb, *([argument] if argument else [])])
    return f"make {verb} {_MAKE_ARGUMENTS[verb]}={argument}" if argument else f"make {verb}"


def install_docker() -> str:
    """Return a sentence that says how to install Docker on this machine.

    The sentence has no full stop.
    """
    if checkout() is None:
        return "install Docker Engine as https://docs.docker.com/engine/install/ says"
    return "`make engine` installs and starts Docker on Debian and Ubuntu"


def require_one_version() -> None:
    """Raise UsageError where Python also finds another version.

    Chance would decide which version runs.
    """
    for entry in sys.path:
        other = Path(entry or ".").resolve() / PACKAGE.name
        version = _version_of(other)
        if other != PACKAGE and version not in {None, __version__}:
            here, there = f"{__version__} in {PACKAGE.parent}", f"{version} in {other.parent}"
            raise UsageError(
                f"two versions of torrentnet are installed: {here}, {there}",
                hint="run `pip uninstall torrentnet` until none is left and install one, or remove one from PYTHONPATH",
            )


def _version_of(package: Path) -> str | None:
    try:
        lines = (package / "__init__.py").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.split('"')[1] for line in lines if line.startswith('__version__ = "')), None)
