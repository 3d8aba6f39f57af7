"""The loop of a peer, around the parts that do no I/O.

Tested by tests/loopback/test_peer_transfer.py.
Tested by tests/loopback/test_peer_failures.py.
"""

from __future__ import annotations

import contextlib
import os
import selectors
from typing import TYPE_CHECKING, Final, TypeAlias

from torrentnet.peer.download_runner import RunnerContext, SingleRunner, SwarmRunner
from torrentnet.peer.scheduling.rate_limit import RateLimit
from torrentnet.peer.share_runner import ShareRunner
from torrentnet.peer.storage.hashing import Cancelled
from torrentnet.peer.storage.worker_pool import JobFailure, WorkerPool
from torrentnet.peer.strategies.base import Phase
from torrentnet.peer.strategies.report import DownloadReport
from torrentnet.peer.strategies.single import SingleDownload
from torrentnet.peer.strategies.swarm import SwarmDownload
from torrentnet.peer.strategies.task import DownloadTask
from torrentnet.peer.tracker_client.membership import AnnounceIdentity
from torrentnet.peer.tracker_client.requests import PendingRequests
from torrentnet.peer.tracker_client.session import TrackerSession
from torrentnet.peer.tracker_client.session_events import SwarmJoined
from torrentnet.peer.tracker_client.transport import TrackerTransport
from torrentnet.peer.transfer.connection_manager import ConnectionManager
from torrentnet.peer.transfer.protocol import LocalIdentity
from torrentnet.runtime.system import MACHINE, System
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.errors import LocalError
from torrentnet.wire.peer.handshake import make_peer_id
from torrentnet.wire.peer.messages import BLOCK, MAX_BLOCK

if TYPE_CHECKING:
    import random
    import socket
    from collections.abc import Callable

    from torrentnet.peer.response_log import ResponseLog
    from torrentnet.peer.settings import PeerSettings
    from torrentnet.peer.storage.file_store import FileStore
    from torrentnet.peer.strategies.base import BaseDownload
    from torrentnet.peer.tracker_client.session_events import SessionEvent
    from torrentnet.runtime.events import EventLog

GOODBYE_TIMEOUT: Final = 0.6
"""Seconds that a stopping peer waits for the reply to its last announce."""
FAILURE_REPORT_TIMEOUT: Final = 2.0
"""Seconds that a failed peer waits for the tracker to record the failure."""
WORKER_STOP_TIMEOUT: Final = 0.3

Runner: TypeAlias = ShareRunner | SingleRunner | SwarmRunner


