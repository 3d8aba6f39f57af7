"""Files on disk: open one to share it, or fill one piece by piece.

Pieces are added to a file until it is complete.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from torrentnet.peer.storage.hashing import NOT_HASHED, hash_pieces
from torrentnet.runtime.system import MACHINE
from torrentnet.wire.errors import LocalError, os_error_text
from torrentnet.wire.info import HASH_SIZE, MAX_PIECES, Info, choose_piece_length, make_info, piece_count
from torrentnet.wire.names import MAX_FILE_NAME
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torrentnet.runtime.system import System

PART_SUFFIX: Final = ".part"
_DIGEST_DIGITS: Final = 16
"""Hexadecimal digits that replace the end of a name which is too long for the suffix."""

ProgressCallback: TypeAlias = "Callable[[int, int], None]"
"""Called with the bytes done and the bytes in total."""


class StorageError(LocalError):
    """The file system refused an operation, or a file must not be overwritten."""


class FileStamp(NamedTuple):
    """What a write to a file changes."""

    size: int
    modified_ns: int


def take_stamp(descriptor: int) -> FileStamp:
    """Return the present stamp of an open file."""
    status = os.fstat(descriptor)
    return FileStamp(status.st_size, status.st_mtime_ns)


@dataclass(eq=False, slots=True)
class FileStore:
    """An open file of a swarm."""

    path: Path
    final_path: Path
    """The path of the complete file."""
    descriptor: int
    info: Info
    held: PieceSet
    """The verified pieces."""
    stamp: FileStamp | None = None
    """What another program's write would change, as of the last own write; None if writes are not noticed."""
    _suspect: bool = False
    """Whether another program has written to the file since it was verified."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write_piece(self, piece: int, data: bytes | bytearray | memoryview) -> bool:
        """Verify a piece and write it at its offset; return whether its hash is right.

        A piece with a wrong hash is not written. The caller updates :attr:`held` in its own thread. Raises
        :class:`StorageError`.
        """
        if hashlib.sha1(data, usedforsecurity=False).digest() != self.info.piece_hash(piece):
            return False
        view = memoryview(data)
        offset = piece * self.info.piece_length
        try:
            # The lock keeps the own writes of two threads apart, which the file system does anyway.
            with self._lock:
                self._suspect = self._suspect or self.was_touched()
                while view:
                    written = os.pwrite(self.descriptor, view, offset)
                    view, offset = view[written:], offset + written
                if self.stamp is not None:
                    self.stamp = take_stamp(self.descriptor)
        except OSError as error:
            raise storage_error(error, self.path) from error
        return True

    def was_touched(self) -> bool:
        """Return whether another program may have written to the file."""
        return self.stamp is not None and take_stamp(self.descriptor) != self.stamp

    def verify_again(self, cancelled: Callable[[], bool], *, system: System = MACHINE) -> bool:
        """Return whether the complete file has the right size and hashes.

        If so, the file counts as untouched. Raises :class:`StorageError` and :class:`Cancelled`.
        """
        stamp, held = take_stamp(self.descriptor), PieceSet(self.info.pieces)
        try:
            _check_pieces(self.descriptor, self.info, held, lambda done, size: None, cancelled, system)
        except OSError as error:
            raise storage_error(error, self.path) from error
        if not held.is_full or stamp.size != self.info.length:
            return False
        self.stamp, self._suspect = stamp, False
        return True

    def finish(self) -> None:
        """Give the complete ``NAME.part`` its final name, without replacing a file.

        The name is given to the open file, which was verified, not to whatever has its path now. Raises
        :class:`StorageError`.
        """
        final = self.final_path
        if self.path == final:
            return
        try:
            os.fsync(self.descriptor)
            touched = self._suspect or self.was_touched() or os.fstat(self.descriptor).st_size != self.info.length
            if touched and not self.verify_again(lambda: False):
                raise StorageError(
                    f"{self.path} was changed by another program while it was fetched",
                    hint="run the same command again: the pieces that are right are kept",
                )
            self._name(final)
        except FileExistsError:
            raise StorageError(f"{final} has been created meanwhile; {self.path.name} is complete") from None
        except OSError as error:
            raise storage_error(error, final) from error
        self.path = final

    def _name(self, final: Path) -> None:
        if not os.fstat(self.descriptor).st_nlink:
            raise StorageError(
                f"{self.path} was removed or replaced by another program while it was fetched",
                hint="run the same command again",
            )
        try:
            # link(2) fails if the name exists; rename(2) would replace the file. With a directory's descriptor, which
            # an absolute path ignores, Python follows the symbolic link (linkat(2), AT_SYMLINK_FOLLOW).
            os.link(f"/proc/self/fd/{self.descriptor}", final, src_dir_fd=self.descriptor)
            if self._has(self.path):
                os.unlink(self.path)
        except OSError as error:
            # No hard links here, or no /proc.
            if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOENT}:
                raise
            if final.exists():
                raise FileExistsError from None
            if not self._has(self.path):
                raise StorageError(f"{self.path} was replaced by another program while it was fetched") from None
            os.rename(self.path, final)

    def _has(self, path: Path) -> bool:
        """Return whether ``path`` is the open file."""
        try:
            return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(self.descriptor))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def default_piece_length(path: Path) -> int:
    """Return the default piece length in bytes for the file's size."""
    return choose_piece_length(os.path.getsize(path) if os.path.isfile(path) else 0)


