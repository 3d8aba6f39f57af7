"""Search for a complete file in a folder whose owner may be hostile.

Links are never followed, nothing but regular files is opened, and how much is read and listed is bounded.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torrentnet.adapters.observer.settings import WantedFile
    from torrentnet.runtime.system import System

MAX_ENTRIES: Final = 10_000
"""Names that one search reads."""
MAX_DEPTH: Final = 12
MAX_CANDIDATES: Final = 64
"""Files of the right size that one search hashes."""
BLOCK: Final = 1 << 20
SHARE_OF_TIME: Final = 0.2
"""Most of the time that is spent on hashing files that keep changing."""
REHASH_INTERVAL: Final = 2.0
"""A file that seems unchanged is hashed again after this time: a mapped file may change unseen."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Candidate:
    """A regular file of the wanted size."""

    path: str
    """Relative to the folder that was searched."""
    version: tuple[int, int, int, int]
    """Device, inode, and the times of the last changes: differs when the file has changed."""


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file's path and the SHA-256 of its content."""

    path: str
    sha256: str


def find_files(folder: Path, size: int) -> list[Candidate]:
    """Return the regular files of that size below a folder, within the limits."""
    return [Candidate(path, version) for path, version, _ in _walk(folder, size, hashes=False)]


def hash_files(folder: Path, size: int) -> list[HashedFile]:
    """Return the files of that size that have the same hash twice."""
    first = {path: sha256 for path, _, sha256 in _walk(folder, size, hashes=True)}
    again = {path: sha256 for path, _, sha256 in _walk(folder, size, hashes=True)}
    return [HashedFile(path, sha256) for path, sha256 in sorted(again.items()) if sha256 and first.get(path) == sha256]


def _walk(
    folder: Path, size: int, *, hashes: bool, wanted: frozenset[str] | None = None
) -> Iterator[tuple[str, tuple[int, int, int, int], str]]:
    """Yield path, version and, if asked for, hash of each file of that size."""
    entries = candidates = 0
    pending = [("", 0)]
    while pending:
        prefix, depth = pending.pop()
        try:
            descriptor = _open_folder(folder, prefix)
        except OSError:
            continue
        try:
            with os.scandir(descriptor) as found:
                for entry in found:
                    entries += 1
                    if entries > MAX_ENTRIES or candidates >= MAX_CANDIDATES:
                        return
                    with contextlib.suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        path = f"{prefix}{entry.name}"
                        if stat.S_ISDIR(status.st_mode) and depth < MAX_DEPTH:
                            pending.append((f"{path}/", depth + 1))
                        elif stat.S_ISREG(status.st_mode) and status.st_size == size:
                            candidates += 1
                            version = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
                            reads = hashes and (wanted is None or path in wanted)
                            yield path, version, _hash(entry.name, descriptor, size) if reads else ""
        except OSError:
            continue
        finally:
            os.close(descriptor)


def _open_folder(folder: Path, prefix: str) -> int:
    """Open a folder below another one step by step, so that no step is a link."""
    descriptor = os.open(folder, _FOLDER)
    for name in prefix.split("/")[:-1]:
        try:
            below = os.open(name, _FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def _hash(name: str, folder: int, size: int) -> str:
    """Return a file's hash; empty if it is no regular file of that size any more."""
    try:
        descriptor = os.open(name, _FILE, dir_fd=folder)
    except OSError:
        return ""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return ""
        digest = hashlib.sha256()
        left = size
        while left and (data := os.read(descriptor, min(left, BLOCK))):
            digest.update(data)
            left -= len(data)
        return "" if left or os.read(descriptor, 1) else digest.hexdigest()
    except OSError:
        return ""
    finally:
        os.close(descriptor)


class FileSearch:
    """Repeated search for a file's content in the node's directory, under any name.

    Not thread-safe: one thread calls :meth:`look`.
    """

    def __init__(self, folder: Path, wanted: WantedFile, system: System) -> None:
        self._folder = folder
        self._wanted = wanted
        self._system = system
        self._hashed: dict[str, tuple[tuple[int, int, int, int], float]] = {}
        self._pause_until = 0.0

    def look(self, *, last: bool = False) -> str | None:
        """Return the path of a file that has the right hash, twice; None without one.

        ``last`` hashes every candidate, however recently it was hashed.
        """
        now = self._system.monotonic()
        if now < self._pause_until and not last:
            return None
        found = find_files(self._folder, self._wanted.size)
        due = [one.path for one in found if last or self._is_due(one, now)]
        if not due:
            return None
        self._hashed = {path: seen for path, seen in self._hashed.items() if path in {one.path for one in found}}
        right = None
        for path, version, sha256 in _walk(self._folder, self._wanted.size, hashes=True, wanted=frozenset(due)):
            if path in due:
                self._hashed[path] = (version, now)
            if sha256 == self._wanted.sha256 and self._again(path) == sha256:
                right = path
                break
        took = self._system.monotonic() - now
        self._pause_until = now + took / SHARE_OF_TIME
        return right

    def _is_due(self, candidate: Candidate, now: float) -> bool:
        seen = self._hashed.get(candidate.path)
        return seen is None or seen[0] != candidate.version or now >= seen[1] + REHASH_INTERVAL

    def _again(self, path: str) -> str:
        hashes = _walk(self._folder, self._wanted.size, hashes=True, wanted=frozenset({path}))
        return next((sha256 for found, _, sha256 in hashes if found == path), "")
