"""How the program in a folder is started.

Its ``torrentnet.yaml`` says so, or the names of its files.

Tested by tests/unit/lab/scenario/programs/test_detection.py.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.models.programs import ROLES, ManifestModel
from torrentnet.lab.scenario.programs.files import ProgramFilesError
from torrentnet.lab.scenario.programs.manifest import MANIFESTS, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_LEVEL: Final = 3
"""Folders below the given one in which is looked."""
INTERPRETERS: Final[Mapping[str, tuple[str, ...]]] = {
    ".py": ("python3",),
    ".js": ("node",),
    ".mjs": ("node",),
    ".rb": ("ruby",),
    ".pl": ("perl",),
    ".sh": ("sh",),
    ".jar": ("java", "-jar"),
}
"""What runs a file, by the end of its name."""
COMPILED: Final = ("", ".bin", ".out", ".elf")
"""Ends of the names of files that run by themselves."""
DOCKERFILE: Final = "Dockerfile"
REQUIREMENTS: Final = "requirements.txt"
ARGUMENTS: Final = {
    "tracker": "{ip}:{port}",
    "share": "share {file} {tracker} {listen}",
    "get": "get {file} {tracker} {listen}",
}
"""What the assignment's programs are told."""
_STEMS: Final = {"tracker": ("tracker",), "peer": ("share", "get")}
"""Names of the assignment's programs, and the roles that they play."""
MANIFEST_HINT: Final = (
    "write a torrentnet.yaml beside them: `tracker: COMMAND {ip}:{port}`, `share: COMMAND {file} {tracker} {listen}`"
    " and `get: COMMAND {file} {tracker} {listen}`"
)
_ONE: Final = "name the folder of one, or write a torrentnet.yaml above them"
MAX_LISTED: Final = 8


@dataclass(frozen=True, slots=True)
class Detected:
    """How a program is started, and why that is believed."""

    folder: Path
    """The program's own folder."""
    manifest: ManifestModel
    reason: str
    dockerfile: str = ""


@dataclass(frozen=True, slots=True)
class _Folders:
    """The files of a program's folder, as far down as is looked."""

    root: Path
    shown: str
    files: tuple[PurePosixPath, ...]
    """Relative to the root, from the top down."""

    def named(self, *names: str) -> list[PurePosixPath]:
        """Return the files of these names."""
        return [file for file in self.files if file.name in names]

    def topmost(self, found: list[PurePosixPath], what: str) -> PurePosixPath | None:
        """Return the one that is nearest to the top.

        Raises ProgramFilesError where there are several.
        """
        if not found:
            return None
        least = min(len(file.parts) for file in found)
        nearest = [file for file in found if len(file.parts) == least]
        if len(nearest) > 1:
            raise ProgramFilesError(f"{self.shown}: there are {len(nearest)} {what}: {listed(nearest)}", hint=_ONE)
        return nearest[0]

    def runnable(self, folder: PurePosixPath, stem: str) -> list[PurePosixPath]:
        """Return a folder's files of that name which can be run."""
        return [file for file in self.files if file.parent == folder and _runs(self.root / file, stem)]


def _runs(path: Path, stem: str) -> bool:
    if path.stem.lower() != stem:
        return False
    return path.suffix.lower() in INTERPRETERS or (path.suffix.lower() in COMPILED and os.access(path, os.X_OK))


def listed(paths: Iterable[object]) -> str:
    """Return a list of a few paths."""
    names = [f"`{path}`" for path in paths]
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more


def detect(root: Path, shown: str, roles: Iterable[str] = (), *, commanded: bool = False) -> Detected:
    """Return how the program below ``root`` is started.

    ``shown`` is the folder's name in messages. ``roles`` are what it must be able to play: by default the tracker and
    both kinds of peers. With ``commanded`` somebody else says its command lines.

    Raises ScenarioError where its ``torrentnet.yaml`` is wrong, ProgramFilesError where nothing or several things are
    found.
    """
    folders = _Folders(root, shown, tuple(_files(root)))
    written = folders.topmost(folders.named(*MANIFESTS), "`torrentnet.yaml`")
    recipe = folders.topmost(folders.named(DOCKERFILE), "`Dockerfile`")
    manifest = ManifestModel.model_validate({})
    if written is not None:
        manifest = read_manifest(root / written, f"{shown}/{written}")
        base, reason = written.parent, f"`{written}`"
        recipe = next((file for file in folders.named(DOCKERFILE) if file.parent == base), None)
        if not any(getattr(manifest, role) for role in ROLES) and not commanded:
            manifest = _with_commands(folders, manifest, base, list(roles))
    elif commanded:
        base = recipe.parent if recipe is not None else _unwrapped(folders)
        reason = "the command lines of the scenario"
    else:
        place = _only_folder(folders, list(roles), recipe)
        base = _base(folders, place, recipe)
        if recipe is not None and recipe.parent != base:
            recipe = None
        manifest = _with_commands(folders, manifest, base, list(roles), place)
        names = [file.name for stem in _STEMS for file in folders.runnable(place, stem)]
        reason = " and ".join(f"`{name}`" for name in names) + (f" in `{place}`" if place.parts else "")
    if manifest.install is None and (root / base / REQUIREMENTS).is_file():
        manifest = manifest.model_copy(update={"install": REQUIREMENTS})
    dockerfile = recipe.name if recipe is not None and manifest.image is None else ""
    return Detected(root / base, manifest, reason, dockerfile)


