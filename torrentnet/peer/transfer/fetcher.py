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
    """The downloading side of one protocol.

    ``next_piece`` hands out the piece to fetch next (None: nothing more; :data:`NOT_NOW`); a piece that was handed out
    is this connection's until it arrives, is cancelled, or the connection ends. In an ``exchange`` the serving side of
    the same connection introduces us and keeps ``possession``, and many connections share the work. ``stall`` is how
    many seconds may pass without anything useful before the source counts as stalled.
    """

    protocol: PeerProtocol
    info_hash: bytes
    info: Info | None
    next_piece: Callable[[PieceSet], int | None]
    stall_timeout: float
    progress_at: float
    """When the last useful thing happened; the connection's beginning at first."""
    sent_at: float = 0.0
    buffers: BufferPool = field(default_factory=BufferPool)
    """What pieces are received into."""
    remote_pieces: RemotePieces = field(default_factory=RemotePieces)
    """What the source holds."""
    exchange: bool = False
    ready: bool = False
    """Whether pieces may be asked for: the file on disk is open."""
    pipeline: RequestPipeline = field(init=False)
    """What the source is asked for."""
    _choked: bool = True
    _unchoke_is_progress: bool = True
    _metadata: MetadataDownload = field(init=False)
    _credits: int = 0
    _interested: bool = False
    _meter: RateMeter = field(default_factory=RateMeter)
    _checked_bytes: int = 0

    def __post_init__(self) -> None:
        self._metadata = MetadataDownload(self.protocol, self.info_hash)
        self.pipeline = RequestPipeline(self.buffers, self._meter)
        self.protocol.set_block_buffers(self.pipeline.buffer_for)

    @property
    def metadata_pending(self) -> bool:
        """Whether the info dictionary was asked for and has not come."""
        return self._metadata.pending and self.info is None

    @property
    def pieces(self) -> list[int]:
        """The pieces that are this connection's: asked for, not here yet."""
        return self.pipeline.pieces

    @property
    def idle(self) -> bool:
        """Whether the source waits for us: it would serve, and nothing is asked of it."""
        if self.exchange:
            return not self.pipeline.requested and not self.metadata_pending
        return self.ready and not self._choked and self.remote_pieces.held is not None and not self.pipeline.requested

    def handle(self, event: PeerProtocolEvent, now: float) -> Iterator[FetcherEvent]:
        """React to what the source said. Raises :class:`SourceError` and :class:`PeerProtocolError`."""
        if isinstance(event, Block):
            yield from self._handle_block(event, now)
            return
        # Nothing but data counts as data: a source that only says that it is alive has stalled all the same.
        self._checked_bytes = self.protocol.received_bytes
        if isinstance(event, Handshake):
            self.progress_at = now
            if self.exchange:
                self.set_interested()
                return
            # A downloader of the single strategy offers nothing on the connection that it downloads from.
            self.protocol.send_initial_state(None, 0)
            self.protocol.send(Interested())
            if self.info is None and not event.extended:
                raise SourceError("cannot send the info dictionary: it does not speak BEP 10")
        elif isinstance(event, ExtensionHandshake):
            if not self.exchange:
                self.request_metadata(now)
        elif isinstance(event, Credit):
            self._credits = min(self._credits + 1, MAX_CREDITS)
            self.refill(now)
        elif isinstance(event, Metadata):
            yield from self._handle_metadata(event, now)
        elif isinstance(event, Unchoke):
            self._choked = False
            if self._unchoke_is_progress:
                # Once, until data comes: choking and unchoking in turns is no service.
                self._unchoke_is_progress = False
                self.progress_at = now
            self.refill(now)
        elif isinstance(event, Choke):
            self._choked = True
            if not self.protocol.fast and not self.exchange:
                # BEP 3: a choke drops what was asked for; blocks on their way still count when they come.
                self.pipeline.restart()
        elif isinstance(event, Reject):
            self._handle_reject(event)
        elif self.exchange:
            # The serving side has read it already.
            if isinstance(event, (Have, HaveAll, Bitfield)):
                self.refill(now)
        elif self.remote_pieces.handle(event):
            self.refill(now)

    def start(self, info: Info, now: float) -> None:
        """The file on disk is open, its pieces are known: ask for what is missing."""
        self.info = info
        self.ready = True
        self.remote_pieces.set_piece_count(info.pieces)
        self.refill(now)

    def refill(self, now: float) -> None:
        """Keep the window full of requests. Raises :class:`SourceError` when it has nothing that we lack."""
        if not self.ready or self._choked or self.remote_pieces.held is None or self.info is None:
            return
        block = self._block_size()
        extension = self.protocol.remote_extension
        most = extension.requests if extension else 250
        window = self._window()
        pipeline = self.pipeline
        while pipeline.in_flight < window and len(pipeline.requested) < most:
            request = pipeline.next_request(block)
            if request is None and self._start_piece(now):
                request = pipeline.next_request(block)
            if request is None:
                break
            self.protocol.send(request)
            if len(pipeline.requested) == 1:
                # Nothing was under way before.
                self._meter.begin(self.protocol.received_bytes, now)
            self.sent_at = now

    def _start_piece(self, now: float) -> bool:
        by_offer = self.protocol.needs_credits
        if by_offer and not self._credits:
            return False
        held = self.remote_pieces.held
        assert held is not None
        assert self.info is not None
        piece = self.next_piece(held)
        if piece == NOT_NOW:
            return False
        if piece is None:
            if by_offer:
                # Whoever offers is told that there is nothing to ask for, and offers to others.
                self._credits = 0
                self.set_interested(interested=False)
            return False
        self._credits = max(0, self._credits - 1)
        self.pipeline.add_piece(piece, self.info.piece_size(piece), now)
        return True

    def _block_size(self) -> int:
        largest = self.protocol.max_block_size()
        if not self.exchange:
            return largest
        # What we say in between waits behind a block that is on its way: as long as a block takes, at most.
        return min(largest, BLOCK if self._meter.rate < 1e6 else 4 * BLOCK if self._meter.rate < 2e7 else largest)

    def _window(self) -> int:
        if not self.exchange or self.protocol.needs_credits:
            return SOURCE_WINDOW
        return round(min(max(self._meter.rate * WINDOW_SECONDS, EXCHANGE_MIN_WINDOW), EXCHANGE_MAX_WINDOW))

    def set_interested(self, *, interested: bool = True) -> None:
        """Say whether anything is wanted of the other side, where that is news."""
        if self._interested != interested and self.protocol.remote_handshake is not None:
            self._interested = interested
            self.protocol.send(Interested() if interested else NotInterested())

    @property
    def interested(self) -> bool:
        """Whether the other side has been told that something is wanted of it."""
        return self._interested

    def cancel(self, piece: int, now: float) -> None:
        """The piece has come from somebody else, or is to come from somebody else."""
        if piece not in self.pipeline:
            return
        for message in self.pipeline.cancel_piece(piece):
            self.protocol.send(message)
        self.refill(now)

    def check(self, now: float) -> None:
        """Look at the clock. Raises :class:`SourceError` when the source has stalled."""
        # Bytes of a large block count while it is on its way; waiting for our own disk is not the source's fault.
        if self.protocol.received_bytes != self._checked_bytes or self.idle or (self.info and not self.ready):
            self._checked_bytes = self.protocol.received_bytes
            self.progress_at = max(self.progress_at, now)
        if now - self.progress_at >= self.stall_timeout:
            met = self.protocol.remote_handshake is not None
            what = "no data" if self.pipeline.requested else "not served" if met else "no answer"
            raise SourceError(f"stalled: {what} for {self.stall_timeout:g} s")
        if now - self.sent_at >= KEEPALIVE_INTERVAL and self.protocol.remote_handshake is not None:
            self.sent_at = now
            self.protocol.send(KeepAlive())

    def slow_rate(self, min_rate: float, now: float) -> float | None:
        """Bytes a second over the last seconds, if the source was to send all the time and they are below ``least``."""
        if self.idle or not self.pipeline.requested:
            self._meter.idle()
            return None
        return self._meter.slow(self.protocol.received_bytes, min_rate, now)

    def due(self) -> float:
        """When :meth:`check` and :meth:`slow` are to be called next."""
        stalled_at = self.progress_at + self.stall_timeout
        slow_at = self._meter.slow_due()
        if slow_at is None and self.pipeline.requested:
            slow_at = self.sent_at + SLOW_WINDOW
        return stalled_at if slow_at is None else min(stalled_at, slow_at)

    def _handle_block(self, block: Block, now: float) -> Iterator[FetcherEvent]:
        partial = self.pipeline.receive_block(block)
        if partial is None:
            return
        self.progress_at = now
        self._unchoke_is_progress = True
        if self.exchange:
            self._meter.look(self.protocol.received_bytes, now)
            self.pipeline.measure(partial, now)
        if not partial.missing:
            assert partial.data is not None
            yield PieceReceived(block.piece, partial.data, now - partial.requested_at)
        self.refill(now)

    def _handle_reject(self, reject: Reject) -> None:
        if not self.pipeline.receive_reject(reject):
            return
        if not self._choked:
            raise SourceError(f"refused a block of piece {reject.piece}")
        self.pipeline.restart_piece(reject.piece)

    def request_metadata(self, now: float) -> None:
        """Ask for the info dictionary, unless it is known. Raises :class:`SourceError` where the source has none."""
        if self.info is None and self._metadata.request(now):
            self.sent_at = now

    def cancel_metadata(self) -> None:
        """Wait no longer for the info dictionary: somebody else is asked."""
        self._metadata.cancel()

    def _handle_metadata(self, metadata: Metadata, now: float) -> Iterator[FetcherEvent]:
        if metadata.kind is MetadataKind.REQUEST:
            if not self.exchange:
                self.protocol.send_metadata(Metadata(MetadataKind.REJECT, metadata.piece))
            return
        if self.info is not None or not self._metadata.expects(metadata.piece):
            return
        if metadata.kind is MetadataKind.REJECT:
            if not self.exchange:
                raise SourceError("refused to send the info dictionary")
            self.cancel_metadata()
            return
        arrived = self._metadata.receive_part(metadata, now)
        self.progress_at = self.sent_at = now
        if arrived is not None:
            self.info = arrived.info
            yield arrived
