"""A seed that sends what it must not: for tests of other peers, never by accident."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from torrentnet.peer.storage.file_store import FileStore, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SIZE = 256 * 1024 * 1024
"""Bytes: the altered copy is kept in memory."""
_CHUNK = 1024 * 1024


def corrupt_copy(store: FileStore, pieces: Iterable[int] | None = None) -> FileStore:
    """A store that claims the pieces of ``store`` and serves each with its first byte changed (all, or ``pieces``).

    The file on disk is not touched. Closes ``store``. Raises :class:`StorageError` when the file is too large.
    """
    info = store.info
    if info.length > MAX_SIZE:
        store.close()
        raise StorageError(f"{store.path} is too large to be sent corrupted: at most {MAX_SIZE // 1024**2} MiB are")
    copy = os.memfd_create("corrupted")
    offset = 0
    while offset < info.length:
        offset += os.write(copy, os.pread(store.descriptor, _CHUNK, offset))
    for piece in range(info.pieces) if pieces is None else pieces:
        at = piece * info.piece_length
        os.pwrite(copy, bytes((os.pread(copy, 1, at)[0] ^ 0xFF,)), at)
    store.close()
    return FileStore(store.path, store.final_path, copy, info, store.held)
