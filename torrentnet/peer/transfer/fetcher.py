"""Fetching over one connection: the info dictionary where it is missing, then whole pieces. No socket in here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from torrentnet.peer.scheduling.rate_meter import SLOW_WINDOW, RateMeter
from torrentnet.peer.storage.buffer_pool import BufferPool
from torrentnet.peer.transfer.metadata_exchange import MetadataDownload, MetadataReceived, SourceError
from torrentnet.peer.transfer.protocol import Credit
from torrentnet.peer.transfer.remote_pieces import RemotePieces
from torrentnet.peer.transfer.request_pipeline import RequestPipeline
from torrentnet.wire.peer.extension_protocol import ExtensionHandshake, Metadata, MetadataKind
from torrentnet.wire.peer.handshake import Handshake
from torrentnet.wire.peer.messages import (
    BLOCK,
    Bitfield,
    Block,
    Choke,
    Have,
    HaveAll,
    Interested,
    KeepAlive,
    NotInterested,
    Reject,
    Unchoke,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torrentnet.peer.transfer.protocol import PeerProtocol, PeerProtocolEvent
    from torrentnet.wire.info import Info
    from torrentnet.wire.piece_set import PieceSet

SOURCE_WINDOW = 12 * 1024 * 1024
"""Bytes asked for and not yet here. Far more than bandwidth times delay of any lab: on a busy machine both ends wait
for their turn, and each then finds enough to do. What is asked for takes no memory before it comes."""
EXCHANGE_MAX_WINDOW = 4 * 1024 * 1024
"""The same at most where others could send the same pieces."""
EXCHANGE_MIN_WINDOW = 128 * 1024
"""Bytes with which the window begins where others could send the same pieces; it follows the rate from there."""
WINDOW_SECONDS = 1.5
MAX_CREDITS = 256
KEEPALIVE_INTERVAL = 60.0
"""Seconds of saying nothing after which a keep-alive is due; clients drop those who send them often."""


@dataclass(frozen=True, slots=True)
class PieceReceived:
    """All blocks of a piece; not verified yet. The receiver owns ``data`` from now on."""

    piece: int
    data: bytearray
    elapsed: float
    """Seconds since its first block was asked for."""


NOT_NOW = -1
"""What ``next_piece`` answers when there is work, but no room for it at the moment."""

FetcherEvent: TypeAlias = MetadataReceived | PieceReceived


@dataclass(slots=True)
class PieceFetcher:
    """The downloading side of one conversation.

    ``next_piece`` hands out the piece to fetch next (None: nothing more; :data:`NOT_NOW`); a piece that was handed out
    is this connection's until it arrives, is cancelled, or the connection ends. In an ``exchange`` the serving side of
    the same connection introduces us and keeps ``possession``, and many connections share the work. ``stall`` is how
    many seconds may pass without anything useful before the source counts as stalled.
    """

    conversation: PeerProtocol
    info_hash: bytes
    info: Info | None
    next_piece: Callable[[PieceSet], int | None]
    stall: float
    useful_at: float
    """When the last useful thing happened; the connection's beginning at first."""
    spoke_at: float = 0.0
    memory: BufferPool = field(default_factory=BufferPool)
    """What pieces are received into."""
    possession: RemotePieces = field(default_factory=RemotePieces)
    """What the source holds."""
    exchange: bool = False
    ready: bool = False
    """Whether pieces may be asked for: the file on disk is open."""
    pipeline: RequestPipeline = field(init=False)
    """What the source is asked for."""
    _choked: bool = True
    _unchoke_counts: bool = True
    _info_fetch: MetadataDownload = field(init=False)
    _credits: int = 0
    _interested: bool = False
    _meter: RateMeter = field(default_factory=RateMeter)
    _heard_bytes: int = 0

    def __post_init__(self) -> None:
        self._info_fetch = MetadataDownload(self.conversation, self.info_hash)
        self.pipeline = RequestPipeline(self.memory, self._meter)
        self.conversation.place_blocks(self.pipeline.place)

    @property
    def asks_metadata(self) -> bool:
        """Whether the info dictionary was asked for and has not come."""
        return self._info_fetch.waiting and self.info is None

    @property
    def pieces(self) -> list[int]:
        """The pieces that are this connection's: asked for, not here yet."""
        return self.pipeline.pieces

    @property
    def idle(self) -> bool:
        """Whether the source waits for us: it would serve, and nothing is asked of it."""
        if self.exchange:
            return not self.pipeline.asked and not self.asks_metadata
        return self.ready and not self._choked and self.possession.held is not None and not self.pipeline.asked

    def take(self, event: PeerProtocolEvent, now: float) -> Iterator[FetcherEvent]:
        """React to what the source said. Raises :class:`SourceError` and :class:`PeerProtocolError`."""
        if isinstance(event, Block):
            yield from self._take_block(event, now)
            return
        # Nothing but data counts as data: a source that only says that it is alive has stalled all the same.
        self._heard_bytes = self.conversation.received_bytes
        if isinstance(event, Handshake):
            self.useful_at = now
            if self.exchange:
                self.want()
                return
            # A downloader of the single strategy offers nothing on the connection that it downloads from.
            self.conversation.send_introduction(None, 0)
            self.conversation.send(Interested())
            if self.info is None and not event.extended:
                raise SourceError("cannot send the info dictionary: it does not speak BEP 10")
        elif isinstance(event, ExtensionHandshake):
            if not self.exchange:
                self.ask_metadata(now)
        elif isinstance(event, Credit):
            self._credits = min(self._credits + 1, MAX_CREDITS)
            self.refill(now)
        elif isinstance(event, Metadata):
            yield from self._take_metadata(event, now)
        elif isinstance(event, Unchoke):
            self._choked = False
            if self._unchoke_counts:
                # Once, until data comes: choking and unchoking in turns is no service.
                self._unchoke_counts = False
                self.useful_at = now
            self.refill(now)
        elif isinstance(event, Choke):
            self._choked = True
            if not self.conversation.fast and not self.exchange:
                # BEP 3: a choke drops what was asked for; blocks on their way still count when they come.
                self.pipeline.restart_all()
        elif isinstance(event, Reject):
            self._take_reject(event)
        elif self.exchange:
            # The serving side has read it already.
            if isinstance(event, (Have, HaveAll, Bitfield)):
                self.refill(now)
        elif self.possession.take(event):
            self.refill(now)

    def opened(self, info: Info, now: float) -> None:
        """The file on disk is open, its pieces are known: ask for what is missing."""
        self.info = info
        self.ready = True
        self.possession.settle(info.pieces)
        self.refill(now)

    def refill(self, now: float) -> None:
        """Keep the window full of requests. Raises :class:`SourceError` when it has nothing that we lack."""
        if not self.ready or self._choked or self.possession.held is None or self.info is None:
            return
        block = self._block()
        extension = self.conversation.extension
        most = extension.requests if extension else 250
        window = self._window()
        pipeline = self.pipeline
        while pipeline.in_flight < window and len(pipeline.asked) < most:
            request = pipeline.request(block)
            if request is None and self._begin_piece(now):
                request = pipeline.request(block)
            if request is None:
                break
            self.conversation.send(request)
            if len(pipeline.asked) == 1:
                # Nothing was under way before.
                self._meter.begin(self.conversation.received_bytes, now)
            self.spoke_at = now

    def _begin_piece(self, now: float) -> bool:
        by_offer = self.conversation.waits_for_offers
        if by_offer and not self._credits:
            return False
        held = self.possession.held
        assert held is not None
        assert self.info is not None
        piece = self.next_piece(held)
        if piece == NOT_NOW:
            return False
        if piece is None:
            if by_offer:
                # Whoever offers is told that there is nothing to ask for, and offers to others.
                self._credits = 0
                self.want(wanted=False)
            return False
        self._credits = max(0, self._credits - 1)
        self.pipeline.begin(piece, self.info.piece_size(piece), now)
        return True

    def _block(self) -> int:
        largest = self.conversation.largest_block()
        if not self.exchange:
            return largest
        # What we say in between waits behind a block that is on its way: as long as a block takes, at most.
        return min(largest, BLOCK if self._meter.rate < 1e6 else 4 * BLOCK if self._meter.rate < 2e7 else largest)

    def _window(self) -> int:
        if not self.exchange or self.conversation.waits_for_offers:
            return SOURCE_WINDOW
        return round(min(max(self._meter.rate * WINDOW_SECONDS, EXCHANGE_MIN_WINDOW), EXCHANGE_MAX_WINDOW))

    def want(self, *, wanted: bool = True) -> None:
        """Say whether anything is wanted of the other side, where that is news."""
        if self._interested != wanted and self.conversation.other is not None:
            self._interested = wanted
            self.conversation.send(Interested() if wanted else NotInterested())

    @property
    def interested(self) -> bool:
        """Whether the other side has been told that something is wanted of it."""
        return self._interested

    def cancel(self, piece: int, now: float) -> None:
        """The piece has come from somebody else, or is to come from somebody else."""
        if piece not in self.pipeline:
            return
        for message in self.pipeline.cancel(piece):
            self.conversation.send(message)
        self.refill(now)

    def check(self, now: float) -> None:
        """Look at the clock. Raises :class:`SourceError` when the source has stalled."""
        # Bytes of a large block count while it is on its way; waiting for our own disk is not the source's fault.
        if self.conversation.received_bytes != self._heard_bytes or self.idle or (self.info and not self.ready):
            self._heard_bytes = self.conversation.received_bytes
            self.useful_at = max(self.useful_at, now)
        if now - self.useful_at >= self.stall:
            met = self.conversation.other is not None
            what = "no data" if self.pipeline.asked else "not served" if met else "no answer"
            raise SourceError(f"stalled: {what} for {self.stall:g} s")
        if now - self.spoke_at >= KEEPALIVE_INTERVAL and self.conversation.other is not None:
            self.spoke_at = now
            self.conversation.send(KeepAlive())

    def slow(self, least: float, now: float) -> float | None:
        """Bytes a second over the last seconds, if the source was to send all the time and they are below ``least``."""
        if self.idle or not self.pipeline.asked:
            self._meter.idle()
            return None
        return self._meter.slow(self.conversation.received_bytes, least, now)

    def due(self) -> float:
        """When :meth:`check` and :meth:`slow` are to be called next."""
        stalled_at = self.useful_at + self.stall
        slow_at = self._meter.slow_due()
        if slow_at is None and self.pipeline.asked:
            slow_at = self.spoke_at + SLOW_WINDOW
        return stalled_at if slow_at is None else min(stalled_at, slow_at)

    def _take_block(self, block: Block, now: float) -> Iterator[FetcherEvent]:
        partial = self.pipeline.take(block)
        if partial is None:
            return
        self.useful_at = now
        self._unchoke_counts = True
        if self.exchange:
            self._meter.look(self.conversation.received_bytes, now)
            self.pipeline.time(partial, now)
        if not partial.missing:
            assert partial.data is not None
            yield PieceReceived(block.piece, partial.data, now - partial.asked_at)
        self.refill(now)

    def _take_reject(self, reject: Reject) -> None:
        if not self.pipeline.take_reject(reject):
            return
        if not self._choked:
            raise SourceError(f"refused a block of piece {reject.piece}")
        self.pipeline.restart(reject.piece)

    def ask_metadata(self, now: float) -> None:
        """Ask for the info dictionary, unless it is known. Raises :class:`SourceError` where the source has none."""
        if self.info is None and self._info_fetch.ask(now):
            self.spoke_at = now

    def forget_metadata(self) -> None:
        """Wait no longer for the info dictionary: somebody else is asked."""
        self._info_fetch.forget()

    def _take_metadata(self, metadata: Metadata, now: float) -> Iterator[FetcherEvent]:
        if metadata.kind is MetadataKind.REQUEST:
            if not self.exchange:
                self.conversation.send_metadata(Metadata(MetadataKind.REJECT, metadata.piece))
            return
        if self.info is not None or not self._info_fetch.awaits(metadata.piece):
            return
        if metadata.kind is MetadataKind.REJECT:
            if not self.exchange:
                raise SourceError("refused to send the info dictionary")
            self.forget_metadata()
            return
        arrived = self._info_fetch.take(metadata, now)
        self.useful_at = self.spoke_at = now
        if arrived is not None:
            self.info = arrived.info
            yield arrived
