"""The ``single`` strategy: one peer is picked at random among those that have the file whole. No I/O.

All pieces come from it until it fails; then the next is picked among the rest. Verified pieces are never fetched again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from torrentnet.peer.scheduling.source_selector import SourceSelector
from torrentnet.peer.storage.buffer_pool import BufferPool
from torrentnet.peer.strategies.base import MAX_RETRY_PAUSE, BaseDownload, Phase
from torrentnet.peer.strategies.effects import MAX_VERIFYING, Disk
from torrentnet.peer.transfer.fetcher import PieceFetcher, PieceReceived
from torrentnet.peer.transfer.metadata_exchange import MetadataReceived, SourceError
from torrentnet.wire.errors import RemoteError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from torrentnet.peer.strategies.task import DownloadTask
    from torrentnet.peer.tracker_client.lookup import LookupResult
    from torrentnet.peer.transfer.protocol import PeerProtocol, PeerProtocolEvent
    from torrentnet.wire.piece_set import PieceSet
    from torrentnet.wire.udp.lookup import LookupHolder
    from torrentnet.wire.udp.packets import Endpoint

MAX_SLOW_LOOKUP_PAUSE = 60.0
"""Seconds between look-ups for a faster source; they begin with :data:`MAX_RETRY_PAUSE` and double."""


class SingleHost(Disk, Protocol):
    """What the download asks its surroundings to do; each answer comes back by a call on :class:`SingleDownload`,
    later."""

    def connect(self, endpoint: Endpoint) -> None:
        """Open a TCP connection: ``connected`` or ``source_failed`` follows."""

    def disconnect(self) -> None:
        """Close that connection, if there is one; nothing of it is heard any more."""


@dataclass(frozen=True, slots=True)
class _VerifyingPiece:
    source: LookupHolder
    elapsed: float
    data: bytearray


@dataclass(slots=True)
class _Pieces:
    todo: deque[int]
    verifying: dict[int, _VerifyingPiece] = field(default_factory=dict)


class SingleDownload(BaseDownload):
    """One ``get`` from one source at a time; see :class:`~torrentnet.peer.strategies.base.BaseDownload`."""

    def __init__(self, task: DownloadTask, host: SingleHost, rng: random.Random, now: float) -> None:
        super().__init__(task, host, now)
        self._host = host
        self.source: LookupHolder | None = None
        """Who the pieces come from now."""
        self._candidates = SourceSelector(rng)
        self._fetch: PieceFetcher | None = None
        self._work: _Pieces | None = None
        self._memory = BufferPool()
        self._ask_again_at = now
        self._ask_again_pause = MAX_RETRY_PAUSE

    @property
    def sources(self) -> str:
        """See :class:`~torrentnet.peer.strategies.base.BaseDownload`."""
        return f"{self.source.name} {self.source.endpoint}" if self.source is not None else ""

    @property
    def expected(self) -> int:
        """Bytes of blocks that the source was asked for and that are not wholly here."""
        return 0 if self._fetch is None else self._fetch.pipeline.in_flight

    # Which source

    def _named(self, holders: tuple[LookupHolder, ...], now: float) -> None:
        self._candidates.named(holders)
        self._next_source(now)

    def _named_meanwhile(self, done: LookupResult, now: float) -> None:
        if self.phase is Phase.FETCHING and self.source is not None and done.found.info_hash == self.info_hash:
            current = self.source.endpoint
            self._candidates.newly_named(holder for holder in done.holders if holder.endpoint != current)

    def _next_source(self, now: float) -> None:
        picked = self._candidates.pick()
        if picked is None:
            self._rest(now)
            return
        self.source, among = picked
        self.phase = Phase.CONNECTING
        self._report.picked(self.source, among)
        self._host.connect(self.source.endpoint)

    def connected(self, conversation: PeerProtocol, now: float) -> None:
        """The connection that was asked for is open."""
        if self.phase is not Phase.CONNECTING:
            return
        assert self._found is not None
        self.phase = Phase.FETCHING
        self._fetch = PieceFetcher(
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

    def take(self, event: PeerProtocolEvent, now: float) -> None:
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

    def _let_go(self, now: float) -> None:
        self._drop_source()

    def _drop_source(self) -> None:
        if self._fetch is not None and self._work is not None:
            self._work.todo.extendleft(sorted(self._fetch.pieces, reverse=True))
        self._fetch = None
        self.source = None
        self._host.disconnect()

    # Pieces

    def _take_results(self, results: Iterator[MetadataReceived | PieceReceived]) -> None:
        for result in results:
            assert self.source is not None
            if isinstance(result, MetadataReceived):
                self.info = result.info
                self._report.info_arrived(self.source, result.info, result.elapsed)
                self._open_part(result.info)
            else:
                assert self._work is not None
                self._work.verifying[result.piece] = _VerifyingPiece(self.source, result.elapsed, result.data)
                self._host.write_piece(result.piece, result.data)

    def _opened(self, now: float) -> None:
        assert self.store is not None
        info = self.store.info
        self._work = _Pieces(deque(self.store.held.missing()))
        if self._fetch is not None:
            self._go_on(lambda fetch: fetch.opened(info, now), now)

    def piece_written(self, piece: int, now: float, *, verified: bool) -> None:
        """See :class:`~torrentnet.peer.strategies.base.BaseDownload`."""
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
        self._verified(work.source, piece, work.elapsed, now)
        if self._fetch is not None:
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

    def _go_on(self, step: Callable[[PieceFetcher], None], now: float) -> None:
        if self._fetch is None:
            return
        try:
            step(self._fetch)
        except RemoteError as error:
            self.source_failed(error.message, now)

    # Time

    def _look_due(self) -> float | None:
        return self._fetch.due() if self._fetch is not None else None

    def _look(self, now: float) -> None:
        self._go_on(lambda fetch: self._check(fetch, now), now)

    def _check(self, fetch: PieceFetcher, now: float) -> None:
        fetch.check(now)
        if fetch.idle and self._work is not None and self._work.todo and not self._work.verifying:
            raise SourceError("lacks the pieces that are missing here")
        rate = fetch.slow(self._patience.min_rate, now)
        if rate is None:
            return
        if not self._candidates.any_left:
            self._look_for_a_faster_one(now)
        else:
            raise SourceError(f"slow: {rate / 1024:.1f} KiB/s where {self._patience.min_rate / 1024:g} are expected")

    def _look_for_a_faster_one(self, now: float) -> None:
        if now >= self._ask_again_at:
            self._ask_again_at = now + self._ask_again_pause
            self._ask_again_pause = min(self._ask_again_pause * 2, MAX_SLOW_LOOKUP_PAUSE)
            self._session.lookup(self.name, self._request, now)
