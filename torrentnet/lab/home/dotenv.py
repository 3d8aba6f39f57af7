"""The marked block in ``.env`` with which plain ``docker compose`` commands find the lab that is up.

The lines around the block are the user's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from torrentnet.lab.paths import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

ENV_FILE: Final = ".env"
ENV_BEGIN: Final = "# >>> torrentnet: written by `make up`, removed by `make down`"
ENV_END: Final = "# <<< torrentnet"
PROJECT_PREFIX: Final = "COMPOSE_PROJECT_NAME="


def write_env_block(home: Path, project: str, compose_files: list[Path]) -> None:
    """Write the block for a lab, in place of an earlier one."""
    names = [str(path.relative_to(home)) if path.is_relative_to(home) else str(path) for path in compose_files]
    block = [ENV_BEGIN, f"{PROJECT_PREFIX}{project}", f"COMPOSE_FILE='{os.pathsep.join(names)}'", ENV_END]
    # Joining lines also ends a last line that had no newline.
    write_atomically(home / ENV_FILE, "\n".join([*_without_block(_read_lines(home)), *block]) + "\n")


def remove_env_block(home: Path, project: str | None = None) -> None:
    """Remove the block, or only ``project``'s; remove the file too when nothing else is in it."""
    lines = _read_lines(home)
    kept = _without_block(lines)
    if kept == lines or (project is not None and f"{PROJECT_PREFIX}{project}" not in lines):
        return
    if any(line.strip() for line in kept):
        write_atomically(home / ENV_FILE, "\n".join(kept) + "\n")
    else:
        (home / ENV_FILE).unlink(missing_ok=True)


def _read_lines(home: Path) -> list[str]:
    try:
        return (home / ENV_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _without_block(lines: list[str]) -> list[str]:
    if ENV_BEGIN not in lines:
        return lines
    begin = lines.index(ENV_BEGIN)
    try:
        end = lines.index(ENV_END, begin)
    except ValueError:
        # The end mark was deleted by hand: the block's lines are those that follow directly.
        end = begin
        while end + 1 < len(lines) and lines[end + 1].startswith("COMPOSE_"):
            end += 1
    return lines[:begin] + lines[end + 1 :]
