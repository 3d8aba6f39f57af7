"""A program's files: a bounded copy of a folder, or of an archive's content.

Whoever wrote the files is a stranger. Nothing but plain files and folders is copied, below one new folder, and never
more than the limits allow, whatever an archive says about itself.

Tested by tests/unit/lab/scenario/programs/test_files.py.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final

from torrentnet.lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 50 * 2**20
"""Of all files together."""
MAX_ENTRIES: Final = 5000
"""Files and folders."""
MAX_NAME_BYTES: Final = 200
"""Of one part of a path."""
MAX_PATH_BYTES: Final = 1000
MAX_DEPTH: Final = 20
CHUNK: Final = 64 * 1024
SKIPPED: Final = frozenset(
    {".git", ".hg", ".svn", "__pycache__", ".venv", "node_modules", "__MACOSX", ".DS_Store", ".torrentnet"}
)
"""Names that are left out: caches, and what tools keep beside the files."""
_LEAVE_OUT: Final = "leave out data, caches and virtual environments"


class ProgramFilesError(UsageError):
    """A program's files cannot be used; the message has the path that the user named."""


class Copier:
    """Writes files below one new folder, and counts them."""

    def __init__(self, shown: str, target: Path) -> None:
        self._shown = shown
        self._target = target
        self._written = 0
        self._entries = 0
        self._kinds: dict[PurePosixPath, str] = {}

    def refuse(self, text: str, hint: str = "") -> ProgramFilesError:
        """Return the error for something that is wrong with these files."""
        return ProgramFilesError(f"{self._shown}: {text}", hint=hint)

    def too_many(self) -> ProgramFilesError:
        """Return the error for more entries than are allowed."""
        return self.refuse(f"there are more than {MAX_ENTRIES} files and folders", _LEAVE_OUT)

    def take(self, name: str) -> PurePosixPath | None:
        """Check and count an entry's name.

        Returns its path below the folder, or None for one that is left out.
        """
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise self.too_many()
        if not name.isprintable():
            shown = name[:40].encode("unicode_escape").decode()
            raise self.refuse(f"the name `{shown}` has a character that cannot be printed", "rename that file")
        text = name.replace("\\", "/")
        if text.startswith("/") or (len(text) > 1 and text[1] == ":"):
            raise self.refuse(f"`{name[:80]}` is an absolute path", "pack the files by paths relative to their folder")
        path = PurePosixPath(text)
        if ".." in path.parts:
            raise self.refuse(
                f"`{name[:80]}` leads out of the folder", "pack the files by paths relative to their folder"
            )
        encoded = [len(os.fsencode(part)) for part in path.parts]
        if len(encoded) > MAX_DEPTH or sum(encoded) > MAX_PATH_BYTES or max(encoded, default=0) > MAX_NAME_BYTES:
            raise self.refuse(f"the path `{name[:40]}…` is too long or too deep", "rename that file")
        return None if not path.parts or SKIPPED & set(path.parts) else path

    def add_folder(self, path: PurePosixPath) -> None:
        """Make a folder, and those above it."""
        for parent in (*reversed(path.parents[:-1]), path):
            if self._kinds.setdefault(parent, "folder") != "folder":
                raise self.refuse(f"`{parent}` is a file and a folder", "pack it again")
        (self._target / path).mkdir(parents=True, exist_ok=True)

    def add_file(self, path: PurePosixPath, source: IO[bytes], *, executable: bool) -> None:
        """Write a file."""
        if path.parent.parts:
            self.add_folder(path.parent)
        if self._kinds.setdefault(path, "file") == "folder":
            raise self.refuse(f"`{path}` is a file and a folder", "pack it again")
        target = self._target / path
        try:
            with target.open("xb") as file:
                while data := source.read(CHUNK):
                    self._written += len(data)
                    if self._written > MAX_BYTES:
                        limit = f"more than {MAX_BYTES // 2**20} MiB of files"
                        raise self.refuse(f"there are {limit}; the limit was passed in `{path}`", _LEAVE_OUT)
                    file.write(data)
        except FileExistsError:
            raise self.refuse(f"`{path}` is there twice", "pack it again") from None
        if executable:
            target.chmod(0o755)


def copy_folder(folder: Path, shown: str, target: Path) -> None:
    """Copy a folder's files. Raises ProgramFilesError."""
    copier = Copier(shown, target)
    root = folder.resolve()
    for path, entry in _walk(folder, PurePosixPath(), copier):
        mode = entry.stat(follow_symlinks=False).st_mode
        source = Path(entry.path)
        if stat.S_ISLNK(mode):
            source = Path(os.path.realpath(source))
            if not source.is_relative_to(root) or not source.is_file():
                raise copier.refuse(f"`{path}` is a link that leads to no file of this folder", "copy the file there")
            mode = source.stat().st_mode
        if stat.S_ISDIR(mode):
            copier.add_folder(path)
        elif stat.S_ISREG(mode):
            try:
                with source.open("rb") as file:
                    copier.add_file(path, file, executable=bool(mode & stat.S_IXUSR))
            except PermissionError:
                raise copier.refuse(f"`{path}` cannot be read", "make it readable, or remove it") from None
        else:
            raise copier.refuse(f"`{path}` is neither a file nor a folder", "remove it")


def _walk(folder: Path, below: PurePosixPath, copier: Copier) -> Iterator[tuple[PurePosixPath, os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as found:
            for entry in found:  # counted as they come: a folder may have any number of them
                path = copier.take(str(below / entry.name)) if entry.name not in SKIPPED else None
                if path is None:
                    continue
                yield path, entry
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(Path(entry.path), path, copier)
    except PermissionError:
        raise copier.refuse(f"the folder `{below}` cannot be read", "make it readable, or remove it") from None


def measure(folder: Path) -> tuple[str, int]:
    """Return the SHA-256 of a folder's names and contents, and the bytes of its files.

    The former is in hexadecimal.
    """
    digest, size = hashlib.sha256(), 0
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            digest.update(b"folder\0%s\0" % os.fsencode(path.relative_to(folder)))
            continue
        content = path.read_bytes()
        kind = b"program" if path.stat().st_mode & stat.S_IXUSR else b"file"
        digest.update(b"%s\0%s\0%d\0" % (kind, os.fsencode(path.relative_to(folder)), len(content)))
        digest.update(content)
        size += len(content)
    return digest.hexdigest(), size
