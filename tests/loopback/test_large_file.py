"""Transfer the end of a 16 GiB file: offsets beyond 32 bits, bounded memory."""

from __future__ import annotations

import hashlib
import os
import random
import selectors
import socket
import time
from typing import TYPE_CHECKING

import pytest

from bench.rig.cgroup import anonymous_memory
from torrentnet.peer.scheduling.rate_limit import RateLimit
from torrentnet.peer.storage.buffer_pool import BufferPool
from torrentnet.peer.storage.file_store import FileStore, open_part
from torrentnet.peer.transfer.connection_manager import ConnectionManager
from torrentnet.peer.transfer.metadata_exchange import MetadataReceived
from torrentnet.peer.transfer.source_connection import SourceConnection
from torrentnet.peer.transfer.source_fetcher import SourceFetcher
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.info import Info, choose_piece_length, make_info
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.peer.transfer.protocol import PeerProtocol, PeerProtocolEvent

GIB = 1 << 30
SIZE = 16 * GIB
LAST = 48
"""Number of the last pieces, which are fetched; the others count as held."""
DEADLINE_S = 60.0
MOST_GROWTH = 24 * 1024 * 1024
"""Bytes by which the memory of seed and leecher together may grow: windows and buffers, for a file of any size."""


def sparse_store(path: Path) -> FileStore:
    """Return a file that is a hole but for its last pieces, which are random."""
    piece_length = choose_piece_length(SIZE)
    pieces = SIZE // piece_length
    hashes = bytearray(hashlib.sha1(bytes(piece_length), usedforsecurity=False).digest() * pieces)
    rng = random.Random(16)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.ftruncate(descriptor, SIZE)
    for piece in range(pieces - LAST, pieces):
        data = rng.randbytes(piece_length)
        os.pwrite(descriptor, data, piece * piece_length)
        hashes[piece * 20 : piece * 20 + 20] = hashlib.sha1(data, usedforsecurity=False).digest()
    info = make_info(path.name, SIZE, piece_length, bytes(hashes))
    return FileStore(path, path, descriptor, info, PieceSet.full(pieces))


class Leecher:
    """The transfer side of a download, without a tracker and without threads."""

    def __init__(self, selector: selectors.BaseSelector, part: FileStore, seed: Endpoint, info: Info) -> None:
        self.part = part
        self.todo = list(part.held.missing())
        self._info = info
        self._memory = BufferPool()
        self._fetch: SourceFetcher | None = None
        self.link = SourceConnection(
            selector,
            "127.0.0.1",
            b"-TN0000-leecherleech",
            self._connected,
            self._heard,
            self._failed,
            lambda: self._fetch.pipeline.in_flight if self._fetch else 0,
        )
        self.link.open(seed, info.info_hash, 10.0, time.monotonic())

    def _connected(self, conversation: PeerProtocol, now: float) -> None:
        self._fetch = SourceFetcher(
            conversation, self._info.info_hash, self._info, self._next, 30.0, now, buffers=self._memory
        )
        self._fetch.start(self._info, now)

    def _failed(self, reason: str, now: float) -> None:
        pytest.fail(reason)

    def _next(self, theirs: PieceSet) -> int | None:
        return self.todo.pop() if self.todo else None

    def _heard(self, event: PeerProtocolEvent, now: float) -> None:
        assert self._fetch is not None
        for result in self._fetch.handle(event, now):
            assert not isinstance(result, MetadataReceived)
            assert self.part.write_piece(result.piece, result.data)
            self.part.held.add(result.piece)
            self._memory.release(result.data)


def test_the_end_of_a_16_gib_file_arrives_in_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "got").mkdir()
    store = sparse_store(tmp_path / "large.bin")
    part = open_part(tmp_path / "got" / "large.bin", store.info, lambda done, size: None, lambda: False)
    assert os.fstat(part.descriptor).st_size == SIZE
    for piece in range(store.info.pieces - LAST):
        part.held.add(piece)
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    now = time.monotonic()
    uploads = ConnectionManager(
        listener, selector, b"-TN0000-seedseedseed", RateLimit(None, now), lambda *_: None, lambda _: None
    )
    uploads.store = store
    before = anonymous_memory([os.getpid()])
    leecher = Leecher(selector, part, Endpoint(*listener.getsockname()), store.info)
    most = 0
    try:
        while not part.held.is_full:
            assert time.monotonic() < now + DEADLINE_S
            leecher.link.tick(time.monotonic())
            uploads.tick(time.monotonic())
            times = [at for at in (leecher.link.due(), uploads.due(time.monotonic())) if at is not None]
            for key, mask in selector.select(max(0.0, min(times, default=now) - time.monotonic())):
                key.data(mask, time.monotonic())
            most = max(most, anonymous_memory([os.getpid()]))
        start = (store.info.pieces - LAST) * store.info.piece_length
        for offset in range(start, SIZE, store.info.piece_length):
            wanted = os.pread(store.descriptor, store.info.piece_length, offset)
            assert os.pread(part.descriptor, store.info.piece_length, offset) == wanted
    finally:
        leecher.link.close()
        uploads.close()
        selector.close()
        store.close()
        part.close()
    assert most - before < MOST_GROWTH
