"""The peer as a program: its sockets, its clock, and one loop around the parts that do no I/O."""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.peer.connection import Connection
from torrentnet.peer.conversation import OfUs
from torrentnet.peer.corrupt import corrupted
from torrentnet.peer.dialer import Dialer
from torrentnet.peer.download import Download
from torrentnet.peer.getting import Getting, Patience, Phase
from torrentnet.peer.hashing import Cancelled
from torrentnet.peer.ratelimit import RateLimit
from torrentnet.peer.report import Report
from torrentnet.peer.requests import Requests
from torrentnet.peer.session import Identity, Joined, Membership, Refused, Silence, TrackerSession
from torrentnet.peer.sourcelink import SourceLink
from torrentnet.peer.storage import FileStore, StorageError, open_part, open_whole
from torrentnet.peer.swarm import Swarm, Wire
from torrentnet.peer.uploads import Uploads
from torrentnet.peer.worker import Failure, Worker
from torrentnet.wire.errors import LocalError
from torrentnet.wire.handshake import make_peer_id
from torrentnet.wire.info import choose_piece_length
from torrentnet.wire.udp import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torrentnet.console.events import EventLog
    from torrentnet.peer.conversation import ConversationEvent
    from torrentnet.peer.requestlog import RequestLog
    from torrentnet.peer.session import SessionEvent
    from torrentnet.wire.info import Info

