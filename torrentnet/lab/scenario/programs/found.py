"""What is found at a path: a program's files, and how it is started.

Tested by tests/unit/lab/scenario/programs/test_found.py.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import ScenarioError, UsageError, system_error
from torrentnet.lab.scenario.language.models.programs import ManifestModel, check_image
from torrentnet.lab.scenario.language.scalars import InvalidValueError
from torrentnet.lab.scenario.programs.archive import is_archive, unpack
from torrentnet.lab.scenario.programs.detection import detect
from torrentnet.lab.scenario.programs.files import ProgramFilesError, copy_folder, measure
from torrentnet.lab.workspace import remove_folder, workspace

if TYPE_CHECKING:
    from collections.abc import Iterable

IMAGE_PREFIX: Final = "image:"
_KINDS: Final = "name a folder, a zip, a tar (.tar, .tar.gz, .tar.bz2, .tar.xz), or `image:NAME`"


@dataclass(frozen=True, slots=True)
class FoundProgram:
    """A program at a path, or in an image."""

    shown: str
    """The path as it was given."""
    folder: Path | None = None
    """A private copy of its files, see :mod:`torrentnet.lab.workspace`; None for an image."""
    digest: str = ""
    size: int = 0
    manifest: ManifestModel | None = None
    reason: str = ""
    """By what its command lines were found."""
    image: str = ""
    dockerfile: str = ""


def find_program(
    path: str | os.PathLike[str],
    option: str = "",
    *,
    shown_as: str = "",
    roles: Iterable[str] = (),
    commanded: bool = False,
) -> FoundProgram:
    """Return the program at a path: a folder, an archive or ``image:NAME``.

    ``option`` is the command line's option in messages; ``roles`` and ``commanded`` are as of :func:`detect`.

    Raises UsageError where there is no program, or several; ScenarioError where its ``torrentnet.yaml`` is wrong.
    """
    text = os.fspath(path)
    shown = shown_as or text
    try:
        if text.startswith(IMAGE_PREFIX):
            return _image(text.removeprefix(IMAGE_PREFIX), commanded=commanded)
        return _at(Path(text), shown, roles, commanded=commanded)
    except ScenarioError:
        raise
    except UsageError as error:
        # Its text begins with the path.
        flag = option.partition(" ")[0]
        raise ProgramFilesError(f"{flag} {error.message}" if flag else error.message, hint=error.hint) from error


def _image(name: str, *, commanded: bool) -> FoundProgram:
    try:
        check_image(name)
    except InvalidValueError as error:
        raise UsageError(error.text, hint=error.hint) from error
    if not commanded:
        raise UsageError(
            f"image:{name}: nothing says which command lines to run",
            hint=f"write them in a scenario: `programs: {{mine: {{image: {name}, get: COMMAND}}}}`",
        )
    return FoundProgram(f"{IMAGE_PREFIX}{name}", image=name)


def _at(path: Path, shown: str, roles: Iterable[str], *, commanded: bool) -> FoundProgram:
    try:
        if not path.exists():
            raise UsageError(f"{shown}: there is no such folder or archive", hint=_KINDS)
        if not path.is_dir() and not path.is_file():
            raise UsageError(f"{shown}: this is neither a folder nor an archive", hint=_KINDS)
        if path.is_file() and not is_archive(path):
            hint = f"name its folder: {path.parent}" if path.suffix in {".py", ".yaml", ".yml"} else _KINDS
            raise UsageError(f"{shown}: this file is no archive", hint=hint)
    except PermissionError:
        raise UsageError(f"{shown}: it cannot be read", hint="make it readable") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{shown[:40]}…: this is no path: {why}", hint=_KINDS) from error
    staged = workspace().new_folder()
    try:
        (copy_folder if path.is_dir() else unpack)(path, shown, staged)
        found = detect(staged, shown, roles, commanded=commanded)
        digest, size = measure(found.folder)
        folder = workspace().keep(found.folder, digest)
    except OSError as error:
        raise system_error(error) from error
    finally:
        remove_folder(staged)
    return FoundProgram(shown, folder, digest, size, found.manifest, found.reason, dockerfile=found.dockerfile)