class Peer:
    """One peer with one file.

    ``on_shared(store)`` is called when the tracker has registered the shared file.
    """

    def __init__(
        self,
        settings: PeerSettings,
        listener: socket.socket,
        rng: random.Random,
        events: EventLog,
        log: ResponseLog,
        on_shared: Callable[[FileStore], None],
        system: System = MACHINE,
    ) -> None:
        self._system = system
        self._settings = settings
        self._rng = rng
        self._events = events
        self._log = log
        self._on_shared = on_shared
        self.endpoint = Endpoint(*listener.getsockname()[:2])
        self._selector = system.make_selector()
        self._wake_in, self._wake_out = system.make_socket_pair()
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)
        self._worker = WorkerPool(self._wake, system)
        # Not ``rng``, whose choices may be repeatable: a restarted peer is a new peer to the tracker.
        unique = system.make_random(None)
        peer_id = make_peer_id(system.make_secret(12))
        identity = AnnounceIdentity(settings.name, peer_id, self.endpoint.port, unique.getrandbits(32))
        self._identity = identity
        self._session = TrackerSession(identity, PendingRequests(unique), settings.known, self.endpoint)
        self._tracker = TrackerTransport(
            self._selector, self.endpoint.ip, settings.tracker, self._session, self._handle_session_event, system
        )
        now = self._started_at = system.monotonic()
        self._connections = ConnectionManager(
            listener,
            self._selector,
            identity.peer_id,
            RateLimit(settings.upload_rate, now),
            self._upload_ended,
            self._file_damaged,
            LocalIdentity(
                settings.name,
                self.endpoint.port,
                uses_credits=not settings.share and settings.strategy == "swarm",
                max_block=BLOCK if settings.small_blocks else MAX_BLOCK,
            ),
            rng,
            now,
            system,
            self._file_touched,
            events.emit,
        )
        self._verifying_again = False
        self._runner: Runner | None = None
        self._stop_reason: str | None = None
        self._leave_until: float | None = None
        self._failure: LocalError | None = None

    # -- called from other threads -----------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """Leave the swarm and end; may be called from threads and signal handlers."""
        if self._stop_reason is None:
            self._stop_reason = reason
        self._wake()

    def _wake(self) -> None:
        # If the buffer is full, the loop will wake up anyway; if the socket is closed, the loop has ended.
        with contextlib.suppress(OSError):
            self._wake_out.send(b"\0")

    @property
    def uploaded(self) -> int:
        """Bytes sent to other peers so far."""
        return self._connections.uploaded_bytes

    @property
    def connections(self) -> int:
        """Number of open connections to other peers."""
        return len(self._connections)

    def running_for(self) -> float:
        """Return the seconds since the peer was started."""
        return self._system.monotonic() - self._started_at

    @property
    def download(self) -> BaseDownload | None:
        """The download; None with ``share``, and before the loop starts."""
        return None if self._runner is None else self._runner.download

    @property
    def store(self) -> FileStore | None:
        """The file, complete or in part; None before it is open."""
        return None if self._runner is None else self._runner.store

    @property
    def state(self) -> str:
        """``seed`` with a complete file, otherwise ``get``."""
        store = self.store
        return "seed" if store is not None and store.held.is_full else "get"

    # -- the loop ----------------------------------------------------------------------------------

    def run(self) -> int:
        """Run the loop until the peer is stopped, and return the exit status 0.

        Raises :class:`LocalError` if the peer has failed.
        """
        monotonic = self._system.monotonic
        self._selector.register(self._wake_in, selectors.EVENT_READ, self._woken)
        self._worker.start()
        try:
            runner = self._runner = self._start()
            while self._leave_until is None or monotonic() < self._leave_until:
                now = monotonic()
                self._tick(runner, now)
                times = (self._tracker.due(now), self._connections.due(now), runner.due(), self._leave_until)
                due = min((at for at in times if at is not None), default=None)
                timeout = None if due is None else max(0.0, due - monotonic())
                for key, mask in self._selector.select(timeout):
                    key.data(mask, monotonic())
        finally:
            self._close()
        if self._failure is not None:
            raise self._failure
        self._events.emit("closing", reason=self._stop_reason)
        return 0

    def _start(self) -> Runner:
        settings = self._settings
        context = RunnerContext(
            settings.path,
            self._selector,
            self.endpoint,
            self._worker,
            self._connections,
            self._phase_changed,
            self._fail,
            self._system,
        )
        if settings.share:
            return ShareRunner(settings, context, self._session, self._events, self._log)
        name = settings.path.name
        self._events.emit("state", state="get", file=name)
        now = self._system.monotonic()
        report = DownloadReport(name, self._events.emit, self._log)
        exists = os.path.lexists(settings.path)
        task = DownloadTask(name, self._identity, self._session, report, settings.timeouts, exists, settings.info)
        if settings.strategy == "single":
            download = SingleDownload(task, self._rng, now)
            return SingleRunner(download, context, self._identity.peer_id, settings.timeouts.stall)
        runner = SwarmRunner(SwarmDownload(task, self._rng, now, self.endpoint), context)
        self._connections.handler = runner
        return runner

    def _tick(self, runner: Runner, now: float) -> None:
        if self._stop_reason is not None and self._leave_until is None:
            self._leave(GOODBYE_TIMEOUT, now)
        self._connections.tick(now)
        runner.tick(now)
        self._session.uploaded = self._connections.uploaded_bytes
        self._tracker.tick(now)
        self._worker.start_submitted()

    def _woken(self, _: int, __: float) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_in.recv(4096)
        self._worker.deliver_results()

    def _handle_session_event(self, event: SessionEvent, now: float) -> None:
        if self._leave_until is not None:
            if self._session.is_settled:
                self._leave_until = now
            return
        assert self._runner is not None
        self._runner.handle_session_event(event, now)
        store = self.store
        if isinstance(event, SwarmJoined) and not event.again and store is not None and store.held.is_full:
            self._published(store)

    def _published(self, store: FileStore) -> None:
        info = store.info
        name, info_hash = self._settings.path.name, info.info_hash.hex()
        self._events.emit("published", file=name, size=info.length, pieces=info.pieces, info_hash=info_hash)
        if self._settings.share:
            try:
                self._on_shared(store)
            except LocalError as error:
                self._fail(error)
                return
            self._events.emit("state", state="seed", file=info.name)

    def _phase_changed(self, download: BaseDownload) -> None:
        if download.phase is Phase.DONE:
            self._events.emit("state", state="seed", file=download.name)
        elif download.phase is Phase.FAILED and self._failure is None and self._leave_until is None:
            self._failure = LocalError(download.failure, hint=download.hint)
            self._leave(FAILURE_REPORT_TIMEOUT, self._system.monotonic())

    # -- the end -----------------------------------------------------------------------------------

    def _file_touched(self) -> None:
        """Verify the file again, because another program may have changed it."""
        store = self.store
        if self._verifying_again or store is None:
            return
        self._verifying_again = True

        def verified(result: bool | JobFailure[bool]) -> None:
            self._verifying_again = False
            if isinstance(result, JobFailure):
                self._fail(result.error)
            elif not result:
                self._file_damaged("the file has been changed since it was hashed")

        self._worker.submit(lambda: store.verify_again(self._worker.is_stopping, system=self._system), verified)

    def _file_damaged(self, reason: str) -> None:
        self._fail(LocalError(f"{self._settings.path}: {reason}", hint="restart the peer to share the current file"))

    def _upload_ended(self, endpoint: Endpoint, count: int, reason: str) -> None:
        self._events.emit("upload", address=endpoint, bytes=count, reason=reason)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, Cancelled) or self._failure is not None:
            return
        if not isinstance(error, LocalError):
            raise error
        self._failure = error
        self._events.error("error", reason=error.message)
        self._leave(FAILURE_REPORT_TIMEOUT, self._system.monotonic())

    def _leave(self, timeout: float, now: float) -> None:
        self._leave_until = now + timeout
        if self._runner is not None:
            self._runner.abandon("the peer was stopped", now)
        self._session.leave(now, timeout)
        if self._session.is_settled:
            self._leave_until = now

    def _close(self) -> None:
        if self._runner is not None:
            self._runner.close()
        self._connections.close()
        self._worker.stop(WORKER_STOP_TIMEOUT)
        if self.store is not None:
            self.store.close()
        self._tracker.close()
        self._selector.close()
        for sock in (self._wake_in, self._wake_out):
            sock.close()
