"""The file, or the pipe, that a capture is written to: always whole blocks."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Final

from torrentnet.lab.capture.pcapng import MAGIC
from torrentnet.lab.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_NUMBER: Final = 1000


class BlockFile:
    """Writes blocks to a descriptor. It owns the descriptor."""

    def __init__(self, descriptor: int, name: str) -> None:
        """``name`` is what a person is told."""
        self.name = name
        self._descriptor = descriptor
        self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._size = 0

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._descriptor < 0

    def write(self, blocks: bytes) -> None:
        """Write whole blocks.

        Where that fails, a file keeps the blocks that were written before. Raises OSError.
        """
        rest = memoryview(blocks)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            if self._regular:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(blocks)

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with contextlib.suppress(OSError):
                os.close(descriptor)


def open_new(folder: Path, stem: str = "capture") -> BlockFile:
    """Create a file in a folder under the first name that is free. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, MAX_NUMBER):
        path = folder / (f"{stem}.pcapng" if number == 1 else f"{stem}-{number}.pcapng")
        with contextlib.suppress(FileExistsError):
            return BlockFile(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), str(path))
    raise UsageError(f"{folder} has {MAX_NUMBER - 1} captures already", hint="name a file with `-o FILE`")


def open_given(path: Path) -> BlockFile:
    """Open the file or the pipe that a user has named.

    A capture is replaced. Raises OSError, and UsageError for any other file.
    """
    if path.exists() and not path.is_file():
        # A pipe: opened for reading too, it would never lack a reader.
        return BlockFile(os.open(path, os.O_WRONLY | os.O_CLOEXEC), str(path))
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if os.pread(descriptor, len(MAGIC), 0) not in {b"", MAGIC}:
            raise UsageError(
                f"{path} exists and is no capture, so that it is not overwritten",
                hint="name another file, or remove this one",
            )
        os.ftruncate(descriptor, 0)
        return BlockFile(descriptor, str(path))
    except BaseException:
        os.close(descriptor)
        raise
