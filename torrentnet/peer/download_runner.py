"""The surroundings of a download: what it asks of the disk and of other peers is done, and what comes of it told."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from torrentnet.peer.storage.file_store import FileStore, StorageError, default_piece_length, open_complete, open_part
from torrentnet.peer.storage.worker import JobFailure
from torrentnet.peer.strategies.base import BaseDownload
from torrentnet.peer.strategies.single import SingleDownload
from torrentnet.peer.strategies.swarm import SwarmDownload
from torrentnet.peer.transfer.connection import Connection
from torrentnet.peer.transfer.dialer import Dialer
from torrentnet.peer.transfer.source_connection import SourceConnection

if TYPE_CHECKING:
    import selectors
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from torrentnet.peer.storage.worker import Worker
    from torrentnet.peer.strategies.remote_peer import PeerConnection
    from torrentnet.peer.transfer.connection_manager import ConnectionManager
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp.packets import Endpoint

G = TypeVar("G", bound=BaseDownload)


@dataclass(frozen=True, slots=True)
class RunnerContext:
    """What a host works with."""

    path: Path
    """Where the file is to be."""
    selector: selectors.BaseSelector
    bind_ip: str
    """The address that connections are opened from."""
    worker: Worker
    uploads: ConnectionManager
    turned: Callable[[BaseDownload], None]
    """Called after each step that has changed the download's phase."""
    broken: Callable[[Exception], None]
    """Called with what a job raised that is not the file system's fault."""


class DownloadRunner(ABC, Generic[G]):
    """The disk of one download, and every step that it takes: jobs run in the worker, the rest in the loop."""

    download: G
    """Set before the loop goes on: each of the two needs the other to begin with."""

    def __init__(self, means: RunnerContext) -> None:
        self._path = means.path
        self._worker = means.worker
        self._uploads = means.uploads
        self._turned = means.turned
        self._broken = means.broken

    # What the peer calls

    def do(self, step: Callable[[G], None]) -> None:
        """Let the download take a step; what it has now is served."""
        download = self.download
        before = download.phase
        step(download)
        self._uploads.store = download.store
        if download.phase is not before:
            self._turned(download)

    @abstractmethod
    def due(self, now: float) -> float | None:
        """When :meth:`tick` is to be called next."""

    @abstractmethod
    def tick(self, now: float) -> None:
        """Look at the clock."""

    @abstractmethod
    def close(self) -> None:
        """Give up what is being connected, or was opened for this download alone."""

    # What the download asks for (Disk)

    def open_existing(self, piece_length: int) -> None:
        """See :class:`~torrentnet.peer.strategies.effects.Disk`."""
        path = self._path
        self._worker.submit(
            lambda: open_complete(
                path, piece_length or default_piece_length(path), lambda done, size: None, self._worker.cancelled
            ),
            lambda result: self._opened(result, lambda it, store: it.existing_opened(store, time.monotonic())),
        )

    def open_part(self, info: Info) -> None:
        """See :class:`~torrentnet.peer.strategies.effects.Disk`."""
        self._worker.submit(
            lambda: open_part(self._path, info, lambda done, size: None, self._worker.cancelled),
            lambda result: self._opened(result, lambda it, store: it.part_opened(store, time.monotonic())),
        )

    def write_piece(self, piece: int, data: bytearray) -> None:
        """See :class:`~torrentnet.peer.strategies.effects.Disk`."""
        store = self.download.store
        assert store is not None

        def then(verified: bool | JobFailure[bool]) -> None:
            now = time.monotonic()
            if isinstance(verified, JobFailure):
                self._failed(verified.error)
                return
            self.do(lambda it: it.piece_written(piece, now, verified=verified))
            if verified:
                self._uploads.announce(piece, now)

        self._worker.submit(lambda: store.write_piece(piece, data), then)

    def finish(self) -> None:
        """See :class:`~torrentnet.peer.strategies.effects.Disk`."""
        store = self.download.store
        assert store is not None

        def then(result: JobFailure[None] | None) -> None:
            if isinstance(result, JobFailure):
                self._failed(result.error)
            else:
                self.do(lambda it: it.finished(time.monotonic()))

        self._worker.submit(store.finish, then)

    def _opened(self, result: FileStore | JobFailure[FileStore], then: Callable[[G, FileStore], None]) -> None:
        if isinstance(result, JobFailure):
            self._failed(result.error)
            return
        self.do(lambda it: then(it, result))

    def _failed(self, error: Exception) -> None:
        if isinstance(error, StorageError):
            self.do(lambda it: it.storage_failed(error, time.monotonic()))
        else:
            self._broken(error)


