"""The ``single`` strategy: all pieces from one complete peer at a time. No I/O.

When the source fails, the next one is selected among the others; verified pieces are never downloaded again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from torrentnet.peer.scheduling.source_selector import SourceSelector
from torrentnet.peer.strategies.base import MAX_RETRY_PAUSE, BaseDownload, Phase
from torrentnet.peer.strategies.effects import MAX_VERIFYING, Connect, Disconnect, WritePiece
from torrentnet.peer.transfer.metadata_exchange import MetadataReceived, SourceError
from torrentnet.peer.transfer.source_fetcher import SourceFetcher
from torrentnet.wire.errors import RemoteError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from torrentnet.peer.strategies.task import DownloadTask
    from torrentnet.peer.tracker_client.lookup import LookupResult
    from torrentnet.peer.transfer.fetcher import FetcherEvent, PieceReceived
    from torrentnet.peer.transfer.protocol import PeerProtocol, PeerProtocolEvent
    from torrentnet.wire.piece_set import PieceSet
    from torrentnet.wire.udp.lookup import LookupHolder

MAX_FASTER_LOOKUP_PAUSE: Final = 60.0
"""Longest pause between look-ups for a faster source, in seconds; :data:`MAX_RETRY_PAUSE` at first, then doubled."""


class SingleDownload(BaseDownload):
    """One ``get`` from one source at a time."""

    def __init__(self, task: DownloadTask, rng: random.Random, now: float) -> None:
        super().__init__(task, now)
        self.source: LookupHolder | None = None
        """The selected peer; None while no source is in use."""
        self._selector = SourceSelector(rng)
        self._fetcher: SourceFetcher | None = None
        self._missing: deque[int] = deque()
        """Pieces to request; empty until the part file is open."""
        self._verifying: dict[int, tuple[LookupHolder, PieceReceived]] = {}
        self._faster_lookup_at = now
        self._faster_lookup_pause = MAX_RETRY_PAUSE

    @property
    def sources(self) -> str:
        """See :class:`~torrentnet.peer.strategies.base.BaseDownload`."""
        return f"{self.source.name} {self.source.endpoint}" if self.source is not None else ""

    @property
    def expected(self) -> int:
        """Bytes of the requested blocks that were not received."""
        return 0 if self._fetcher is None else self._fetcher.pipeline.in_flight

    @property
    def _begun_bytes(self) -> int:
        return 0 if self._fetcher is None else self._fetcher.protocol.partial_block_bytes

    @property
    def _is_verifying(self) -> bool:
        return bool(self._verifying)

    @property
    def _silent_sources(self) -> str:
        return self.source.name if self.source is not None else ""

    # -- source ------------------------------------------------------------------------------------

    def _holders_found(self, holders: tuple[LookupHolder, ...], now: float) -> None:
        self._selector.replace(holders)
        self._connect_next(now)

    def _holders_refreshed(self, result: LookupResult, now: float) -> None:
        if self.phase is Phase.FETCHING and self.source is not None and result.found.info_hash == self.info_hash:
            current = self.source.endpoint
            self._selector.replace_with_new(holder for holder in result.holders if holder.endpoint != current)

    def _connect_next(self, now: float) -> None:
        selected = self._selector.select()
        if selected is None:
            self._pause(now)
            return
        self.source, among = selected
        self.phase = Phase.CONNECTING
        self._report.source_selected(self.source, among)
        self.effects.append(Connect(self.source.endpoint))

    def connected(self, protocol: PeerProtocol, now: float) -> None:
        """Start fetching over the open connection to the source."""
        if self.phase is not Phase.CONNECTING:
            return
        self.phase = Phase.FETCHING
        self._fetcher = SourceFetcher(
            protocol,
            self.info_hash,
            self.info,
            self._next_piece,
            self._timeouts.stall,
            now,
            buffers=self._buffers,
        )
        if self.store is not None:
            self._fetcher.start(self.store.info, now)
        elif self.info is not None:
            self._open_part(self.info)

    def handle_peer_event(self, event: PeerProtocolEvent, now: float) -> None:
        """React to an event of the source; replace a source that misbehaves."""
        if self._fetcher is None:
            return
        try:
            for result in self._fetcher.handle(event, now):
                self._handle_received(result)
        except RemoteError as error:
            self.source_failed(error.message, now)

    def source_failed(self, reason: str, now: float) -> None:
        """Replace a source that failed by the next one."""
        source = self.source
        if source is None or self.phase not in {Phase.CONNECTING, Phase.FETCHING}:
            return
        self._report.source_lost(source, reason, len(self.store.held) if self.store else 0)
        self._selector.failed(source)
        self._obstacle = f"{source.name}: {reason}"
        self._stop_fetching(now)
        self._connect_next(now)

    def _stop_fetching(self, now: float) -> None:
        if self._fetcher is not None:
            self._missing.extendleft(sorted(self._fetcher.pieces, reverse=True))
        self._fetcher = None
        self.source = None
        self.effects.append(Disconnect())

    # -- pieces ------------------------------------------------------------------------------------

    def _handle_received(self, result: FetcherEvent) -> None:
        assert self.source is not None
        if isinstance(result, MetadataReceived):
            self.info = result.info
            self._report.metadata_received(self.source, result.info, result.elapsed)
            self._open_part(result.info)
        else:
            self._verifying[result.piece] = (self.source, result)
            self.effects.append(WritePiece(result.piece, result.data))

    def _part_ready(self, now: float) -> None:
        assert self.store is not None
        info = self.store.info
        self._missing.extend(self.store.held.missing())
        self._with_fetcher(lambda fetcher: fetcher.start(info, now), now)

    def piece_written(self, piece: int, now: float, *, verified: bool) -> None:
        """See :class:`~torrentnet.peer.strategies.base.BaseDownload`."""
        if self.store is None or self.phase is Phase.FAILED:
            return
        source, received = self._verifying.pop(piece)
        self._buffers.release(received.data)
        if not verified:
            self._report.piece_discarded(source, piece, self.store.info.piece_size(piece), received.elapsed)
            self._missing.appendleft(piece)
            self._selector.ban(source)
            if self.source == source:
                self.source_failed(f"sent piece {piece} with a wrong hash", now)
            return
        self._piece_verified(source, piece, received.elapsed, now)
        self._with_fetcher(lambda fetcher: fetcher.refill(now), now)

    def _next_piece(self, held: PieceSet) -> int | None:
        if self.info is None or len(self._verifying) * self.info.piece_length >= MAX_VERIFYING:
            return None
        for index, piece in enumerate(self._missing):
            if piece in held:
                del self._missing[index]
                return piece
        return None

    def _with_fetcher(self, step: Callable[[SourceFetcher], None], now: float) -> None:
        if self._fetcher is None:
            return
        try:
            step(self._fetcher)
        except RemoteError as error:
            self.source_failed(error.message, now)

    # -- time --------------------------------------------------------------------------------------

    def _check_due(self) -> float | None:
        return self._fetcher.due() if self._fetcher is not None else None

    def _check(self, now: float) -> None:
        self._with_fetcher(lambda fetcher: self._check_source(fetcher, now), now)

    def _check_source(self, fetcher: SourceFetcher, now: float) -> None:
        fetcher.check(now)
        if fetcher.idle and self._missing and not self._verifying:
            raise SourceError("lacks the pieces that are missing here")
        rate = fetcher.slow_rate(self._timeouts.min_rate, now)
        if rate is None:
            return
        if self._selector.any_untried:
            raise SourceError(f"slow: {rate / 1024:.1f} KiB/s where {self._timeouts.min_rate / 1024:g} are expected")
        if now >= self._faster_lookup_at:
            self._faster_lookup_at = now + self._faster_lookup_pause
            self._faster_lookup_pause = min(self._faster_lookup_pause * 2, MAX_FASTER_LOOKUP_PAUSE)
            self._session.lookup(self.name, self._request, now)