GOODBYE = 0.6
"""Seconds that a stopping peer waits for the tracker to hear its good-bye."""
LAST_WORDS = 2.0
"""Seconds that a failed download waits for the tracker to note it."""
MAX_DATAGRAM = 2048
DATAGRAMS_A_TURN = 64
HASH_EVENT_EVERY = 2.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a peer is started with."""

    share: bool
    path: Path
    """Where the file is, or will be."""
    tracker: Endpoint
    name: str
    piece_length: int | None
    upload_rate: float | None
    """Bytes a second; None is no limit."""
    patience: Patience
    known: Membership | None = None
    """With get: what a magnet link or a .torrent says of the file; None asks the tracker for it by name."""
    info: Info | None = None
    """With get: the info dictionary, from a .torrent."""
    private: bool = True
    """With share: whether the info dictionary says so (BEP 27)."""
    strategy: str = "single"
    """``single`` or ``swarm``."""
    corrupt: bool = False
    """Whether each piece is sent with a byte changed: for tests of others."""


class Peer:
    """One peer with one file. :meth:`run` returns its exit status; :meth:`stop` may be called from anywhere."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        rng: random.Random,
        events: EventLog,
        log: RequestLog,
        on_shared: Callable[[FileStore], None],
    ) -> None:
        self._settings = settings
        self._events = events
        self._log = log
        self._on_shared = on_shared
        self.endpoint = Endpoint(*listener.getsockname()[:2])
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)
        self._worker = Worker(self._wake)
        self._udp = _tracker_socket(self.endpoint.ip, settings.tracker)
        # Only the choice of a source may be repeatable: a peer that is started again is another one to the tracker.
        unique = random.SystemRandom()
        identity = Identity(
            settings.name, make_peer_id(unique.randbytes(12)), self.endpoint.port, unique.getrandbits(32)
        )
        self._identity = identity
        self._session = TrackerSession(identity, Requests(unique), settings.known, self.endpoint)
        self._rng = rng
        now = self._made = time.monotonic()
        self._uploads = Uploads(
            listener,
            self._selector,
            identity.peer_id,
            RateLimit(settings.upload_rate, now),
            self._told,
            OfUs(settings.name, self.endpoint.port, offers=not settings.share and settings.strategy == "swarm"),
            rng,
            now,
        )
        self._dialer = Dialer(
            self._selector,
            self.endpoint.ip,
            opened=self._dialled,
            failed=lambda endpoint, reason, at: self._swarm_do(lambda it: it.unreachable(endpoint, reason, at)),
        )
        self._source = SourceLink(
            self._selector,
            self.endpoint.ip,
            identity.peer_id,
            connected=lambda conversation, at: self._single_do(lambda it: it.connected(conversation, at)),
            heard=lambda event, at: self._single_do(lambda it: it.take(event, at)),
            failed=lambda reason, at: self._single_do(lambda it: it.source_failed(reason, at)),
        )
        self.download: Getting | None = None
        self.store: FileStore | None = None
        self._stop_reason: str | None = None
        self._leave_until: float | None = None
        self._failure: LocalError | None = None

    # Whatever other threads may call

    def stop(self, reason: str) -> None:
        """Say good-bye and end; safe from threads and signal handlers."""
        if self._stop_reason is None:
            self._stop_reason = reason
        self._wake()

    def _wake(self) -> None:
        # Full: the loop will wake up anyway. Closed: it has ended.
        with contextlib.suppress(OSError):
            self._wake_out.send(b"\0")

    @property
    def uploaded(self) -> int:
        """Bytes sent to other peers so far."""
        return self._uploads.total

    @property
    def connections(self) -> int:
        """Connections that others have opened to us now."""
        return len(self._uploads)

    def running_for(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._made

    @property
    def state(self) -> str:
        """``get`` or ``seed``, as the mission names the two states (``share`` is a seed once the file is hashed)."""
        return "seed" if self.store is not None and self.store.held.is_full else "get"

    # The loop

    def run(self) -> int:
        """Work until stopped or failed. Returns 0 for an orderly end; raises :class:`LocalError` for a failure."""
        settings = self._settings
        self._selector.register(self._udp, selectors.EVENT_READ, self._datagrams_ready)
        self._selector.register(self._wake_in, selectors.EVENT_READ, self._woken)
        self._worker.start()
        try:
            if settings.share:
                self._begin_share()
            else:
                self._begin_get()
            while not self._ended(time.monotonic()):
                now = time.monotonic()
                self._tick(now)
                due = self._due(now)
                timeout = None if due is None else max(0.0, due - time.monotonic())
                for key, mask in self._selector.select(timeout):
                    key.data(mask, time.monotonic())
        finally:
            self._close()
        if self._failure is not None:
            raise self._failure
        self._events.emit("closing", reason=self._stop_reason)
        return 0

    def _begin_share(self) -> None:
        path = self._settings.path
        told = [time.monotonic() + HASH_EVENT_EVERY]

        def progress(done: int, size: int) -> None:
            if time.monotonic() >= told[0]:
                told[0] = time.monotonic() + HASH_EVENT_EVERY
                self._events.emit("hashing", file=path.name, bytes=done, size=size, percent=100 * done // size)

        def job() -> FileStore:
            settings = self._settings
            length = settings.piece_length or _piece_length(path)
            store = open_whole(path, length, progress, self._worker.cancelled, private=settings.private)
            return corrupted(store) if settings.corrupt else store

        self._worker.submit(job, self._shared_opened)

    def _shared_opened(self, result: FileStore | Failure[FileStore]) -> None:
        if isinstance(result, Failure):
            self._fail(result.error)
            return
        self.store = self._uploads.store = result
        info = result.info
        member = Membership(info.info_hash, info.name, info.length, info.piece_length)
        self._session.join(member, result.held, time.monotonic())

    def _begin_get(self) -> None:
        settings = self._settings
        self._events.emit("state", state="get", file=settings.path.name)
        now = time.monotonic()
        exists, info = os.path.lexists(settings.path), settings.info
        report = Report(settings.path.name, self._events.emit, self._log)
        common = settings.path.name, self._identity, self._session, self, self._rng, settings.patience, report, now
        if settings.strategy == "single":
            self.download = Download(*common, exists=exists, info=info)
            return
        self.download = Swarm(*common, own=self.endpoint, exists=exists, info=info)
        self._uploads.taker = _Ears(self, self.download)

    def _due(self, now: float) -> float | None:
        times = [self._session.due(now), self._uploads.due(now), self._source.due(), self._leave_until]
        times.append(self._dialer.due(now))
        if self.download is not None:
            times.append(self.download.due())
        return min((at for at in times if at is not None), default=None)

    def _tick(self, now: float) -> None:
        if self._stop_reason is not None and self._leave_until is None:
            self._leave(GOODBYE, now)
        self._uploads.tick(now)
        self._source.tick(now)
        self._dialer.tick(now)
        self._download_do(lambda it: it.tick(now))
        if isinstance(self.download, Swarm):
            self._uploads.flush_all(now)
        self._session.uploaded = self._uploads.total
        for data in self._session.datagrams(now):
            # Unreachable for now, or the tracker's port is closed: it is repeated like a lost one.
            with contextlib.suppress(OSError):
                self._udp.send(data)
        for event in self._session.silence():
            self._take_session(event, now)

    def _woken(self, _: int, __: float) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_in.recv(4096)
        self._worker.deliver()

    def _datagrams_ready(self, _: int, now: float) -> None:
        for _ in range(DATAGRAMS_A_TURN):
            try:
                data = self._udp.recv(MAX_DATAGRAM)
            except OSError:
                return
            for event in self._session.receive(data, now):
                self._take_session(event, now)

    def _take_session(self, event: SessionEvent, now: float) -> None:
        if self._leave_until is not None:
            if self._session.settled:
                self._leave_until = now
            return
        if self.download is not None:
            self._download_do(lambda it: it.take_session(event, now))
        elif isinstance(event, Refused):
            self._fail(LocalError(f"the tracker refused {self._settings.path.name!r}: {event.message}"))
        elif isinstance(event, Silence):
            self._events.emit("tracker_silent" if event.silent else "tracker_back")
            self._log.add("tracker", "does not answer" if event.silent else "answers again")
        elif isinstance(event, Joined):
            self._log.add("tracker", "knows this peer again" if event.again else "published")
        if isinstance(event, Joined) and not event.again and self.store is not None and self.store.held.is_full:
            self._published(self.store)

    def _published(self, store: FileStore) -> None:
        info = store.info
        self._events.emit(
            "published",
            file=self._settings.path.name,
            size=info.length,
            pieces=info.pieces,
            info_hash=info.info_hash.hex(),
        )
        if self._settings.share:
            try:
                self._on_shared(store)
            except LocalError as error:
                self._fail(error)
                return
            self._events.emit("state", state="seed", file=info.name)

    # What the download asks for (Host)

    def connect(self, endpoint: Endpoint) -> None:
        """See :class:`~torrentnet.peer.download.Host`."""
        assert self.download is not None
        self._source.open(endpoint, self.download.info_hash, self._settings.patience.stall, time.monotonic())

    def dial(self, endpoint: Endpoint) -> None:
        """See :class:`~torrentnet.peer.swarm.Host`."""
        self._dialer.dial(endpoint, time.monotonic())

    def hang_up(self, wire: Wire, reason: str) -> None:
        """See :class:`~torrentnet.peer.swarm.Host`."""
        assert isinstance(wire, Connection)
        self._uploads.close_one(wire, reason, time.monotonic())

    def _dialled(self, sock: socket.socket, endpoint: Endpoint, now: float) -> None:
        if self._uploads.taker is None or not self._uploads.taker.info_hash:
            sock.close()
            return
        self._uploads.adopt(sock, endpoint, initiator=True, now=now)

    def disconnect(self) -> None:
        """See :class:`~torrentnet.peer.download.Host`."""
        self._source.close()

    def open_existing(self, piece_length: int) -> None:
        """See :class:`~torrentnet.peer.download.Host`."""
        path = self._settings.path
        self._worker.submit(
            lambda: open_whole(
                path, piece_length or _piece_length(path), lambda done, size: None, self._worker.cancelled
            ),
            lambda result: self._stored(result, lambda it, store: it.existing_opened(store, time.monotonic())),
        )

    def open_part(self, info: Info) -> None:
        """See :class:`~torrentnet.peer.download.Host`."""
        path = self._settings.path
        self._worker.submit(
            lambda: open_part(path, info, lambda done, size: None, self._worker.cancelled),
            lambda result: self._stored(result, lambda it, store: it.part_opened(store, time.monotonic())),
        )

    def write_piece(self, piece: int, data: bytearray) -> None:
        """See :class:`~torrentnet.peer.download.Host`."""
        store = self.store
        assert store is not None

        def then(verified: bool | Failure[bool]) -> None:
            now = time.monotonic()
            if isinstance(verified, Failure):
                self._storage_failed(verified.error)
                return
            self._download_do(lambda it: it.piece_written(piece, now, verified=verified))
            if verified:
                self._uploads.announce(piece, now)
            self._source.flush(now)

        self._worker.submit(lambda: store.write_piece(piece, data), then)

    def finish(self) -> None:
        """See :class:`~torrentnet.peer.download.Host`."""
        store = self.store
        assert store is not None

        def then(result: Failure[None] | None) -> None:
            if isinstance(result, Failure):
                self._storage_failed(result.error)
            else:
                self._download_do(lambda it: it.finished(time.monotonic()))

        self._worker.submit(store.finish, then)

    def _stored(self, result: FileStore | Failure[FileStore], then: Callable[[Getting, FileStore], None]) -> None:
        if isinstance(result, Failure):
            self._storage_failed(result.error)
            return
        self.store = result
        self._download_do(lambda it: then(it, result))
        self._source.flush(time.monotonic())

    def _storage_failed(self, error: Exception) -> None:
        if isinstance(error, StorageError):
            self._download_do(lambda it: it.storage_failed(error, time.monotonic()))
        else:
            self._fail(error)

    def _single_do(self, step: Callable[[Download], None]) -> None:
        download = self.download
        if isinstance(download, Download):
            self._download_do(lambda _: step(download))

    def _swarm_do(self, step: Callable[[Swarm], None]) -> None:
        download = self.download
        if isinstance(download, Swarm):
            self._download_do(lambda _: step(download))

    def _download_do(self, step: Callable[[Getting], None]) -> None:
        download = self.download
        if download is None:
            return
        before = download.phase
        step(download)
        self.store = download.store
        self._uploads.store = download.store
        if download.phase is before:
            return
        if download.phase is Phase.DONE:
            self._events.emit("state", state="seed", file=download.name)
        elif download.phase is Phase.FAILED and self._failure is None and self._leave_until is None:
            self._failure = LocalError(download.failure, hint=download.hint)
            self._leave(LAST_WORDS, time.monotonic())

    # The end

    def _told(self, what: str, endpoint: Endpoint, count: int, reason: str) -> None:
        if what == "changed":
            self._fail(LocalError(f"{self._settings.path}: {reason}", hint="start again to share what it is now"))
            return
        self._events.emit("upload", address=endpoint, bytes=count, reason=reason)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, Cancelled) or self._failure is not None:
            return
        if not isinstance(error, LocalError):
            raise error
        self._failure = error
        self._events.error("error", reason=error.message)
        self._leave(LAST_WORDS, time.monotonic())

    def _leave(self, seconds: float, now: float) -> None:
        self._leave_until = now + seconds
        if self.download is not None and self.download.phase is not Phase.FAILED:
            self._download_do(lambda it: it.abandon("the peer was stopped", now))
        self._session.leave(now, seconds)
        if self._session.settled:
            self._leave_until = now

    def _ended(self, now: float) -> bool:
        return self._leave_until is not None and now >= self._leave_until

    def _close(self) -> None:
        self._source.close()
        self._dialer.close()
        self._uploads.close()
        self._worker.stop(0.3)
        if self.store is not None:
            self.store.close()
        self._selector.close()
        for sock in (self._udp, self._wake_in, self._wake_out):
            sock.close()


class _Ears:
    """What is heard on any connection goes to the download, whose phase may change by it."""

    def __init__(self, peer: Peer, swarm: Swarm) -> None:
        self._peer = peer
        self._swarm = swarm

    @property
    def info_hash(self) -> bytes:
        return self._swarm.info_hash if self._swarm.known else b""

    def take(self, connection: Connection, event: ConversationEvent, now: float) -> None:
        self._peer._swarm_do(lambda it: it.take(connection, event, now))

    def gone(self, connection: Connection, reason: str, now: float) -> None:
        self._peer._swarm_do(lambda it: it.gone(connection, reason, now))


def _piece_length(path: Path) -> int:
    return choose_piece_length(os.path.getsize(path) if os.path.isfile(path) else 0)


def _tracker_socket(listen_ip: str, tracker: Endpoint) -> socket.socket:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setblocking(False)
    # The tracker takes our address from the packet: it must be the one that others are to connect to.
    udp.bind((listen_ip, 0))
    # Connected, so that the kernel drops what comes from anybody else.
    try:
        udp.connect(tuple(tracker))
    except OSError as error:
        udp.close()
        raise LocalError(
            f"the tracker at {tracker} cannot be reached from {listen_ip}: {os.strerror(error.errno or 0).lower()}",
            hint="listen on an address of the network that the tracker is in",
        ) from None
    return udp
