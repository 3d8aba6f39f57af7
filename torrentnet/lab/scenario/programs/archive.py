"""Zip and tar archives of a program, read as a stranger's files.

What an archive says of its sizes and counts is not believed: bytes are counted while they are decompressed, and no
single read is larger than a few megabytes.

Tested by tests/unit/lab/scenario/programs/test_archive.py.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Final, cast

from torrentnet.lab.errors import system_error
from torrentnet.lab.scenario.programs.files import CHUNK, MAX_BYTES, MAX_ENTRIES, Copier

if TYPE_CHECKING:
    from pathlib import Path

MAX_ARCHIVE: Final = 64 * 2**20
"""Bytes of the archive itself."""
MAX_READ: Final = 4 * 2**20
"""Bytes of one read; a zip's directory is read at once."""
MAX_TAR: Final = MAX_BYTES + MAX_ENTRIES * 4096
"""Bytes of a tar archive when it is decompressed, its headers included."""
XZ_MEMORY: Final = 128 * 2**20
_ZIP_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2})
_ENCRYPTED: Final = 1
_DAMAGED: Final = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    NotImplementedError,
    zlib.error,
    lzma.LZMAError,
)
ZIP_MAGIC: Final = b"PK"


class _TooLargeError(Exception):
    """More was to be read than any honest archive needs."""


class _BoundedReader(io.RawIOBase):
    """A stream of which a number of bytes can be read, and at once :data:`MAX_READ`."""

    def __init__(self, source: IO[bytes], most: int | None) -> None:
        self._source = source
        self._left = most

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = MAX_READ + 1
        elif self._left is None and size > MAX_READ:
            raise _TooLargeError
        data = self._source.read(min(size, MAX_READ + 1))
        if len(data) > MAX_READ:
            raise _TooLargeError
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise _TooLargeError
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        return self._source.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


class _XzReader:
    """The content of an xz file, decompressed in bounded memory."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._decompressor = lzma.LZMADecompressor(memlimit=XZ_MEMORY)

    def read(self, size: int) -> bytes:
        while not self._decompressor.eof:
            data = self._source.read(CHUNK) if self._decompressor.needs_input else b""
            if not data and self._decompressor.needs_input:
                raise EOFError
            if found := self._decompressor.decompress(data, max_length=size):
                return found
        return b""


def is_archive(path: Path) -> bool:
    """Return whether a file looks like an archive of a kind that can be read."""
    with path.open("rb") as file:
        head = file.read(512)
    return head.startswith((ZIP_MAGIC, b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")) or head[257:262] == b"ustar"


def unpack(path: Path, shown: str, target: Path) -> None:
    """Write an archive's files below a new folder. Raises ProgramFilesError."""
    copier = Copier(shown, target)
    if path.stat().st_size > MAX_ARCHIVE:
        raise copier.refuse(
            f"the archive has more than {MAX_ARCHIVE // 2**20} MiB", "leave out data, caches and virtual environments"
        )
    try:
        with path.open("rb") as file:
            if file.read(2) == ZIP_MAGIC:
                _unpack_zip(cast("IO[bytes]", _BoundedReader(file, None)), copier)
            else:
                file.seek(0)
                _unpack_tar(file, copier)
    except _TooLargeError:
        raise copier.refuse(
            f"the archive has more than {MAX_BYTES // 2**20} MiB of files, or of names",
            "leave out data, caches and virtual environments",
        ) from None
    except _DAMAGED as error:
        # A damaged archive names places before its beginning.
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
            raise system_error(error) from error
        what = str(error) or type(error).__name__
        raise copier.refuse(f"the archive is damaged: {what[:100]}", "pack it again, as zip or tar.gz") from error


def _unpack_zip(file: IO[bytes], copier: Copier) -> None:
    with zipfile.ZipFile(file) as archive:
        if len(archive.infolist()) > MAX_ENTRIES:
            raise copier.too_many()
        for entry in archive.infolist():
            path = copier.take(entry.filename)
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise _special(copier, entry.filename, link=kind == stat.S_IFLNK)
            if path is None:
                continue
            if entry.is_dir() or kind == stat.S_IFDIR:
                copier.add_folder(path)
                continue
            if entry.flag_bits & _ENCRYPTED:
                raise copier.refuse(f"`{path}` is encrypted", "pack it without a password")
            if entry.compress_type not in _ZIP_METHODS:
                raise copier.refuse(f"`{path}` is compressed by an unusual method", "pack it again, as zip or tar.gz")
            with archive.open(entry) as content:
                copier.add_file(path, content, executable=bool(entry.external_attr >> 16 & stat.S_IXUSR))


def _unpack_tar(file: IO[bytes], copier: Copier) -> None:
    magic = file.read(6)
    file.seek(0)
    source: object = file
    if magic.startswith(b"\x1f\x8b"):
        source = gzip.GzipFile(fileobj=file)
    elif magic.startswith(b"BZh"):
        source = bz2.BZ2File(file)
    elif magic.startswith(b"\xfd7zXZ"):
        source = _XzReader(file)
    bounded = cast("IO[bytes]", _BoundedReader(cast("IO[bytes]", source), MAX_TAR))
    with tarfile.open(fileobj=bounded, mode="r|", bufsize=CHUNK, errorlevel=2) as archive:
        for entry in archive:
            path = copier.take(entry.name)
            if not (entry.isreg() or entry.isdir()) or entry.issparse():
                raise _special(copier, entry.name, link=entry.issym() or entry.islnk())
            if path is None:
                continue
            if entry.isdir():
                copier.add_folder(path)
            elif (content := archive.extractfile(entry)) is not None:
                copier.add_file(path, content, executable=bool(entry.mode & stat.S_IXUSR))


def _special(copier: Copier, name: str, *, link: bool) -> Exception:
    what = "a link" if link else "neither a file nor a folder"
    return copier.refuse(f"`{name[:80]}` is {what}, which is never unpacked", "pack the files themselves")