class SingleRunner(DownloadRunner[SingleDownload]):
    """For strategy ``single``: one connection at a time that is the download's own."""

    def __init__(self, means: RunnerContext, peer_id: bytes, stall: float) -> None:
        """``stall``: seconds after which a source that does not even let us connect is given up."""
        super().__init__(means)
        self._stall = stall
        self._source = SourceConnection(
            means.selector,
            means.bind_ip,
            peer_id,
            connected=lambda conversation, at: self.do(lambda it: it.connected(conversation, at)),
            heard=lambda event, at: self.do(lambda it: it.take(event, at)),
            failed=lambda reason, at: self.do(lambda it: it.source_failed(reason, at)),
            expected=lambda: self.download.expected,
        )

    def due(self, now: float) -> float | None:
        """See :class:`DownloadRunner`."""
        return min((at for at in (self._source.due(), self.download.due()) if at is not None), default=None)

    def tick(self, now: float) -> None:
        """See :class:`DownloadRunner`."""
        self.do(lambda it: it.tick(now))
        self._source.tick(now)

    def close(self) -> None:
        """See :class:`DownloadRunner`."""
        self._source.close()

    def connect(self, endpoint: Endpoint) -> None:
        """See :class:`~torrentnet.peer.strategies.single.SingleHost`."""
        self._source.open(endpoint, self.download.info_hash, self._stall, time.monotonic())

    def disconnect(self) -> None:
        """See :class:`~torrentnet.peer.strategies.single.SingleHost`."""
        self._source.close()


class SwarmRunner(DownloadRunner[SwarmDownload]):
    """For strategy ``swarm``: the connections are those by which we serve, whoever has opened them.

    It is the :class:`~torrentnet.peer.transfer.connection_manager.ExchangeHandler` of what is heard on them.
    """

    def __init__(self, means: RunnerContext) -> None:
        super().__init__(means)
        self._dialer = Dialer(
            means.selector,
            means.bind_ip,
            opened=self._dialled,
            failed=lambda endpoint, reason, at: self.do(lambda it: it.unreachable(endpoint, reason, at)),
        )

    def due(self, now: float) -> float | None:
        """See :class:`DownloadRunner`."""
        return min((at for at in (self._dialer.due(now), self.download.due()) if at is not None), default=None)

    def tick(self, now: float) -> None:
        """See :class:`DownloadRunner`."""
        self._dialer.tick(now)
        self.do(lambda it: it.tick(now))
        self._uploads.flush_all(now)

    def close(self) -> None:
        """See :class:`DownloadRunner`."""
        self._dialer.close()

    def dial(self, endpoint: Endpoint) -> None:
        """See :class:`~torrentnet.peer.strategies.swarm.SwarmHost`."""
        self._dialer.dial(endpoint, time.monotonic())

    def hang_up(self, wire: PeerConnection, reason: str) -> None:
        """See :class:`~torrentnet.peer.strategies.swarm.SwarmHost`."""
        assert isinstance(wire, Connection)
        self._uploads.close_one(wire, reason, time.monotonic())

    def _dialled(self, sock: socket.socket, endpoint: Endpoint, now: float) -> None:
        if not self.info_hash:
            sock.close()
            return
        self._uploads.adopt(sock, endpoint, initiator=True, now=now)

    @property
    def info_hash(self) -> bytes:
        """See :class:`~torrentnet.peer.transfer.connection_manager.ExchangeHandler`."""
        return self.download.info_hash if self.download.known else b""

    def take(self, connection: Connection, event: PeerProtocolEvent, now: float) -> None:
        """See :class:`~torrentnet.peer.transfer.connection_manager.ExchangeHandler`."""
        self.do(lambda it: it.take(connection, event, now))

    def gone(self, connection: Connection, reason: str, now: float) -> None:
        """See :class:`~torrentnet.peer.transfer.connection_manager.ExchangeHandler`."""
        self.do(lambda it: it.gone(connection, reason, now))
