"""The peer as a program: its sockets, its clock, and one loop around the parts that do no I/O."""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import socket
import time
from typing import TYPE_CHECKING

from torrentnet.peer.download_runner import RunnerContext, SingleRunner, SwarmRunner
from torrentnet.peer.scheduling.rate_limit import RateLimit
from torrentnet.peer.storage.corrupt import corrupt_copy
from torrentnet.peer.storage.file_store import default_piece_length, open_complete
from torrentnet.peer.storage.hashing import Cancelled
from torrentnet.peer.storage.worker import JobFailure, Worker
from torrentnet.peer.strategies.base import Phase
from torrentnet.peer.strategies.report import DownloadReport
from torrentnet.peer.strategies.single import SingleDownload
from torrentnet.peer.strategies.swarm import SwarmDownload
from torrentnet.peer.strategies.task import DownloadTask
from torrentnet.peer.tracker_client.membership import AnnounceIdentity, Membership
from torrentnet.peer.tracker_client.requests import PendingRequests
from torrentnet.peer.tracker_client.session import (
    PeersReceived,
    RequestRefused,
    SilenceChanged,
    SwarmJoined,
    TrackerSession,
)
from torrentnet.peer.tracker_client.transport import TrackerTransport
from torrentnet.peer.transfer.connection_manager import ConnectionManager
from torrentnet.peer.transfer.protocol import LocalIdentity
from torrentnet.peer.transfer.seed_dialer import SeedDialer
from torrentnet.wire.errors import LocalError
from torrentnet.wire.peer.handshake import make_peer_id
from torrentnet.wire.udp.packets import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.peer.response_log import ResponseLog
    from torrentnet.peer.settings import PeerSettings
    from torrentnet.peer.storage.file_store import FileStore
    from torrentnet.peer.strategies.base import BaseDownload
    from torrentnet.peer.tracker_client.session import SessionEvent
    from torrentnet.runtime.events import EventLog

GOODBYE_TIMEOUT = 0.6
"""Seconds that a stopping peer waits for the tracker to hear its good-bye."""
FAILURE_REPORT_TIMEOUT = 2.0
"""Seconds that a failed download waits for the tracker to note it."""
HASHING_EVENT_INTERVAL = 2.0