def _files(root: Path) -> list[PurePosixPath]:
    found: list[PurePosixPath] = []
    for path, names, files in os.walk(root):
        below = PurePosixPath(Path(path).relative_to(root))
        names.sort()
        if len(below.parts) >= MAX_LEVEL:
            names.clear()
        found += [below / name for name in sorted(files)]
    return sorted(found, key=lambda file: (len(file.parts), str(file)))


def _unwrapped(folders: _Folders) -> PurePosixPath:
    """Return the first folder with more than one folder in it.

    Archives often wrap everything in one.
    """
    below = PurePosixPath()
    while len(entries := list((folders.root / below).iterdir())) == 1 and entries[0].is_dir():
        below /= entries[0].name
    return below


def _only_folder(folders: _Folders, roles: list[str], recipe: PurePosixPath | None) -> PurePosixPath:
    """Return the only folder with the files that the roles need."""
    stems = [stem for stem, played in _STEMS.items() if not roles or set(played) & set(roles)]
    places = dict.fromkeys(file.parent for file in folders.files)
    found = [place for place in places if all(folders.runnable(place, stem) for stem in stems)]
    whole = [place for place in found if all(folders.runnable(place, stem) for stem in _STEMS)]
    if len(whole) == 1:
        return whole[0]
    if len(found) > 1:
        names = listed(place if place.parts else "." for place in found)
        raise ProgramFilesError(f"{folders.shown}: {len(found)} folders have {_stems_text(stems)}: {names}", hint=_ONE)
    if found:
        return found[0]
    some = [file for stem in _STEMS for place in places for file in folders.runnable(place, stem)]
    if recipe is not None and not some:
        raise ProgramFilesError(
            f"{folders.shown}: there is `{recipe}`, and nothing says which command lines to run", hint=MANIFEST_HINT
        )
    if some:
        text = f"there is {listed(some)}, and no folder has {_stems_text(stems)}"
    elif folders.files:
        text = f"no folder has {_stems_text(stems)}; there is {listed(folders.files)}"
    else:
        text = f"there are no files in it, nor in the {MAX_LEVEL} folders below"
        raise ProgramFilesError(f"{folders.shown}: {text}", hint="name the folder with the program")
    raise ProgramFilesError(f"{folders.shown}: {text}", hint=MANIFEST_HINT)


def _stems_text(stems: list[str]) -> str:
    return " and ".join(f"`{stem}.*`" for stem in stems)


def _base(folders: _Folders, place: PurePosixPath, recipe: PurePosixPath | None) -> PurePosixPath:
    """Return the folder in which the program runs.

    It is that of its files, or one above that has its ``Dockerfile`` or its requirements.
    """
    for folder in (place, *place.parents):
        if recipe is not None and recipe.parent == folder:
            return folder
        if (folders.root / folder / REQUIREMENTS).is_file():
            return folder
    return place


def _with_commands(
    folders: _Folders,
    manifest: ManifestModel,
    base: PurePosixPath,
    roles: list[str],
    place: PurePosixPath | None = None,
) -> ManifestModel:
    """Return the manifest with the assignment's command lines for a folder's files."""
    place = _only_folder(folders, roles, None) if place is None else place
    found: dict[str, str] = {}
    for stem, played in _STEMS.items():
        files = folders.runnable(place, stem)
        if len(files) > 1:
            raise ProgramFilesError(
                f"{folders.shown}: `{stem}` can be {listed(files)}",
                hint=f"remove all but one, or write a torrentnet.yaml: `{played[0]}: COMMAND {ARGUMENTS[played[0]]}`",
            )
        for file in files:
            words = shlex.join(_runner(file.relative_to(base)))
            found.update({role: f"{words} {ARGUMENTS[role]}" for role in played})
    return manifest.model_copy(update=found)


def _runner(file: PurePosixPath) -> tuple[str, ...]:
    return (*INTERPRETERS[file.suffix.lower()], str(file)) if file.suffix.lower() in INTERPRETERS else (f"./{file}",)
