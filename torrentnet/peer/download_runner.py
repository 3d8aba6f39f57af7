"""Carries out the effects of a download strategy, and reports their results.

Tested by tests/loopback/test_peer_transfer.py.
Tested by tests/loopback/test_peer_swarm.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from torrentnet.peer.storage.file_store import FileStore, StorageError, default_piece_length, open_complete, open_part
from torrentnet.peer.storage.worker_pool import JobFailure
from torrentnet.peer.strategies.base import BaseDownload, Phase
from torrentnet.peer.strategies.effects import (
    CloseConnection,
    Connect,
    Dial,
    Disconnect,
    FinishFile,
    OpenExisting,
    OpenPart,
    WritePiece,
)
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

    from torrentnet.peer.storage.worker_pool import WorkerPool
    from torrentnet.peer.strategies.effects import Effect
    from torrentnet.peer.tracker_client.session_events import SessionEvent
    from torrentnet.peer.transfer.connection_manager import ConnectionManager
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.runtime.system import System
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.info import Info

D = TypeVar("D", bound=BaseDownload)


@dataclass(frozen=True, slots=True)
class RunnerContext:
    """What every runner works with."""

    path: Path
    """The file's final path."""
    selector: selectors.BaseSelector
    own: Endpoint
    """Where this peer listens."""
    worker: WorkerPool
    connections: ConnectionManager
    phase_changed: Callable[[BaseDownload], None]
    """Called after each step that changed the download's phase."""
    failed: Callable[[Exception], None]
    """Called with an error that ends the peer."""
    system: System


class DownloadRunner(ABC, Generic[D]):
    """One download with its file and its connections.

    Disk jobs run in the worker, everything else in the loop.
    """

    def __init__(self, download: D, context: RunnerContext) -> None:
        self.download = download
        self._context = context
        self._monotonic = context.system.monotonic

    def step(self, call: Callable[[D], None]) -> None:
        """Call the download, then carry out its effects; its file is served from now on."""
        download = self.download
        before = download.phase
        try:
            call(download)
        finally:
            while download.effects:
                self._carry_out(download.effects.popleft())
        self._context.connections.store = download.store
        if download.phase is not before:
            self._context.phase_changed(download)

    @property
    def store(self) -> FileStore | None:
        """The file, complete or in part; None before it is open."""
        return self.download.store

    def handle_session_event(self, event: SessionEvent, now: float) -> None:
        """React to an event of the tracker session."""
        self.step(lambda it: it.handle_session_event(event, now))

    def abandon(self, reason: str, now: float) -> None:
        """End the download as failed, unless it has ended already."""
        if self.download.phase is not Phase.FAILED:
            self.step(lambda it: it.abandon(reason, now))

    @abstractmethod
    def due(self, now: float) -> float | None:
        """When to call :meth:`tick` next."""

    @abstractmethod
    def tick(self, now: float) -> None:
        """Apply the time-outs."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections that were opened for this download alone."""

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case WritePiece(piece, data):
                self._write_piece(piece, data)
            case OpenExisting(piece_length):
                self._open_existing(piece_length)
            case OpenPart(info):
                self._open_part(info)
            case FinishFile():
                self._finish_file()
            case _:
                raise AssertionError(f"{type(self).__name__} cannot carry out {effect}")

    def _write_piece(self, piece: int, data: bytearray) -> None:
        store = self.download.store
        assert store is not None

        def then(verified: bool | JobFailure[bool]) -> None:
            now = self._monotonic()
            if isinstance(verified, JobFailure):
                self._job_failed(verified.error)
                return
            self.step(lambda it: it.piece_written(piece, now, verified=verified))
            if verified:
                self._context.connections.announce_piece(piece, now)

        self._context.worker.submit(lambda: store.write_piece(piece, data), then)

    def _open_existing(self, piece_length: int) -> None:
        path, cancelled, system = self._context.path, self._context.worker.is_stopping, self._context.system
        length = piece_length or default_piece_length(path)
        self._context.worker.submit(
            lambda: open_complete(path, length, lambda done, size: None, cancelled, system=system),
            lambda result: self._opened(result, lambda it, store: it.existing_opened(store, self._monotonic())),
        )

    def _open_part(self, info: Info) -> None:
        path, cancelled, system = self._context.path, self._context.worker.is_stopping, self._context.system
        self._context.worker.submit(
            lambda: open_part(path, info, lambda done, size: None, cancelled, system=system),
            lambda result: self._opened(result, lambda it, store: it.part_opened(store, self._monotonic())),
        )

    def _finish_file(self) -> None:
        store = self.download.store
        assert store is not None

        def then(result: JobFailure[None] | None) -> None:
            if isinstance(result, JobFailure):
                self._job_failed(result.error)
            else:
                self.step(lambda it: it.file_finished(self._monotonic()))

        self._context.worker.submit(store.finish, then)

    def _opened(self, result: FileStore | JobFailure[FileStore], then: Callable[[D, FileStore], None]) -> None:
        if isinstance(result, JobFailure):
            self._job_failed(result.error)
        else:
            self.step(lambda it: then(it, result))

    def _job_failed(self, error: Exception) -> None:
        if isinstance(error, StorageError):
            self.step(lambda it: it.storage_failed(error, self._monotonic()))
        else:
            self._context.failed(error)


