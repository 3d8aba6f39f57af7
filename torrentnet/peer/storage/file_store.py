"""Files on disk: hashing one to share it, and filling one piece by piece until it is whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from typing import TYPE_CHECKING, TypeAlias

from torrentnet.peer.storage.hashing import NOT_HASHED, hash_pieces
from torrentnet.wire.errors import LocalError
from torrentnet.wire.info import HASH_SIZE, Info, choose_piece_length, make_info
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PART_SUFFIX = ".part"

Progress: TypeAlias = "Callable[[int, int], None]"


class StorageError(LocalError):
    """The file system refused, or holds what must not be touched."""


class FileStore:
    """One file of one swarm: which of its pieces are here, and the open descriptor that they are served from."""

    def __init__(self, path: Path, final_path: Path, descriptor: int, info: Info, held: PieceSet) -> None:
        self.path = path
        self.final_path = final_path
        self.descriptor = descriptor
        self.info = info
        self.held = held

    def write_piece(self, piece: int, data: bytes | bytearray | memoryview) -> bool:
        """Check ``data`` against the hash of ``piece`` and write it to its place; False when it is not that piece.

        Does not touch :attr:`held`: the caller does, in its own thread. Raises :class:`StorageError`.
        """
        if hashlib.sha1(data, usedforsecurity=False).digest() != self.info.piece_hash(piece):
            return False
        view = memoryview(data)
        offset = piece * self.info.piece_length
        try:
            while view:
                written = os.pwrite(self.descriptor, view, offset)
                view, offset = view[written:], offset + written
        except OSError as error:
            raise storage_error(error, self.path) from error
        return True

    def finish(self) -> None:
        """Give ``NAME.part`` its name, now that every piece is verified and on disk. Never replaces a file.

        Raises :class:`StorageError`.
        """
        final = self.final_path
        if self.path == final:
            return
        try:
            os.fsync(self.descriptor)
            # A link fails where the name exists; a rename would silently take its place.
            os.link(self.path, final, follow_symlinks=False)
            os.unlink(self.path)
        except FileExistsError:
            raise StorageError(f"{final} has appeared meanwhile, {self.path.name} is whole and stays") from None
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}:
                raise storage_error(error, final) from error
            if final.exists():
                raise StorageError(f"{final} has appeared meanwhile, {self.path.name} is whole and stays") from None
            os.rename(self.path, final)
        self.path = final

    def close(self) -> None:
        """Close the descriptor; safe to call twice."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def default_piece_length(path: Path) -> int:
    """Bytes a piece where nobody has asked for another size: by the file's size, if it is there."""
    return choose_piece_length(os.path.getsize(path) if os.path.isfile(path) else 0)


def open_complete(
    path: Path, piece_length: int, on_progress: Progress, cancelled: Callable[[], bool], *, private: bool = True
) -> FileStore:
    """Open a file that is to be shared and hash it, ``piece_length`` bytes a piece.

    ``progress`` hears (bytes done, bytes in all). Raises :class:`StorageError` for what cannot be shared, and
    :class:`Cancelled`.
    """
    descriptor = _open_regular(path, os.O_RDONLY)
    with _close_on_failure(descriptor, path):
        length = os.fstat(descriptor).st_size
        hashes = hash_pieces(descriptor, length, piece_length, on_progress, cancelled)
        if os.fstat(descriptor).st_size < length:
            raise StorageError(f"{path} became shorter while it was hashed")
    info = make_info(path.name, length, piece_length, bytes(hashes), private=private)
    return FileStore(path, path, descriptor, info, PieceSet.full(info.pieces))


def open_part(final_path: Path, info: Info, on_progress: Progress, cancelled: Callable[[], bool]) -> FileStore:
    """Open ``NAME.part`` beside ``final`` (made when missing) and check again every piece that it holds.

    ``final`` is named by the person who asked, never by the network. A file that is there under that name is opened
    instead when all its pieces are right; anything else under it is refused. Raises :class:`StorageError` and
    :class:`Cancelled`.
    """
    if _exists(final_path):
        descriptor = _open_regular(final_path, os.O_RDONLY)
        try:
            held = PieceSet(info.pieces)
            if os.fstat(descriptor).st_size == info.length:
                _check_pieces(descriptor, info, held, on_progress, cancelled)
            if not held.is_full or os.fstat(descriptor).st_size != info.length:
                raise StorageError(
                    f"{final_path} is there already with another content, and is left as it is",
                    hint="move it away, or get the file into another directory with --dir",
                )
        except BaseException:
            os.close(descriptor)
            raise
        return FileStore(final_path, final_path, descriptor, info, held)
    path = final_path.with_name(final_path.name + PART_SUFFIX)
    descriptor = _open_regular(path, os.O_RDWR | os.O_CREAT)
    with _close_on_failure(descriptor, path):
        _lock(descriptor, path)
        held = PieceSet(info.pieces)
        if os.fstat(descriptor).st_size:
            _check_pieces(descriptor, info, held, on_progress, cancelled)
        os.ftruncate(descriptor, info.length)
    return FileStore(path, final_path, descriptor, info, held)


@contextlib.contextmanager
def _close_on_failure(descriptor: int, path: Path) -> Iterator[None]:
    """Close it when the block fails, and say in a person's words what the file system had against ``path``."""
    try:
        yield
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError):
            raise storage_error(error, path) from error
        raise


def _check_pieces(
    descriptor: int, info: Info, held: PieceSet, progress: Progress, cancelled: Callable[[], bool]
) -> None:
    end = os.fstat(descriptor).st_size

    def skip(offset: int, size: int) -> bool:
        return offset + size > end or _is_hole(descriptor, offset, size)

    hashes = hash_pieces(descriptor, info.length, info.piece_length, progress, cancelled, skip=skip)
    for piece in range(info.pieces):
        digest = hashes[piece * HASH_SIZE : (piece + 1) * HASH_SIZE]
        # Whoever wrote the info dictionary may have put zeros there.
        if digest == info.piece_hash(piece) and digest != NOT_HASHED:
            held.add(piece)


def _is_hole(descriptor: int, offset: int, size: int) -> bool:
    """Whether nothing was ever written there: a large new file need not be read to know that it is empty."""
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA) >= offset + size
    except OSError as error:
        return error.errno == errno.ENXIO


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _open_regular(path: Path, flags: int) -> int:
    if os.path.isdir(path):  # Path.is_dir raises where it may not look
        raise StorageError(f"{path} is a directory; only single files are shared")
    try:
        # O_NONBLOCK: opening a FIFO must not hang before it can be refused.
        following = 0 if flags == os.O_RDONLY else os.O_NOFOLLOW
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | following, 0o644)
    except OSError as error:
        raise storage_error(error, path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StorageError(f"{path} is no regular file")
    return descriptor


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StorageError(
            f"another peer is downloading to {path}", hint="give each peer a directory of its own with --dir"
        ) from None


def storage_error(error: OSError, path: Path) -> StorageError:
    """What the file system's refusal means to a person."""
    if error.errno == errno.ENOENT:
        return StorageError(f"{path} does not exist", hint="--dir says where files are looked for")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return StorageError(f"{path} cannot be opened: {os.strerror(error.errno).lower()}")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageError(f"no space left for {path}", hint="free some space and start again: what is verified stays")
    if error.errno == errno.ELOOP:
        return StorageError(f"{path} is a symbolic link, which is not written through")
    return StorageError(f"{path}: {(error.strerror or str(error)).lower()}")
