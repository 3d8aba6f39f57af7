"""Carry out the effects of a download strategy, and report their results to it.

Tested by tests/loopback/test_peer_transfer.py.
Tested by tests/loopback/test_peer_swarm.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from torrentnet.peer.storage.file_store import FileStore, StorageError, open_complete, open_part, usable_piece_length
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
    from torrentnet.peer.transfer.connection import Connection
    from torrentnet.peer.transfer.connection_manager import ConnectionManager
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.runtime.system import System
    from torrentnet.wire.endpoint import Endpoint

D = TypeVar("D", bound=BaseDownload)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunnerContext:
    """The parts of the peer that every runner uses."""

    path: Path
    """The file's final path."""
    selector: selectors.BaseSelector
    own: Endpoint
    """The address that this peer listens on."""
    worker: WorkerPool
    connections: ConnectionManager
    phase_changed: Callable[[BaseDownload], None]
    """Called after each step that has changed the download's phase."""
    failed: Callable[[Exception], None]
    """Called with an error that ends the peer."""
    system: System


class DownloadRunner(Generic[D]):
    """One download with its file and its connections.

    Disk jobs run in the worker, everything else in the loop. ``dialer`` opens the download's connections.
    """

    def __init__(self, download: D, context: RunnerContext, dialer: Dialer | SourceConnection) -> None:
        self.download = download
        self._context = context
        self._dialer = dialer
        self._monotonic = context.system.monotonic

    def step(self, call: Callable[[D], None]) -> None:
        """Call the download, carry out its effects, and serve its file from now on."""
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

    def due(self) -> float | None:
        """Return when to call :meth:`tick` next."""
        return min((at for at in (self._dialer.due(), self.download.due()) if at is not None), default=None)

    def tick(self, now: float) -> None:
        """Apply the time-outs."""
        self.step(lambda it: it.tick(now))
        self._dialer.tick(now)

    def close(self) -> None:
        """Close the connections that are not served."""
        self._dialer.close()

    def _carry_out(self, effect: Effect) -> None:
        path, cancelled, system = self._context.path, self._context.worker.is_stopping, self._context.system
        match effect:
            case WritePiece(piece, data):
                self._write_piece(piece, data)
            case OpenExisting(piece_length):
                length = usable_piece_length(path, piece_length)
                self._submit(
                    lambda: open_complete(path, length, lambda done, size: None, cancelled, system=system),
                    lambda it, store, now: it.existing_opened(store, now),
                )
            case OpenPart(info):
                self._submit(
                    lambda: open_part(path, info, lambda done, size: None, cancelled, system=system),
                    lambda it, store, now: it.part_opened(store, now),
                )
            case FinishFile():
                assert self.store is not None
                self._submit(self.store.finish, lambda it, _, now: it.file_finished(now))
            case _:
                raise AssertionError(f"{type(self).__name__} cannot carry out {effect}")

    def _write_piece(self, piece: int, data: bytearray) -> None:
        store = self.store
        assert store is not None

        def written(download: D, verified: bool, now: float) -> None:
            download.piece_written(piece, now, verified=verified)
            if verified:
                self._context.connections.announce_piece(piece, now)

        self._submit(lambda: store.write_piece(piece, data), written)

    def _submit(self, job: Callable[[], T], then: Callable[[D, T, float], None]) -> None:
        """Run a disk job in the worker, then a step of the download with the job's result."""

        def deliver(result: T | JobFailure[T]) -> None:
            if not isinstance(result, JobFailure):
                self.step(lambda it: then(it, result, self._monotonic()))
            elif isinstance(error := result.error, StorageError):
                self.step(lambda it: it.storage_failed(error, self._monotonic()))
            else:
                self._context.failed(error)

        self._context.worker.submit(job, deliver)


class SingleRunner(DownloadRunner[SingleDownload]):
    """Run the strategy ``single``, whose one connection serves nothing.

    ``stall`` is how many seconds a source has to accept the connection.
    """

    def __init__(self, download: SingleDownload, context: RunnerContext, peer_id: bytes, stall: float) -> None:
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
        super().__init__(download, context, self._source)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Connect(endpoint):
                now = self._monotonic()
                self._context.connections.make_way(endpoint.ip, now, refused=self._source.refused_by == endpoint)
                self._source.open(endpoint, self.download.info_hash, self._stall, now)
            case Disconnect():
                self._source.close()
            case _:
                super()._carry_out(effect)


class SwarmRunner(DownloadRunner[SwarmDownload]):
    """Run the strategy ``swarm`` over all connections, whoever opened them.

    The runner is the connections' :class:`~torrentnet.peer.transfer.connection_manager.ExchangeHandler`.
    """

    def __init__(self, download: SwarmDownload, context: RunnerContext) -> None:
        self._peers = Dialer(
            context.selector,
            context.own.ip,
            on_open=self._dialled,
            on_failed=lambda endpoint, reason, at: self.step(lambda it: it.dial_failed(endpoint, reason, at)),
            system=context.system,
        )
        super().__init__(download, context, self._peers)

    def tick(self, now: float) -> None:
        """Apply the time-outs, and send what they have queued."""
        super().tick(now)
        self._context.connections.flush_all(now)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Dial(endpoint):
                self._peers.dial(endpoint, self._monotonic())
            case CloseConnection(connection, reason):
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
