"""What both download strategies share, from look-up to seed. No I/O.

Tested by tests/unit/peer/strategies/test_single.py.
Tested by tests/unit/peer/strategies/test_swarm.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Final

from torrentnet.peer.storage.buffer_pool import BufferPool
from torrentnet.peer.strategies.effects import FinishFile, OpenExisting, OpenPart
from torrentnet.peer.tracker_client.lookup import LookupResult
from torrentnet.peer.tracker_client.membership import Membership
from torrentnet.peer.tracker_client.session_events import RequestRefused, SilenceChanged, SwarmJoined
from torrentnet.wire.info import make_info
from torrentnet.wire.udp.error_texts import NAME_TAKEN
from torrentnet.wire.udp.outcome import OutcomeReport, OutcomeResult

if TYPE_CHECKING:
    from torrentnet.peer.storage.file_store import FileStore, StorageError
    from torrentnet.peer.strategies.effects import Effect
    from torrentnet.peer.strategies.task import DownloadTask
    from torrentnet.peer.tracker_client.session_events import SessionEvent
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp.lookup import LookupHolder, LookupReply

FIRST_RETRY_PAUSE: Final = 0.25
MAX_RETRY_PAUSE: Final = 5.0
"""Seconds between look-ups while no peer has the file: doubled each time, and at most the keep-alive interval."""

MIN_FLOW: Final = 16 * 1024
"""Bytes of pieces that must arrive within the give-up time: sources that send less count as silent."""


class Phase(Enum):
    """The phase of a download; the values are shown to users."""

    LOOKING_UP = "asking the tracker"
    CHECKING = "checking the file that is here"
    CONNECTING = "connecting"
    FETCHING = "fetching"
    PAUSING = "waiting to ask the tracker again"
    FINISHING = "finishing"
    DONE = "done"
    FAILED = "failed"


class BaseDownload(ABC):
    """One ``get``, as a state machine. ``now`` is the time of any monotonic clock.

    Every method may change :attr:`phase` and append to :attr:`effects`; its caller carries the effects out, in order.
    """

    def __init__(self, task: DownloadTask, now: float) -> None:
        self.name = task.name
        self.phase = Phase.LOOKING_UP
        self.effects: deque[Effect] = deque()
        self.failure = ""
        """Why the download failed, for users; empty unless :attr:`phase` is FAILED."""
        self.hint = ""
        self.store: FileStore | None = None
        self.info = task.info
        self._opening = False
        self._identity = task.identity
        self._session = task.session
        self._timeouts = task.timeouts
        self._report = task.report
        self._file_exists = task.file_exists
        self._swarm: LookupReply | None = None
        self._request = 0
        self._started_at = now
        self._progress_at = now
        self._flow_at = now
        self._flow_bytes = 0
        self._buffers = BufferPool()
        self._retry_pause = FIRST_RETRY_PAUSE
        self._retry_at = now
        self._obstacle = "the tracker does not answer"
        task.session.lookup(task.name, 0, now)

    # -- implemented by each strategy --------------------------------------------------------------

    @property
    @abstractmethod
    def sources(self) -> str:
        """The peers that send pieces now, for users; empty while no peer does."""

    @abstractmethod
    def _holders_found(self, holders: tuple[LookupHolder, ...], now: float) -> None:
        """Use the complete peers that the look-up of :attr:`Phase.LOOKING_UP` has found."""

    @abstractmethod
    def _holders_refreshed(self, result: LookupResult, now: float) -> None:
        """Use the result of a look-up in any other phase."""

    @abstractmethod
    def _part_ready(self, now: float) -> None:
        """Fetch the pieces that :attr:`store`, which is open and verified now, lacks."""

    @abstractmethod
    def piece_written(self, piece: int, now: float, *, verified: bool) -> None:
        """Handle a piece that was hashed, and written if ``verified``."""

    @abstractmethod
    def _stop_fetching(self, now: float) -> None:
        """Cancel every request to other peers."""

    @abstractmethod
    def _check_due(self) -> float | None:
        """Return when to call :meth:`_check` next."""

    @abstractmethod
    def _check(self, now: float) -> None:
        """Apply the time-outs of :attr:`Phase.FETCHING`; may be called early."""

    @property
    @abstractmethod
    def _begun_bytes(self) -> int:
        """Bytes received of requested blocks that are not complete."""

    @property
    @abstractmethod
    def _is_verifying(self) -> bool:
        """Whether complete pieces wait to be hashed and written."""

    @property
    @abstractmethod
    def _silent_sources(self) -> str:
        """The connected sources, for users; empty if there are none."""

    # -- time --------------------------------------------------------------------------------------

    def due(self) -> float | None:
        """Return when to call :meth:`tick` next."""
        due: float | None = None
        if self.phase is Phase.PAUSING:
            due = self._retry_at
        elif self.phase in {Phase.LOOKING_UP, Phase.CONNECTING, Phase.FETCHING}:
            due = self._give_up_at
            check_due = self._check_due() if self.phase is Phase.FETCHING else None
            due = due if check_due is None else min(check_due, due)
        progress_due = self._report.progress_due
        return due if progress_due is None else progress_due if due is None else min(progress_due, due)

    def tick(self, now: float) -> None:
        """Apply the time-outs; may be called early."""
        progress_due = self._report.progress_due
        if progress_due is not None and now >= progress_due:
            self._flush_progress(now)
        if self.phase is Phase.PAUSING and now >= self._retry_at:
            self._repeat_lookup(now)
        elif self.phase is Phase.LOOKING_UP and now >= self._give_up_at:
            self._give_up(now)
        elif self.phase in {Phase.CONNECTING, Phase.FETCHING}:
            if now >= self._give_up_at:
                self._check_flow(now)
            if self.phase is Phase.FETCHING:
                self._check(now)

    @property
    def _give_up_at(self) -> float:
        return max(self._progress_at, self._flow_at) + self._timeouts.give_up

    def _check_flow(self, now: float) -> None:
        """Give up if too little has arrived since the last piece or the last call."""
        received = self._buffers.received_bytes + self._begun_bytes
        is_opening = self._opening and self.store is None
        if received - self._flow_bytes >= MIN_FLOW or is_opening or self._is_verifying:
            self._flow_at, self._flow_bytes = now, received
            return
        sources = self._silent_sources
        # Where a source is dialled again, what it did the last time is the better reason.
        if sources and not (self.phase is Phase.CONNECTING and self._obstacle.startswith(f"{sources}: ")):
            self._obstacle = f"{sources}: sends too little"
        self._give_up(now)

    # -- tracker -----------------------------------------------------------------------------------

    @property
    def info_hash(self) -> bytes:
        """The swarm's info-hash (20 bytes); empty until a look-up has found the file."""
        return b"" if self._swarm is None else self._swarm.info_hash

    def abandon(self, reason: str, now: float) -> None:
        """End the download as failed, unless it has ended already."""
        self._fail(reason, now)

    def handle_session_event(self, event: SessionEvent, now: float) -> None:
        """React to an event of the tracker session."""
        if isinstance(event, LookupResult):
            self._handle_lookup(event, now)
        elif isinstance(event, RequestRefused):
            self._handle_refusal(event, now)
        elif isinstance(event, SilenceChanged):
            self._report.tracker_silence(silent=event.silent)
        elif isinstance(event, SwarmJoined) and event.again:
            self._report.rejoined()

    def _handle_refusal(self, refused: RequestRefused, now: float) -> None:
        self._report.tracker_refused(refused.kind.name.lower(), refused.message)
        if self.phase is not Phase.LOOKING_UP:
            # The peers that are known already may send the file; the next keep-alive announces this peer again.
            return
        self._obstacle = f"the tracker refused: {refused.message}"
        if refused.message.startswith(NAME_TAKEN):
            self._fail(self._obstacle, now)
        else:
            self._pause(now)

    def _handle_lookup(self, result: LookupResult, now: float) -> None:
        reply = result.found
        self._request = reply.request
        self._report.lookup(reply, result.holders)
        if reply.found and self._swarm is not None and reply.info_hash != self.info_hash:
            self._fail(f"{self.name!r} is another file now, which was published in the meantime", now)
            return
        if self.phase is not Phase.LOOKING_UP:
            self._holders_refreshed(result, now)
            return
        if reply.found and self._swarm is not None and reply.info_hash != self._swarm.info_hash:
            if self.info is not None:
                # Pieces of two files must not be mixed.
                self._obstacle = f"the tracker knows another file as {self.name!r} now"
                self._pause(now)
                return
            self._swarm = None
        if reply.found:
            # With holders, the failure of the last source explains more than "no peer has the file".
            if not result.holders:
                self._obstacle = f"no peer has all of {self.name!r} now"
            if self._swarm is None:
                # Standard clients do not announce their piece length: until the info dictionary is here, one piece
                # stands for the file.
                member = Membership(reply.info_hash, self.name, reply.size, reply.piece_length)
                self._session.join(member, member.empty_piece_set(), now)
            self._swarm = reply
        else:
            self._obstacle = f"the tracker knows no file named {self.name!r}"
        if self._file_exists:
            self._file_exists = False
            self.phase = Phase.CHECKING
            if self.info is not None:
                self._open_part(self.info)
            else:
                self.effects.append(OpenExisting(reply.piece_length))
            return
        self._holders_found(result.holders if reply.found else (), now)

    def _pause(self, now: float) -> None:
        if now - self._progress_at >= self._timeouts.give_up:
            self._give_up(now)
            return
        self.phase = Phase.PAUSING
        # Before the peer has joined a swarm, look-ups keep its request at the tracker alive.
        self._retry_at = now + min(self._retry_pause, self._session.keepalive)
        self._retry_pause = min(self._retry_pause * 2, MAX_RETRY_PAUSE)

    def _repeat_lookup(self, now: float) -> None:
        self.phase = Phase.LOOKING_UP
        self._session.lookup(self.name, self._request, now)

    # -- file --------------------------------------------------------------------------------------

    def _open_part(self, info: Info) -> None:
        if not self._opening:
            self._opening = True
            self.effects.append(OpenPart(info))

    def part_opened(self, store: FileStore, now: float) -> None:
        """Handle the opened part file, whose pieces are verified."""
        self.store = store
        if self.phase is Phase.FAILED:
            return
        info = store.info
        self.info = info
        self._session.update_held(Membership.from_info(info, self.name), store.held)
        self._report.resumed(store.held)
        self._progress_at = now
        if store.held.is_full:
            self._finish(now)
            return
        self._part_ready(now)
        if self.phase is Phase.CHECKING:
            # The file that was here at the start has gone meanwhile.
            self._repeat_lookup(now)

    def _piece_verified(self, source: LookupHolder, piece: int, elapsed: float, now: float) -> None:
        assert self.store is not None
        info, held = self.store.info, self.store.held
        held.add(piece)
        self._report.piece_verified(source, piece, info.piece_size(piece), elapsed, now)
        self._report.progress(held, info.length, now)
        self._session.downloaded = self._report.transferred
        self._progress_at = now
        self._flow_bytes = self._buffers.received_bytes
        self._retry_pause = FIRST_RETRY_PAUSE
        if held.is_full:
            self._finish(now)

    def _flush_progress(self, now: float) -> None:
        """Report the pieces that are not reported yet."""
        if self.store is not None and self._report.progress_due is not None:
            self._report.flush_progress(self.store.held, self.store.info.length, now)

    def existing_opened(self, store: FileStore, now: float) -> None:
        """Handle the hashed file that had the final name from the start."""
        swarm = self._swarm
        if swarm is not None and store.info.info_hash != swarm.info_hash:
            info = store.info
            public = make_info(info.name, info.length, info.piece_length, info.hashes, private=False)
            if public.info_hash == swarm.info_hash:
                store.info = public
        if swarm is None or store.info.info_hash == swarm.info_hash:
            self.store, self.info = store, store.info
            self.file_finished(now)
            return
        store.close()
        # The same bytes may have another info dictionary, and so another info-hash, at another client, and the size at
        # the tracker is only announced. The swarm's info dictionary decides when the part file is opened with it: a
        # file that does not match is refused then.
        self._repeat_lookup(now)

    def storage_failed(self, error: StorageError, now: float) -> None:
        """Fail because of an error of the file or the disk."""
        self._fail(error.message, now, hint=error.hint)

    # -- end ---------------------------------------------------------------------------------------

    def _finish(self, now: float) -> None:
        self._stop_fetching(now)
        self.phase = Phase.FINISHING
        self.effects.append(FinishFile())

    def file_finished(self, now: float) -> None:
        """Become a seed: the file is complete under its final name."""
        assert self.store is not None
        info = self.store.info
        self.phase = Phase.DONE
        self._report.completed(info.length, self._elapsed_ms(now))
        member = Membership.from_info(info, self.name)
        if self._swarm is None:
            # The tracker knows no file of that name: publish this one, as `share` does.
            self._session.join(member, self.store.held, now)
        else:
            self._session.update_held(member, self.store.held)
            self._session.announce_completed(now)
        self._send_outcome(OutcomeResult.SUCCEEDED, "", now)

    def _give_up(self, now: float) -> None:
        if self._swarm is None and self._session.lookup_unsupported:
            self._fail(
                f"the tracker speaks BEP 15 but does not answer when asked for {self.name!r} by name",
                now,
                hint="use a magnet link instead of the name, or add --torrent FILE; `share` makes both",
            )
            return
        self._fail(f"{self._obstacle}; gave up after {self._timeouts.give_up:g} s without a new piece", now)

    def _fail(self, reason: str, now: float, *, hint: str = "") -> None:
        if self.phase in {Phase.FAILED, Phase.DONE}:
            return
        self._stop_fetching(now)
        self._flush_progress(now)
        self.phase = Phase.FAILED
        self.failure, self.hint = reason, hint
        self._report.failed(reason)
        self._send_outcome(OutcomeResult.FAILED, reason, now)

    def _send_outcome(self, result: OutcomeResult, reason: str, now: float) -> None:
        if not self._request:
            return
        self._session.report_outcome(
            OutcomeReport(
                0,
                0,
                result,
                self._identity.port,
                self.info_hash or bytes(20),
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
        return round((now - self._started_at) * 1000)
