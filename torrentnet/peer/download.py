"""``get``: from a file's name to a seed of it, whatever dies on the way. A state machine without I/O.

The strategy is ``single``: one peer is picked at random among those that have the file whole, and all pieces come
from it until it fails; then the next is picked among the rest, and verified pieces are never fetched again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from torrentnet.peer.fetch import Fetch, InfoArrived, PieceArrived, SourceFailed
from torrentnet.peer.memory import PieceMemory
from torrentnet.peer.picker import Candidates
from torrentnet.peer.session import Joined, LookupDone, Membership, Refused, Silence
from torrentnet.wire.errors import RemoteError
from torrentnet.wire.extension import Outcome, Result
from torrentnet.wire.info import piece_count
from torrentnet.wire.pieces import PieceSet

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from torrentnet.peer.conversation import Conversation, ConversationEvent
    from torrentnet.peer.report import Report
    from torrentnet.peer.session import Identity, SessionEvent, TrackerSession
    from torrentnet.peer.storage import FileStore, StorageError
    from torrentnet.wire.extension import Found, Holder
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp import Endpoint

FIRST_PAUSE = 0.25
MAX_PAUSE = 5.0
"""Seconds between look-ups while nobody has the file; doubled each time, and never longer than the keep-alive."""
MAX_SLOW_PAUSE = 60.0
"""Seconds between look-ups for a faster source; they begin with :data:`MAX_PAUSE` and double."""
MAX_VERIFYING = 4 * 1024 * 1024
"""Bytes of pieces that may wait to be hashed and written; past it nothing new is asked for."""


class Host(Protocol):
    """What the download asks its surroundings to do; each answer comes back by a call on :class:`Download`, later."""

    def connect(self, endpoint: Endpoint) -> None:
        """Open a TCP connection: ``connected`` or ``source_failed`` follows."""

    def disconnect(self) -> None:
        """Close that connection, if there is one; nothing of it is heard any more."""

    def open_existing(self, piece_length: int) -> None:
        """Hash the file that is there under the final name: ``existing_opened`` or ``storage_failed`` follows.

        ``piece_length`` 0: the one that sharing the file would take.
        """

    def open_part(self, info: Info) -> None:
        """Open the file's part and check it: ``part_opened`` or ``storage_failed`` follows."""

    def write_piece(self, piece: int, data: bytearray) -> None:
        """Verify and write a piece: ``piece_written`` or ``storage_failed`` follows."""

    def finish(self) -> None:
        """Give the file its name: ``finished`` or ``storage_failed`` follows."""


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


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a download waits for whom, in seconds."""

    stall: float = 15.0
    """Without anything useful from the source, before the next one is picked."""
    give_up: float = 60.0
    """Without a new piece, before the download fails."""
    min_rate: float = 16 * 1024.0
    """Bytes a second below which a source is left, if there is another one to try."""


@dataclass(frozen=True, slots=True)
class _Verifying:
    source: Holder
    elapsed: float
    data: bytearray


@dataclass(slots=True)
class _Work:
    todo: deque[int]
    verifying: dict[int, _Verifying] = field(default_factory=dict)


class Download:
    """Drives one ``get``. ``now`` is any clock that does not jump; every call may change :attr:`phase`.

    ``exists`` says whether something is there under the file's name when it begins. ``info`` is the info dictionary
    where it is known from the start, by a .torrent.
    """

    def __init__(
        self,
        name: str,
        identity: Identity,
        session: TrackerSession,
        host: Host,
        rng: random.Random,
        patience: Patience,
        report: Report,
        now: float,
        *,
        exists: bool,
        info: Info | None = None,
    ) -> None:
        self.name = name
        self.phase = Phase.ASKING
        self.failure = ""
        """Why it failed, for a person; empty unless :attr:`phase` is FAILED."""
        self.hint = ""
        self.store: FileStore | None = None
        self.info = info
        self._opening = False
        self.source: Holder | None = None
        """Who the pieces come from now."""
        self._identity = identity
        self._session = session
        self._host = host
        self._patience = patience
        self._report = report
        self._exists = exists
        self._candidates = Candidates(rng)
        self._found: Found | None = None
        self._fetch: Fetch | None = None
        self._work: _Work | None = None
        self._memory = PieceMemory()
        self._request = 0
        self._started = now
        self._advanced = now
        self._pause = FIRST_PAUSE
        self._wake = now
        self._ask_again_at = now
        self._ask_again_pause = MAX_PAUSE
        self._obstacle = "the tracker does not answer"
        session.lookup(name, 0, now)

    @property
    def info_hash(self) -> bytes:
        """What the swarm is called (20 bytes); known once the tracker has named it."""
        assert self._found is not None
        return self._found.info_hash

    def abandon(self, reason: str, now: float) -> None:
        """End it from outside; nothing happens when it has ended already."""
        self._fail(reason, now)

    # What the tracker says

    def take_session(self, event: SessionEvent, now: float) -> None:
        """React to what the tracker session reports."""
        if isinstance(event, LookupDone):
            self._take_lookup(event, now)
        elif isinstance(event, Refused):
            self._report.tracker_refused(event.kind.name.lower(), event.message)
            self._fail(f"the tracker refused: {event.message}", now)
        elif isinstance(event, Silence):
            self._report.tracker_silence(silent=event.silent)
        elif isinstance(event, Joined) and event.again:
            self._report.known_again()

    def _take_lookup(self, done: LookupDone, now: float) -> None:
        found = done.found
        self._request = found.request
        self._report.lookup(found, done.holders)
        if self.phase is Phase.FETCHING and self.source is not None and found.info_hash == self.info_hash:
            current = self.source.endpoint
            self._candidates.newly_named(holder for holder in done.holders if holder.endpoint != current)
        if self.phase is not Phase.ASKING:
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
            self._host.open_existing(found.piece_length)
            return
        self._candidates.named(done.holders if found.found else ())
        self._next_source(now)

    def _join(self, found: Found, now: float) -> None:
        # Standard clients do not tell their piece length: one piece stands for the file until its info is here.
        pieces = piece_count(found.size, found.piece_length) if found.piece_length else 1
        member = Membership(found.info_hash, self.name, found.size, found.piece_length)
        self._session.join(member, PieceSet(max(pieces, 1)), now)

    # Which source

    def _next_source(self, now: float) -> None:
        picked = self._candidates.pick()
        if picked is None:
            self._rest(now)
            return
        self.source, among = picked
        self.phase = Phase.CONNECTING
        self._report.picked(self.source, among)
        self._host.connect(self.source.endpoint)

    def _rest(self, now: float) -> None:
        if now - self._advanced >= self._patience.give_up:
            self._give_up(now)
            return
        self.phase = Phase.PAUSING
        # A look-up is also what keeps a request alive for which there is no swarm to announce to yet.
        self._wake = now + min(self._pause, self._session.keepalive)
        self._pause = min(self._pause * 2, MAX_PAUSE)

    def connected(self, conversation: Conversation, now: float) -> None:
        """The connection that was asked for is open."""
        if self.phase is not Phase.CONNECTING:
            return
        assert self._found is not None
        self.phase = Phase.FETCHING
        self._fetch = Fetch(
            conversation,
            self._found.info_hash,
            self.info,
            self._next_piece,
            self._patience.stall,
            now,
            now,
            self._memory,
        )
        if self.store is not None:
            self._fetch.opened(self.store.info, now)
        elif self.info is not None:
            self._open_part(self.info)

    def _open_part(self, info: Info) -> None:
        if not self._opening:
            self._opening = True
            self._host.open_part(info)

    def take(self, event: ConversationEvent, now: float) -> None:
        """The source said something. Whatever it does wrong ends in the next source."""
        if self._fetch is None:
            return
        try:
            self._take_results(self._fetch.take(event, now))
        except RemoteError as error:
            self.source_failed(error.message, now)

    def source_failed(self, reason: str, now: float) -> None:
        """The source cannot be used any more: go on with the next one, where we were."""
        source = self.source
        if source is None or self.phase not in {Phase.CONNECTING, Phase.FETCHING}:
            return
        self._report.source_lost(source, reason, len(self.store.held) if self.store else 0)
        self._candidates.failed(source)
        self._obstacle = f"{source.name}: {reason}"
        self._drop_source()
        self._next_source(now)

    def _drop_source(self) -> None:
        if self._fetch is not None and self._work is not None:
            self._work.todo.extendleft(sorted(self._fetch.pieces, reverse=True))
        self._fetch = None
        self.source = None
        self._host.disconnect()

    # Pieces

    def _take_results(self, results: Iterator[InfoArrived | PieceArrived]) -> None:
        for result in results:
            assert self.source is not None
            if isinstance(result, InfoArrived):
                self.info = result.info
                self._report.info_arrived(self.source, result.info, result.elapsed)
                self._open_part(result.info)
            else:
                assert self._work is not None
                self._work.verifying[result.piece] = _Verifying(self.source, result.elapsed, result.data)
                self._host.write_piece(result.piece, result.data)

    def part_opened(self, store: FileStore, now: float) -> None:
        """The part is open, and what it held was checked."""
        self.store = store
        if self.phase is Phase.FAILED:
            return
        info = store.info
        self._session.hold(Membership(info.info_hash, self.name, info.length, info.piece_length), store.held)
        self._report.resumed(store.held)
        self._work = _Work(deque(store.held.missing()))
        self._advanced = now
        if store.held.is_full:
            self._finish()
        elif self._fetch is not None:
            self._go_on(lambda fetch: fetch.opened(info, now), now)

    def piece_written(self, piece: int, now: float, *, verified: bool) -> None:
        """A piece was hashed, and written if it was right."""
        if self._work is None or self.store is None or self.phase is Phase.FAILED:
            return
        work, info = self._work.verifying.pop(piece), self.store.info
        self._memory.give(work.data)
        if not verified:
            self._report.piece_thrown_away(work.source, piece, info.piece_size(piece), work.elapsed)
            self._work.todo.appendleft(piece)
            self._candidates.ban(work.source)
            if self.source == work.source:
                self.source_failed(f"sent piece {piece} with a wrong hash", now)
            return
        self.store.held.add(piece)
        self._report.piece_verified(work.source, piece, info.piece_size(piece), work.elapsed)
        self._report.progress(self.store.held, info.length, now)
        self._session.downloaded = self._report.transferred
        self._advanced = now
        self._pause = FIRST_PAUSE
        if self.store.held.is_full:
            self._finish()
        elif self._fetch is not None:
            self._go_on(lambda fetch: fetch.refill(now), now)

    def _next_piece(self, theirs: PieceSet) -> int | None:
        work, info = self._work, self.info
        if work is None or info is None or len(work.verifying) * info.piece_length >= MAX_VERIFYING:
            return None
        for index, piece in enumerate(work.todo):
            if piece in theirs:
                del work.todo[index]
                return piece
        return None

    def _go_on(self, step: Callable[[Fetch], None], now: float) -> None:
        if self._fetch is None:
            return
        try:
            step(self._fetch)
        except RemoteError as error:
            self.source_failed(error.message, now)

    # The end

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
        self.phase = Phase.ASKING
        self._session.lookup(self.name, self._request, now)

    def storage_failed(self, error: StorageError, now: float) -> None:
        """The file system refused."""
        self._fail(error.message, now, hint=error.hint)

    def _finish(self) -> None:
        self._drop_source()
        self.phase = Phase.FINISHING
        self._host.finish()

    def finished(self, now: float) -> None:
        """The file has its name."""
        self._done(now)

    def _done(self, now: float) -> None:
        assert self.store is not None
        info = self.store.info
        self.phase = Phase.DONE
        self._report.completed(info.length, self._elapsed_ms(now))
        member = Membership(info.info_hash, self.name, info.length, info.piece_length)
        if self._found is None:
            # Nobody shared it when we asked, but here it is: publish it as `share` would.
            self._session.join(member, self.store.held, now)
        else:
            self._session.hold(member, self.store.held)
            self._session.completed(now)
        self._send_outcome(Result.SUCCEEDED, "", now)

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
        self._drop_source()
        self.phase = Phase.FAILED
        self.failure, self.hint = reason, hint
        self._report.failed(reason)
        self._send_outcome(Result.FAILED, reason, now)

    def _send_outcome(self, result: Result, reason: str, now: float) -> None:
        if not self._request:
            return
        self._session.outcome(
            Outcome(
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

    # Time

    def due(self) -> float | None:
        """When :meth:`tick` is to be called next."""
        if self.phase is Phase.ASKING:
            return self._advanced + self._patience.give_up
        if self.phase is Phase.PAUSING:
            return self._wake
        if self.phase is Phase.FETCHING and self._fetch is not None:
            return self._fetch.due()
        return None

    def tick(self, now: float) -> None:
        """Look at the clock."""
        if self.phase is Phase.PAUSING and now >= self._wake:
            self.phase = Phase.ASKING
            self._session.lookup(self.name, self._request, now)
        elif self.phase is Phase.ASKING and now - self._advanced >= self._patience.give_up:
            self._give_up(now)
        elif self.phase is Phase.FETCHING:
            self._go_on(lambda fetch: self._check(fetch, now), now)

    def _check(self, fetch: Fetch, now: float) -> None:
        fetch.check(now)
        if fetch.idle and self._work is not None and self._work.todo and not self._work.verifying:
            raise SourceFailed("lacks the pieces that are missing here")
        rate = fetch.slow(self._patience.min_rate, now)
        if rate is None:
            return
        if not self._candidates.any_left:
            self._look_for_a_faster_one(now)
        else:
            raise SourceFailed(f"slow: {rate / 1024:.1f} KiB/s where {self._patience.min_rate / 1024:g} are expected")

    def _look_for_a_faster_one(self, now: float) -> None:
        if now >= self._ask_again_at:
            self._ask_again_at = now + self._ask_again_pause
            self._ask_again_pause = min(self._ask_again_pause * 2, MAX_SLOW_PAUSE)
            self._session.lookup(self.name, self._request, now)
