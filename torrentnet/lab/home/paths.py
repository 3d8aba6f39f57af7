"""Where the lab finds its sources and keeps its state, and how it replaces a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

STATE_FOLDER: Final = ".torrentnet"
"""In a lab's home directory; removed once it is empty."""


def checkout_root() -> Path:
    """Return the checkout that contains this package."""
    return Path(__file__).resolve().parents[3]


def scenarios_folder() -> Path:
    """Return the folder of the scenarios that can be named without a path."""
    return checkout_root() / "scenarios"


def lab_home() -> Path:
    """Return the home directory of this process's labs: TORRENTNET_HOME, else the checkout."""
    return Path(os.environ.get("TORRENTNET_HOME") or checkout_root()).resolve()


def relative_to_home(path: Path, home: Path) -> str:
    """Return a path for people: relative to the home directory where it is inside."""
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content at once: a reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else None
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    if mode is not None:
        temporary.chmod(mode)
    temporary.replace(path)