class SingleRunner(DownloadRunner[SingleDownload]):
    """Runs strategy ``single``: one connection at a time, which is the download's own."""

    def __init__(self, download: SingleDownload, context: RunnerContext, peer_id: bytes, stall: float) -> None:
        """``stall``: seconds that a source has to accept the connection."""
        super().__init__(download, context)
        self._stall = stall
        self._source = SourceConnection(
            context.selector,
            context.own.ip,
            peer_id,
            on_connected=lambda protocol, at: self.step(lambda it: it.connected(protocol, at)),
            on_event=lambda event, at: self.step(lambda it: it.handle_peer_event(event, at)),
            on_failed=lambda reason, at: self.step(lambda it: it.source_failed(reason, at)),
            expected_bytes=lambda: download.expected,
            system=context.system,
        )

    def due(self, now: float) -> float | None:
        """See :class:`DownloadRunner`."""
        return min((at for at in (self._source.due(), self.download.due()) if at is not None), default=None)

    def tick(self, now: float) -> None:
        """See :class:`DownloadRunner`."""
        self.step(lambda it: it.tick(now))
        self._source.tick(now)

    def close(self) -> None:
        """See :class:`DownloadRunner`."""
        self._source.close()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Connect(endpoint):
                self._source.open(endpoint, self.download.info_hash, self._stall, self._monotonic())
            case Disconnect():
                self._source.close()
            case _:
                super()._carry_out(effect)


class SwarmRunner(DownloadRunner[SwarmDownload]):
    """Runs strategy ``swarm`` over all connections of the peer, whoever opened them.

    It is their :class:`~torrentnet.peer.transfer.connection_manager.ExchangeHandler`.
    """

    def __init__(self, download: SwarmDownload, context: RunnerContext) -> None:
        super().__init__(download, context)
        self._dialer = Dialer(
            context.selector,
            context.own.ip,
            on_open=self._dialled,
            on_failed=lambda endpoint, reason, at: self.step(lambda it: it.dial_failed(endpoint, reason, at)),
            system=context.system,
        )

    def due(self, now: float) -> float | None:
        """See :class:`DownloadRunner`."""
        return min((at for at in (self._dialer.due(), self.download.due()) if at is not None), default=None)

    def tick(self, now: float) -> None:
        """See :class:`DownloadRunner`."""
        self._dialer.tick(now)
        self.step(lambda it: it.tick(now))
        self._context.connections.flush_all(now)

    def close(self) -> None:
        """See :class:`DownloadRunner`."""
        self._dialer.close()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Dial(endpoint):
                self._dialer.dial(endpoint, self._monotonic())
            case CloseConnection(connection, reason):
                assert isinstance(connection, Connection)
                self._context.connections.close_connection(connection, reason, self._monotonic())
            case _:
                super()._carry_out(effect)

    def _dialled(self, sock: socket.socket, endpoint: Endpoint, now: float) -> None:
        if self.info_hash:
            self._context.connections.add_connection(sock, endpoint, initiator=True, now=now)
        else:
            sock.close()

    @property
    def info_hash(self) -> bytes:
        """See :class:`~torrentnet.peer.transfer.connection_manager.ExchangeHandler`."""
        return self.download.info_hash

    def handle_peer_event(self, connection: Connection, event: PeerProtocolEvent, now: float) -> None:
        """See :class:`~torrentnet.peer.transfer.connection_manager.ExchangeHandler`."""
        self.step(lambda it: it.handle_peer_event(connection, event, now))

    def connection_closed(self, connection: Connection, reason: str, now: float) -> None:
        """See :class:`~torrentnet.peer.transfer.connection_manager.ExchangeHandler`."""
        self.step(lambda it: it.connection_closed(connection, reason, now))
