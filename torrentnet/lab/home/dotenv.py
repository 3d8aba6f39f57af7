"""The marked block in ``.env`` with which plain ``docker compose`` commands find the lab that is up.

A checkout's ``.env`` may have other lines; they are the user's. An installed lab belongs to somebody's project, and
leaves its ``.env`` and its Compose files alone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from torrentnet.lab.paths import checkout, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

ENV_FILE: Final = ".env"
ENV_BEGIN: Final = "# >>> torrentnet: written by `up`, removed by `down`"
ENV_END: Final = "# <<< torrentnet"
PROJECT_PREFIX: Final = "COMPOSE_PROJECT_NAME="
COMPOSE_FILES: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""What ``docker compose`` reads in a directory that has no block."""


def write_env_block(home: Path, project: str, compose_files: list[Path]) -> None:
    """Write the block for a lab, in place of an earlier one; do nothing where the directory is somebody else's."""
    lines = _read_lines(home)
    theirs = bool(_without_block(lines)) or any((home / name).exists() for name in COMPOSE_FILES)
    if checkout() is None and (theirs or not os.access(home, os.W_OK)):
        return
    names = [str(path.relative_to(home)) if path.is_relative_to(home) else str(path) for path in compose_files]
    block = [ENV_BEGIN, f"{PROJECT_PREFIX}{project}", f"COMPOSE_FILE='{os.pathsep.join(names)}'", ENV_END]
    # Joining lines also ends a last line that had no newline.
    write_atomically(home / ENV_FILE, "\n".join([*_without_block(lines), *block]) + "\n")


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


def compose_command(home: Path, project: str) -> str:
    """Return what stands before ``ps`` and the like: ``docker compose``, with the project where no block names it."""
    named = f"{PROJECT_PREFIX}{project}" in _read_lines(home)
    return "docker compose" if named else f"docker compose -p {project}"


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