def usable_piece_length(path: Path, piece_length: int) -> int:
    """Return ``piece_length``, or the default where it cannot be used.

    It is 0 where it is unknown, and may make more pieces than a file can have.
    """
    size = os.path.getsize(path) if os.path.isfile(path) else 0
    if piece_length and piece_count(size, piece_length) <= MAX_PIECES:
        return piece_length
    return choose_piece_length(size)


def open_complete(
    path: Path,
    piece_length: int,
    on_progress: ProgressCallback,
    cancelled: Callable[[], bool],
    *,
    private: bool = True,
    system: System = MACHINE,
) -> FileStore:
    """Open a complete file to share it, and hash its pieces.

    Each piece has ``piece_length`` bytes. Raises :class:`StorageError` if the file cannot be shared, and
    :class:`Cancelled`.
    """
    descriptor = _open_regular(path, os.O_RDONLY, system)
    with _close_on_failure(descriptor, path):
        stamp = take_stamp(descriptor)
        length = stamp.size
        if piece_count(length, piece_length) > MAX_PIECES:
            raise StorageError(
                f"{path} has {piece_count(length, piece_length)} pieces of {piece_length} bytes;"
                f" at most {MAX_PIECES} are allowed",
                hint="choose a larger --piece-length",
            )
        hashes = hash_pieces(descriptor, length, piece_length, on_progress, cancelled, system=system)
        if os.fstat(descriptor).st_size < length:
            raise StorageError(f"{path} has become shorter while it was hashed")
        if take_stamp(descriptor) != stamp:
            raise StorageError(
                f"{path} was changed while it was hashed", hint="share it once no program writes to it any longer"
            )
    info = make_info(path.name, length, piece_length, bytes(hashes), private=private)
    return FileStore(path, path, descriptor, info, PieceSet.full(info.pieces), stamp)


def open_described(
    path: Path, info: Info, on_progress: ProgressCallback, cancelled: Callable[[], bool], *, system: System = MACHINE
) -> FileStore:
    """Open a complete file to share it as ``info`` describes it.

    All of its pieces are verified. Raises :class:`StorageError` if the file cannot be shared or differs, and
    :class:`Cancelled`.
    """
    differs = StorageError(
        f"{path} is not the file that the .torrent describes",
        hint="share the file that it was made of, or write a new .torrent with --force",
    )
    store = _open_whole(path, info, differs, on_progress, cancelled, system)
    with _close_on_failure(store.descriptor, path):
        if take_stamp(store.descriptor) != store.stamp:
            raise differs
    return store


def _open_whole(
    path: Path,
    info: Info,
    differs: StorageError,
    on_progress: ProgressCallback,
    cancelled: Callable[[], bool],
    system: System,
) -> FileStore:
    """Open a complete file and verify its pieces; raise ``differs`` if one is wrong."""
    held = PieceSet(info.pieces)
    descriptor = _open_regular(path, os.O_RDONLY, system)
    with _close_on_failure(descriptor, path):
        stamp = take_stamp(descriptor)
        if stamp.size == info.length:
            _check_pieces(descriptor, info, held, on_progress, cancelled, system)
        if not held.is_full or os.fstat(descriptor).st_size != info.length:
            raise differs
    return FileStore(path, path, descriptor, info, held, stamp)


