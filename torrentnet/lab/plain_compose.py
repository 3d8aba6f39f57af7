"""The file by which plain ``docker compose`` commands find the lab that is up.

Without ``-f`` Compose reads the Compose file of the current directory and its override. While a lab is up its generated
file stands there: beside the checkout's ``docker-compose.yml`` as the override, and elsewhere as ``compose.yaml``. The
file is a new one: no file of the user is read, changed or replaced. Where the user has files of those names, or
variables that make Compose read others, the lab's own file must be named, and :func:`compose_command` does so.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from typing import TYPE_CHECKING, Final

from torrentnet.lab.paths import files_root, relative_to_home, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MARK: Final = "# Written by torrentnet "
"""How a file of ours begins."""
BASE: Final = "docker-compose.yml"
ALONE: Final = "compose.yaml"
COMPOSE_FILES: Final = (ALONE, "compose.yml", "docker-compose.yaml", BASE)
"""What Compose looks for in a directory."""
OVERRIDE: Final = "docker-compose.override.yml"
OVERRIDES: Final = (OVERRIDE, "docker-compose.override.yaml", "compose.override.yaml", "compose.override.yml")
"""What Compose adds to such a file."""
REDIRECTING: Final = ("COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "COMPOSE_ENV_FILES")
"""Variables with which plain Compose commands mean another project, or need other files."""


def publish(home: Path, generated: Path) -> None:
    """Let plain Compose commands in ``home`` find the lab of a generated file.

    Nothing is written where that would need a change of the user's own files, or where ``home`` is read-only.
    """
    target = _target(home)
    if target is not None:
        with contextlib.suppress(OSError):
            write_atomically(target, generated.read_text(encoding="utf-8"))


def withdraw(home: Path, project: str | None = None) -> None:
    """Remove the file that :func:`publish` has written for a project, or for any."""
    for name in (OVERRIDE, ALONE):
        if _is_ours(home / name, project):
            with contextlib.suppress(OSError):
                (home / name).unlink()


def compose_command(home: Path, project: str, generated: Path) -> str:
    """Return the command ``docker compose`` as it reaches a project from ``home``."""
    published = any(_is_ours(home / name, project) for name in (OVERRIDE, ALONE))
    if published and not redirecting_variables(os.environ) and not _env_file_redirects(home):
        return "docker compose"
    return f"docker compose -p {project} -f {shlex.quote(relative_to_home(generated, home))}"


def redirecting_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the variables because of which plain Compose commands miss the lab."""
    return [name for name in REDIRECTING if environment.get(name)]


def _target(home: Path) -> Path | None:
    """Return the file to write; None where the user's own files forbid one."""
    base = home / BASE
    if base.exists() and base.samefile(files_root() / BASE):
        ours, others = home / OVERRIDE, [*OVERRIDES, *(name for name in COMPOSE_FILES if name != BASE)]
    else:
        ours, others = home / ALONE, [*COMPOSE_FILES]
    foreign = [name for name in others if os.path.lexists(home / name) and not _is_ours(home / name)]
    return None if foreign else ours


def _is_ours(path: Path, project: str | None = None) -> bool:
    if path.is_symlink():
        return False
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return text.startswith(MARK) and (project is None or f"name: {project}" in text.splitlines())


def _env_file_redirects(home: Path) -> bool:
    """Return whether the user's ``.env`` sets one of :data:`REDIRECTING`."""
    try:
        lines = (home / ".env").read_bytes().splitlines()
    except OSError:
        return False
    names = [line.partition(b"=")[0].strip().removeprefix(b"export ").strip() for line in lines]
    return any(name.encode() in names for name in REDIRECTING)
