"""Corrupt a shared file in memory, to test how other peers treat a bad seed.

Tested by tests/loopback/test_peer_failures.py.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from torrentnet.peer.storage.file_store import FileStore, StorageError
from torrentnet.runtime.system import MACHINE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torrentnet.runtime.system import System

MAX_SIZE: Final = 256 * 1024 * 1024
"""Bytes of the largest file; the corrupted copy is kept in memory."""
_CHUNK: Final = 1024 * 1024


def corrupt_copy(store: FileStore, pieces: Iterable[int] | None = None, *, system: System = MACHINE) -> FileStore:
    """Return a copy of ``store`` in which the first byte of each piece is wrong.

    If ``pieces`` is given, only these pieces are wrong. The file on disk is not changed; ``store`` is closed. Raises
    :class:`StorageError` if the file is too large.
    """
    info = store.info
    if info.length > MAX_SIZE:
        store.close()
        raise StorageError(f"{store.path} is too large for --corrupt-uploads: the limit is {MAX_SIZE // 1024**2} MiB")
    copy = system.make_memory_file("corrupted")
    offset = 0
    while offset < info.length:
        offset += os.write(copy, os.pread(store.descriptor, _CHUNK, offset))
    for piece in range(info.pieces) if pieces is None else pieces:
        at = piece * info.piece_length
        os.pwrite(copy, bytes((os.pread(copy, 1, at)[0] ^ 0xFF,)), at)
    store.close()
    return FileStore(store.path, store.final_path, copy, info, store.held)
