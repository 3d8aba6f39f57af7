"""Share a file: hash it, publish it, and connect to the peers that wait for it.

Tested by tests/loopback/test_peer_transfer.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.peer.storage.corrupt import corrupt_copy
from torrentnet.peer.storage.file_store import default_piece_length, open_complete, open_described
from torrentnet.peer.storage.worker_pool import JobFailure
from torrentnet.peer.tracker_client.membership import Membership
from torrentnet.peer.tracker_client.session_events import PeersReceived, RequestRefused, SilenceChanged, SwarmJoined
from torrentnet.peer.transfer.dialer import Dialer
from torrentnet.wire.errors import LocalError
from torrentnet.wire.udp.error_texts import NAME_TAKEN

if TYPE_CHECKING:
    import socket

    from torrentnet.peer.download_runner import RunnerContext
    from torrentnet.peer.response_log import ResponseLog
    from torrentnet.peer.settings import PeerSettings
    from torrentnet.peer.storage.file_store import FileStore
    from torrentnet.peer.tracker_client.session import TrackerSession
    from torrentnet.peer.tracker_client.session_events import SessionEvent
    from torrentnet.runtime.events import EventLog
    from torrentnet.wire.endpoint import Endpoint

HASHING_EVENT_INTERVAL: Final = 2.0
MAX_SEED_DIALS: Final = 40
"""Leechers that a new seed connects to; the others learn of the seed from the tracker."""


class ShareRunner:
    """Hash and share one file until the peer stops.

    A new seed connects to the waiting leechers once each: other clients ask their tracker for peers only every few
    minutes, and would find the seed late.
    """

    download = None
    """Always None, because nothing is downloaded."""

    def __init__(
        self,
        settings: PeerSettings,
        context: RunnerContext,
        session: TrackerSession,
        events: EventLog,
        log: ResponseLog,
    ) -> None:
        self._settings = settings
        self._context = context
        self._session = session
        self._events = events
        self._log = log
        self._dialer = Dialer(context.selector, context.own.ip, self._dialled, lambda *_: None, context.system)
        self._monotonic = context.system.monotonic
        self._event_at = self._monotonic() + HASHING_EVENT_INTERVAL
        self.store: FileStore | None = None
        """The shared file; None until it is hashed."""
        self._is_published = False
        self._refused_since: float | None = None
        self._refusal = ""
        context.worker.submit(self._open, self._opened)

    def _open(self) -> FileStore:
        settings, cancelled, system = self._settings, self._context.worker.is_stopping, self._context.system
        path, private = settings.path, settings.private
        if settings.info is not None:
            store = open_described(path, settings.info, self._hashed, cancelled, system=system)
        else:
            length = settings.piece_length or default_piece_length(path)
            store = open_complete(path, length, self._hashed, cancelled, private=private, system=system)
        return corrupt_copy(store, system=system) if settings.corrupt else store

    def _hashed(self, done: int, size: int) -> None:
        if self._monotonic() >= self._event_at:
            self._event_at = self._monotonic() + HASHING_EVENT_INTERVAL
            percent = 100 * done // size
            self._events.emit("hashing", file=self._settings.path.name, bytes=done, size=size, percent=percent)

    def _opened(self, result: FileStore | JobFailure[FileStore]) -> None:
        if isinstance(result, JobFailure):
            self._context.failed(result.error)
            return
        self.store = self._context.connections.store = result
        self._session.want_peers = True
        self._session.join(Membership.from_info(result.info, result.info.name), result.held, self._monotonic())

    def handle_session_event(self, event: SessionEvent, now: float) -> None:
        """React to an event of the tracker session."""
        if isinstance(event, RequestRefused):
            self._handle_refusal(event.message, now)
        elif isinstance(event, SilenceChanged):
            self._events.emit("tracker_silent" if event.silent else "tracker_back")
            self._log.add("tracker", "does not answer" if event.silent else "answers again")
        elif isinstance(event, PeersReceived):
            # Without leechers, two hundred seeds would only connect to each other.
            if event.leechers:
                for endpoint in list(dict.fromkeys(event.peers))[:MAX_SEED_DIALS]:
                    if endpoint != self._context.own:
                        self._dialer.dial(endpoint, now)
        elif isinstance(event, SwarmJoined):
            self._session.want_peers = False
            self._refused_since, self._refusal = None, ""
            self._is_published = True
            self._log.add("tracker", "knows this peer again" if event.again else "published")

    def _handle_refusal(self, message: str, now: float) -> None:
        """Go on after an error of the tracker, which may be temporary.

        Every keep-alive announces the file again. A file that the tracker has never published is given up.
        """
        since = self._refused_since = self._refused_since or now
        if message != self._refusal:
            self._refusal = message
            self._events.emit("tracker_refused", reason=message)
        self._log.add("tracker", "announce", verdict=f"refused: {message}")
        refused, give_up = (
            f"the tracker refused {self._settings.path.name!r}: {message}",
            self._settings.timeouts.give_up,
        )
        if message.startswith(NAME_TAKEN):
            self._context.failed(LocalError(refused))
        elif not self._is_published and now - since + self._session.keepalive >= give_up:
            self._context.failed(LocalError(f"{refused}; gave up after {give_up:g} s"))

    def _dialled(self, sock: socket.socket, endpoint: Endpoint, now: float) -> None:
        self._context.connections.add_connection(sock, endpoint, initiator=True, now=now)

    def due(self) -> float | None:
        """Return when to call :meth:`tick` next."""
        return self._dialer.due()

    def tick(self, now: float) -> None:
        """Apply the time-outs."""
        self._dialer.tick(now)

    def abandon(self, reason: str, now: float) -> None:
        """Do nothing: no request depends on this peer."""

    def close(self) -> None:
        """Cancel the attempts to connect."""
        self._dialer.close()