def part_path(final_path: Path) -> Path:
    """Return ``NAME.part`` beside ``NAME``.

    A name that is too long for the suffix is cut, and ends with digits of its SHA-1.
    """
    name = final_path.name.encode("utf-8", "surrogateescape")
    if len(name) + len(PART_SUFFIX) > MAX_FILE_NAME:
        digits = hashlib.sha1(name, usedforsecurity=False).hexdigest()[:_DIGEST_DIGITS]
        kept = name[: MAX_FILE_NAME - len(PART_SUFFIX) - len(digits) - 1].decode("utf-8", "ignore")
        return final_path.with_name(f"{kept}~{digits}{PART_SUFFIX}")
    return final_path.with_name(final_path.name + PART_SUFFIX)


def open_part(
    final_path: Path,
    info: Info,
    on_progress: ProgressCallback,
    cancelled: Callable[[], bool],
    *,
    system: System = MACHINE,
) -> FileStore:
    """Open or create ``NAME.part`` beside ``final_path`` and verify its pieces.

    If ``final_path`` exists and all its pieces are right, it is opened instead; with other content, it is an error.
    The path comes from the user, never from the network. Raises :class:`StorageError` and :class:`Cancelled`.
    """
    if os.path.lexists(final_path):
        return _open_whole(final_path, info, different_content(final_path), on_progress, cancelled, system)
    held = PieceSet(info.pieces)
    path = part_path(final_path)
    descriptor = _open_regular(path, os.O_RDWR | os.O_CREAT, system)
    with _close_on_failure(descriptor, path):
        try:
            system.lock_file(descriptor)
        except BlockingIOError:
            raise StorageError(
                f"another peer is downloading to {path}", hint="give each peer a directory of its own with --dir"
            ) from None
        stamp = take_stamp(descriptor)
        if stamp.size:
            _check_pieces(descriptor, info, held, on_progress, cancelled, system)
        suspect = take_stamp(descriptor) != stamp
        os.ftruncate(descriptor, info.length)
        stamp = take_stamp(descriptor)
    return FileStore(path, final_path, descriptor, info, held, stamp, suspect)


@contextlib.contextmanager
def _close_on_failure(descriptor: int, path: Path) -> Iterator[None]:
    """Close ``descriptor`` if the block of the ``with`` statement fails.

    An OSError is converted into a :class:`StorageError`.
    """
    try:
        yield
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError):
            raise storage_error(error, path) from error
        raise


def _check_pieces(
    descriptor: int,
    info: Info,
    held: PieceSet,
    on_progress: ProgressCallback,
    cancelled: Callable[[], bool],
    system: System,
) -> None:
    end = os.fstat(descriptor).st_size

    def skip(offset: int, size: int) -> bool:
        return offset + size > end or _is_hole(descriptor, offset, size)

    hashes = hash_pieces(descriptor, info.length, info.piece_length, on_progress, cancelled, skip=skip, system=system)
    for piece in range(info.pieces):
        digest = hashes[piece * HASH_SIZE : (piece + 1) * HASH_SIZE]
        # A malicious info dictionary may contain zeros.
        if digest == info.piece_hash(piece) and digest != NOT_HASHED:
            held.add(piece)


def _is_hole(descriptor: int, offset: int, size: int) -> bool:
    """Return whether nothing was ever written to this range of the file.

    Such a range need not be read.
    """
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA) >= offset + size
    except OSError as error:
        return error.errno == errno.ENXIO


def _open_regular(path: Path, flags: int, system: System) -> int:
    if os.path.isdir(path):  # Path.is_dir() raises if a directory is not readable.
        raise StorageError(f"{path} is a directory; only single files are shared")
    try:
        # O_NONBLOCK: opening a FIFO must not block before it can be refused.
        no_follow = 0 if flags == os.O_RDONLY else os.O_NOFOLLOW
        descriptor = system.open_file(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | no_follow, 0o644)
    except OSError as error:
        raise storage_error(error, path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StorageError(f"{path} is not a regular file")
    return descriptor


def different_content(path: Path) -> StorageError:
    """Return the error for a local file that is not the one to download."""
    return StorageError(
        f"{path} already exists with different content",
        hint="move it away, or download into another directory with --dir",
    )


def storage_error(error: OSError, path: Path) -> StorageError:
    """Return the error and hint that explain an OSError to the user."""
    if error.errno == errno.ENOENT:
        return StorageError(f"{path} does not exist", hint="set the file's directory with --dir")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return StorageError(f"cannot open {path}: {os_error_text(error)}")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageError(f"no space left for {path}", hint="free some space and restart; verified pieces are kept")
    if error.errno == errno.ELOOP:
        return StorageError(f"{path} is a symbolic link, which is not followed")
    return StorageError(f"{path}: {os_error_text(error)}")