class Peer:
    """One peer with one file. :meth:`run` returns its exit status; :meth:`stop` may be called from anywhere."""

    def __init__(
        self,
        settings: PeerSettings,
        listener: socket.socket,
        rng: random.Random,
        events: EventLog,
        log: ResponseLog,
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
        # Only the choice of a source may be repeatable: a peer that is started again is another one to the tracker.
        unique = random.SystemRandom()
        identity = AnnounceIdentity(
            settings.name, make_peer_id(unique.randbytes(12)), self.endpoint.port, unique.getrandbits(32)
        )
        self._identity = identity
        self._session = TrackerSession(identity, PendingRequests(unique), settings.known, self.endpoint)
        self._tracker = TrackerTransport(
            self._selector, self.endpoint.ip, settings.tracker, self._session, self._take_session
        )
        self._rng = rng
        now = self._made = time.monotonic()
        self._uploads = ConnectionManager(
            listener,
            self._selector,
            identity.peer_id,
            RateLimit(settings.upload_rate, now),
            self._told,
            LocalIdentity(
                settings.name, self.endpoint.port, offers=not settings.share and settings.strategy == "swarm"
            ),
            rng,
            now,
        )
        self._calls = SeedDialer(self._selector, self.endpoint, self._uploads)
        self._host: SingleRunner | SwarmRunner | None = None
        self._shared: FileStore | None = None
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
    def download(self) -> BaseDownload | None:
        """With get: how far it is."""
        return None if self._host is None else self._host.download

    @property
    def store(self) -> FileStore | None:
        """The file that is here, whole or in part; None before it is open."""
        return self._shared if self._host is None else self._host.download.store

    @property
    def state(self) -> str:
        """``get`` or ``seed``, as the mission names the two states (``share`` is a seed once the file is hashed)."""
        store = self.store
        return "seed" if store is not None and store.held.is_full else "get"

    # The loop

    def run(self) -> int:
        """Work until stopped or failed. Returns 0 for an orderly end; raises :class:`LocalError` for a failure."""
        settings = self._settings
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
        told = [time.monotonic() + HASHING_EVENT_INTERVAL]

        def progress(done: int, size: int) -> None:
            if time.monotonic() >= told[0]:
                told[0] = time.monotonic() + HASHING_EVENT_INTERVAL
                self._events.emit("hashing", file=path.name, bytes=done, size=size, percent=100 * done // size)

        def job() -> FileStore:
            settings = self._settings
            length = settings.piece_length or default_piece_length(path)
            store = open_complete(path, length, progress, self._worker.cancelled, private=settings.private)
            return corrupt_copy(store) if settings.corrupt else store

        self._worker.submit(job, self._shared_opened)

    def _shared_opened(self, result: FileStore | JobFailure[FileStore]) -> None:
        if isinstance(result, JobFailure):
            self._fail(result.error)
            return
        self._shared = self._uploads.store = result
        info = result.info
        member = Membership.of(info, info.name)
        self._session.want_peers = True
        self._session.join(member, result.held, time.monotonic())

    def _begin_get(self) -> None:
        settings = self._settings
        self._events.emit("state", state="get", file=settings.path.name)
        now = time.monotonic()
        exists = os.path.lexists(settings.path)
        report = DownloadReport(settings.path.name, self._events.emit, self._log)
        means = RunnerContext(
            settings.path, self._selector, self.endpoint.ip, self._worker, self._uploads, self._turned, self._fail
        )
        task = DownloadTask(
            settings.path.name, self._identity, self._session, report, settings.patience, exists, settings.info
        )
        if settings.strategy == "single":
            single = SingleRunner(means, self._identity.peer_id, settings.patience.stall)
            single.download = SingleDownload(task, single, self._rng, now)
            self._host = single
            return
        swarm = SwarmRunner(means)
        swarm.download = SwarmDownload(task, swarm, self._rng, now, self.endpoint)
        self._host = self._uploads.taker = swarm

    def _due(self, now: float) -> float | None:
        times = [self._tracker.due(now), self._uploads.due(now), self._calls.due(now), self._leave_until]
        if self._host is not None:
            times.append(self._host.due(now))
        return min((at for at in times if at is not None), default=None)

    def _tick(self, now: float) -> None:
        if self._stop_reason is not None and self._leave_until is None:
            self._leave(GOODBYE_TIMEOUT, now)
        self._uploads.tick(now)
        self._calls.tick(now)
        if self._host is not None:
            self._host.tick(now)
        self._session.uploaded = self._uploads.total
        self._tracker.tick(now)
        self._worker.hand_over()

    def _woken(self, _: int, __: float) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_in.recv(4096)
        self._worker.deliver()

    def _take_session(self, event: SessionEvent, now: float) -> None:
        if self._leave_until is not None:
            if self._session.settled:
                self._leave_until = now
            return
        if self._host is not None:
            self._host.do(lambda it: it.take_session(event, now))
        elif isinstance(event, RequestRefused):
            self._fail(LocalError(f"the tracker refused {self._settings.path.name!r}: {event.message}"))
        elif isinstance(event, SilenceChanged):
            self._events.emit("tracker_silent" if event.silent else "tracker_back")
            self._log.add("tracker", "does not answer" if event.silent else "answers again")
        elif isinstance(event, PeersReceived):
            if event.leechers:
                # Where all are seeds nobody waits, and two hundred seeds would only call on each other.
                self._calls.call(event.peers, now)
        elif isinstance(event, SwarmJoined):
            self._session.want_peers = False
            self._log.add("tracker", "knows this peer again" if event.again else "published")
        store = self.store
        if isinstance(event, SwarmJoined) and not event.again and store is not None and store.held.is_full:
            self._published(store)

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

    def _turned(self, download: BaseDownload) -> None:
        if download.phase is Phase.DONE:
            self._events.emit("state", state="seed", file=download.name)
        elif download.phase is Phase.FAILED and self._failure is None and self._leave_until is None:
            self._failure = LocalError(download.failure, hint=download.hint)
            self._leave(FAILURE_REPORT_TIMEOUT, time.monotonic())

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
        self._leave(FAILURE_REPORT_TIMEOUT, time.monotonic())

    def _leave(self, seconds: float, now: float) -> None:
        self._leave_until = now + seconds
        if self._host is not None and self._host.download.phase is not Phase.FAILED:
            self._host.do(lambda it: it.abandon("the peer was stopped", now))
        self._session.leave(now, seconds)
        if self._session.settled:
            self._leave_until = now

    def _ended(self, now: float) -> bool:
        return self._leave_until is not None and now >= self._leave_until

    def _close(self) -> None:
        if self._host is not None:
            self._host.close()
        self._calls.close()
        self._uploads.close()
        self._worker.stop(0.3)
        store = self.store
        if store is not None:
            store.close()
        self._tracker.close()
        self._selector.close()
        for sock in (self._wake_in, self._wake_out):
            sock.close()
