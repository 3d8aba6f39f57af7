"""``get``: from a file's name to a seed of it. What all strategies have in common, as a state machine without I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING

from torrentnet.peer.tracker_client.lookup import LookupResult
from torrentnet.peer.tracker_client.membership import Membership
from torrentnet.peer.tracker_client.session import RequestRefused, SilenceChanged, SwarmJoined
from torrentnet.wire.udp.outcome import OutcomeReport, OutcomeResult

if TYPE_CHECKING:
    from torrentnet.peer.storage.file_store import FileStore, StorageError
    from torrentnet.peer.strategies.effects import Disk
    from torrentnet.peer.strategies.task import DownloadTask
    from torrentnet.peer.tracker_client.session import SessionEvent
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp.lookup import LookupHolder, LookupReply

FIRST_RETRY_PAUSE = 0.25
MAX_RETRY_PAUSE = 5.0
"""Seconds between look-ups while nobody has the file; doubled each time, and never longer than the keep-alive."""


class Phase(Enum):
    """Where a download stands."""

    ASKING = "asking the tracker"
    CHECKING = "checking the file that is here"
    CONNECTING = "connecting"
    FETCHING = "fetching"
    PAUSING = "waiting to ask the tracker again"
    FINISHING = "finishing"
    DONE = "done"
    FAILED = "failed"


class BaseDownload(ABC):
    """Drives one ``get``. ``now`` is any clock that does not jump; every call may change :attr:`phase`."""

    def __init__(self, task: DownloadTask, disk: Disk, now: float) -> None:
        self.name = task.name
        self.phase = Phase.ASKING
        self.failure = ""
        """Why it failed, for a person; empty unless :attr:`phase` is FAILED."""
        self.hint = ""
        self.store: FileStore | None = None
        self.info = task.info
        self._opening = False
        self._identity = task.identity
        self._session = task.session
        self._disk = disk
        self._patience = task.patience
        self._report = task.report
        self._exists = task.exists
        self._found: LookupReply | None = None
        self._request = 0
        self._started = now
        self._advanced = now
        self._pause = FIRST_RETRY_PAUSE
        self._wake = now
        self._obstacle = "the tracker does not answer"
        task.session.lookup(task.name, 0, now)

    # What strategies differ in

    @property
    @abstractmethod
    def sources(self) -> str:
        """Who the pieces come from now, for a person; empty where they come from nobody."""

    @abstractmethod
    def _named(self, holders: tuple[LookupHolder, ...], now: float) -> None:
        """The tracker has answered the look-up that was waited for: these have the file whole."""

    @abstractmethod
    def _named_meanwhile(self, done: LookupResult, now: float) -> None:
        """The tracker has answered a look-up that nobody waited for."""

    @abstractmethod
    def _opened(self, now: float) -> None:
        """:attr:`store` is open, what it held was checked, and pieces are missing."""

    @abstractmethod
    def piece_written(self, piece: int, now: float, *, verified: bool) -> None:
        """A piece was hashed, and written if it was right."""

    @abstractmethod
    def _let_go(self, now: float) -> None:
        """Nothing more is asked of anybody."""

    @abstractmethod
    def _look_due(self) -> float | None:
        """When :meth:`_look` is to be called next."""

    @abstractmethod
    def _look(self, now: float) -> None:
        """Look at the clock, while pieces are fetched; it may be earlier than it was due."""

    # Time

    def due(self) -> float | None:
        """When :meth:`tick` is to be called next."""
        if self.phase is Phase.ASKING:
            return self._advanced + self._patience.give_up
        if self.phase is Phase.PAUSING:
            return self._wake
        return self._look_due() if self.phase is Phase.FETCHING else None

    def tick(self, now: float) -> None:
        """Look at the clock."""
        if self.phase is Phase.PAUSING and now >= self._wake:
            self._ask_again(now)
        elif self.phase is Phase.ASKING and now - self._advanced >= self._patience.give_up:
            self._give_up(now)
        elif self.phase is Phase.FETCHING:
            self._look(now)

    # What the tracker says

    @property
    def info_hash(self) -> bytes:
        """What the swarm is called (20 bytes); known once the tracker has named it."""
        assert self._found is not None
        return self._found.info_hash

    @property
    def known(self) -> bool:
        """Whether the tracker has named the swarm."""
        return self._found is not None

    def abandon(self, reason: str, now: float) -> None:
        """End it from outside; nothing happens when it has ended already."""
        self._fail(reason, now)

    def take_session(self, event: SessionEvent, now: float) -> None:
        """React to what the tracker session reports."""
        if isinstance(event, LookupResult):
            self._take_lookup(event, now)
        elif isinstance(event, RequestRefused):
            self._report.tracker_refused(event.kind.name.lower(), event.message)
            self._fail(f"the tracker refused: {event.message}", now)
        elif isinstance(event, SilenceChanged):
            self._report.tracker_silence(silent=event.silent)
        elif isinstance(event, SwarmJoined) and event.again:
            self._report.known_again()

    def _take_lookup(self, done: LookupResult, now: float) -> None:
        found = done.found
        self._request = found.request
        self._report.lookup(found, done.holders)
        if self.phase is not Phase.ASKING:
            self._named_meanwhile(done, now)
            return
        if found.found:
            # Where there are some, what was wrong with the last one tells more.
            if not done.holders:
                self._obstacle = f"nobody has {self.name!r} whole now"
            if self._found is None:
                self._join(found, now)
            self._found = found
        else:
            self._obstacle = f"the tracker knows no file named {self.name!r}"
        if self._exists:
            self._exists = False
            self.phase = Phase.CHECKING
            self._disk.open_existing(found.piece_length)
            return
        self._named(done.holders if found.found else (), now)

    def _join(self, found: LookupReply, now: float) -> None:
        # Standard clients do not tell their piece length: one piece stands for the file until its info is here.
        member = Membership(found.info_hash, self.name, found.size, found.piece_length)
        self._session.join(member, member.none_held(), now)

    def _rest(self, now: float) -> None:
        if now - self._advanced >= self._patience.give_up:
            self._give_up(now)
            return
        self.phase = Phase.PAUSING
        # A look-up is also what keeps a request alive for which there is no swarm to announce to yet.
        self._wake = now + min(self._pause, self._session.keepalive)
        self._pause = min(self._pause * 2, MAX_RETRY_PAUSE)

    def _ask_again(self, now: float) -> None:
        self.phase = Phase.ASKING
        self._session.lookup(self.name, self._request, now)

    # The file

    def _open_part(self, info: Info) -> None:
        if not self._opening:
            self._opening = True
            self._disk.open_part(info)

    def part_opened(self, store: FileStore, now: float) -> None:
        """The part is open, and what it held was checked."""
        self.store = store
        if self.phase is Phase.FAILED:
            return
        info = store.info
        self.info = info
        self._session.hold(Membership.of(info, self.name), store.held)
        self._report.resumed(store.held)
        self._advanced = now
        if store.held.is_full:
            self._finish(now)
        else:
            self._opened(now)

    def _verified(self, source: LookupHolder, piece: int, elapsed: float, now: float) -> None:
        """A piece is right and on disk; the file may be whole with it."""
        assert self.store is not None
        info, held = self.store.info, self.store.held
        held.add(piece)
        self._report.piece_verified(source, piece, info.piece_size(piece), elapsed)
        self._report.progress(held, info.length, now)
        self._session.downloaded = self._report.transferred
        self._advanced = now
        self._pause = FIRST_RETRY_PAUSE
        if held.is_full:
            self._finish(now)

    def existing_opened(self, store: FileStore, now: float) -> None:
        """The file that was here under the final name is hashed."""
        found = self._found
        if found is None or store.info.info_hash == found.info_hash:
            self.store, self.info = store, store.info
            self._done(now)
            return
        store.close()
        if store.info.length != found.size and (found.size or found.piece_length):
            reason = f"{store.path} is there already with another content, and is left as it is"
            self._fail(reason, now, hint="move it away, or get the file into another directory with --dir")
            return
        # Another client may have described the same bytes in its own way, with another info-hash. Its info
        # dictionary will tell; opening the part refuses what does not match it.
        self._ask_again(now)

    def storage_failed(self, error: StorageError, now: float) -> None:
        """The file system refused."""
        self._fail(error.message, now, hint=error.hint)

    # The end

    def _finish(self, now: float) -> None:
        self._let_go(now)
        self.phase = Phase.FINISHING
        self._disk.finish()

    def finished(self, now: float) -> None:
        """The file has its name."""
        self._done(now)

    def _done(self, now: float) -> None:
        assert self.store is not None
        info = self.store.info
        self.phase = Phase.DONE
        self._report.completed(info.length, self._elapsed_ms(now))
        member = Membership.of(info, self.name)
        if self._found is None:
            # Nobody shared it when we asked, but here it is: publish it as `share` would.
            self._session.join(member, self.store.held, now)
        else:
            self._session.hold(member, self.store.held)
            self._session.completed(now)
        self._send_outcome(OutcomeResult.SUCCEEDED, "", now)

    def _give_up(self, now: float) -> None:
        if self._found is None and self._session.knows_no_names:
            self._fail(
                f"the tracker speaks BEP 15 but does not answer when asked for {self.name!r} by name",
                now,
                hint="give get a magnet link in the place of the name, or a --torrent; `share` makes both",
            )
            return
        self._fail(f"{self._obstacle}; gave up after {self._patience.give_up:g} s without a new piece", now)

    def _fail(self, reason: str, now: float, *, hint: str = "") -> None:
        if self.phase in {Phase.FAILED, Phase.DONE}:
            return
        self._let_go(now)
        self.phase = Phase.FAILED
        self.failure, self.hint = reason, hint
        self._report.failed(reason)
        self._send_outcome(OutcomeResult.FAILED, reason, now)

    def _send_outcome(self, result: OutcomeResult, reason: str, now: float) -> None:
        if not self._request:
            return
        self._session.outcome(
            OutcomeReport(
                0,
                0,
                result,
                self._identity.port,
                self._found.info_hash if self._found else bytes(20),
                self._identity.peer_id,
                self._request,
                self._report.transferred,
                self._elapsed_ms(now),
                self._report.sources(),
                reason,
            ),
            now,
        )

    def _elapsed_ms(self, now: float) -> int:
        return round((now - self._started) * 1000)
