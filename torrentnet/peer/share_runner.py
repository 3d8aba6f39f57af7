"""Sharing a file that is here: hash it, publish it, and connect to the peers that wait for it.

Tested by tests/loopback/test_peer_transfer.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.peer.storage.corrupt import corrupt_copy
from torrentnet.peer.storage.file_store import default_piece_length, open_complete
from torrentnet.peer.storage.worker import JobFailure
from torrentnet.peer.tracker_client.membership import Membership
from torrentnet.peer.tracker_client.session import PeersReceived, RequestRefused, SilenceChanged, SwarmJoined
from torrentnet.wire.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.peer.response_log import ResponseLog
    from torrentnet.peer.settings import PeerSettings
    from torrentnet.peer.storage.file_store import FileStore
    from torrentnet.peer.storage.worker import Worker
    from torrentnet.peer.tracker_client.session import SessionEvent, TrackerSession
    from torrentnet.peer.transfer.connection_manager import ConnectionManager
    from torrentnet.peer.transfer.seed_dialer import SeedDialer
    from torrentnet.runtime.events import EventLog
    from torrentnet.runtime.system import System

HASHING_EVENT_INTERVAL: Final = 2.0


class ShareRunner:
    """Shares one file until the peer stops; ``failed`` is called with whatever prevents that."""

    download = None
    """Nothing is downloaded."""

    def __init__(
        self,
        settings: PeerSettings,
        session: TrackerSession,
        worker: Worker,
        connections: ConnectionManager,
        dialer: SeedDialer,
        events: EventLog,
        log: ResponseLog,
        failed: Callable[[Exception], None],
        system: System,
    ) -> None:
        self._settings = settings
        self._session = session
        self._worker = worker
        self._connections = connections
        self._dialer = dialer
        self._events = events
        self._log = log
        self._failed = failed
        self._monotonic = system.monotonic
        self._event_at = self._monotonic() + HASHING_EVENT_INTERVAL
        self.store: FileStore | None = None
        """The file; None until it is hashed."""
        worker.submit(self._open, self._opened)

    def _open(self) -> FileStore:
        settings = self._settings
        path = settings.path
        length = settings.piece_length or default_piece_length(path)
        store = open_complete(path, length, self._hashed, self._worker.is_stopping, private=settings.private)
        return corrupt_copy(store) if settings.corrupt else store

    def _hashed(self, done: int, size: int) -> None:
        if self._monotonic() >= self._event_at:
            self._event_at = self._monotonic() + HASHING_EVENT_INTERVAL
            percent = 100 * done // size
            self._events.emit("hashing", file=self._settings.path.name, bytes=done, size=size, percent=percent)

    def _opened(self, result: FileStore | JobFailure[FileStore]) -> None:
        if isinstance(result, JobFailure):
            self._failed(result.error)
            return
        self.store = self._connections.store = result
        self._session.want_peers = True
        self._session.join(Membership.from_info(result.info, result.info.name), result.held, self._monotonic())

    def handle_session_event(self, event: SessionEvent, now: float) -> None:
        """React to an event of the tracker session."""
        if isinstance(event, RequestRefused):
            self._failed(LocalError(f"the tracker refused {self._settings.path.name!r}: {event.message}"))
        elif isinstance(event, SilenceChanged):
            self._events.emit("tracker_silent" if event.silent else "tracker_back")
            self._log.add("tracker", "does not answer" if event.silent else "answers again")
        elif isinstance(event, PeersReceived):
            # In a swarm of seeds nobody waits, and two hundred seeds would only connect to each other.
            if event.leechers:
                self._dialer.dial(event.peers, now)
        elif isinstance(event, SwarmJoined):
            self._session.want_peers = False
            self._log.add("tracker", "knows this peer again" if event.again else "published")

    def due(self, now: float) -> float | None:
        """When to call :meth:`tick` next."""
        return self._dialer.due(now)

    def tick(self, now: float) -> None:
        """Apply the time-outs."""
        self._dialer.tick(now)

    def abandon(self, reason: str, now: float) -> None:
        """The peer stops; nothing is pending."""

    def close(self) -> None:
        """Close the connections that are not open yet."""
        self._dialer.close()
