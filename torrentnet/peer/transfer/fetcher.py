"""Fetch whole pieces over one connection, in blocks, without I/O.

The strategies differ in how many bytes they request at once and in what a reject means: see
:mod:`torrentnet.peer.transfer.source_fetcher` and :mod:`torrentnet.peer.transfer.exchange_fetcher`.

Tested by tests/unit/peer/transfer/test_source_fetcher.py, tests/unit/peer/transfer/test_exchange_fetcher.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from torrentnet.peer.scheduling.rate_meter import RateMeter
from torrentnet.peer.scheduling.remote_pieces import RemotePieces
from torrentnet.peer.storage.buffer_pool import BufferPool
from torrentnet.peer.transfer.metadata_exchange import MetadataDownload, MetadataReceived, SourceError
from torrentnet.peer.transfer.request_pipeline import RequestPipeline
from torrentnet.wire.peer.extension_protocol import Metadata, MetadataKind
from torrentnet.wire.peer.messages import Block, Choke, KeepAlive, Reject, Unchoke

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torrentnet.peer.transfer.protocol import PeerProtocol, PeerProtocolEvent
    from torrentnet.wire.info import Info
    from torrentnet.wire.piece_set import PieceSet

DEFAULT_MAX_REQUESTS: Final = 250
"""Open requests that a peer accepts unless its extension handshake says how many (BEP 10, ``reqq``)."""
KEEPALIVE_INTERVAL: Final = 60.0
"""Seconds without a message after which a keep-alive is due; some clients disconnect peers that send them often."""
NOT_NOW: Final = -1
"""Result of ``next_piece`` while pieces are left to fetch, but there is no room for them."""


@dataclass(frozen=True, slots=True)
class PieceReceived:
    """All blocks of a piece, not verified yet. The receiver owns ``data``."""

    piece: int
    data: bytearray
    elapsed: float
    """Seconds since the first block was requested."""


FetcherEvent: TypeAlias = MetadataReceived | PieceReceived


class PieceFetcher(ABC):
    """The downloading side of one connection.

    ``next_piece(held)`` returns which of the remote peer's pieces to fetch next, None if there is none, or
    :data:`NOT_NOW`. The piece belongs to this connection until it is received or cancelled, or the connection is
    closed. The peer has stalled after ``stall_timeout`` without useful data.
    """

    def __init__(
        self,
        protocol: PeerProtocol,
        info_hash: bytes,
        info: Info | None,
        next_piece: Callable[[PieceSet], int | None],
        stall_timeout: float,
        now: float,
        *,
        buffers: BufferPool | None = None,
        remote_pieces: RemotePieces | None = None,
    ) -> None:
        self.protocol = protocol
        self.info = info
        self.next_piece = next_piece
        self.stall_timeout = stall_timeout
        self.remote_pieces = remote_pieces or RemotePieces()
        """The pieces that the peer holds."""
        self.ready = False
        """Whether pieces may be requested: the file on disk is open."""
        self.interested = False
        """Whether the last message to the peer about interest (BEP 3) was ``interested``."""
        self._meter = RateMeter()
        self.pipeline = RequestPipeline(buffers or BufferPool(), self._meter)
        """The open requests."""
        self._metadata = MetadataDownload(protocol, info_hash)
        self._choked = True
        self._unchoke_is_progress = True
        self._progress_at = now
        self._sent_at = now
        self._checked_bytes = 0
        self._max_requests: int | None = None
        protocol.set_block_buffers(self.pipeline.buffer_for)

    # -- Differences between the strategies --------------------------------------------------------

    @property
    @abstractmethod
    def idle(self) -> bool:
        """Whether nothing is expected from the peer, so that it cannot stall."""

    @abstractmethod
    def _handle_other(self, event: PeerProtocolEvent, now: float) -> None:
        """Handle a message that the strategies treat differently."""

    @abstractmethod
    def _block_size(self) -> int:
        """Return the largest number of bytes to request in one block."""

    @abstractmethod
    def _window(self) -> int:
        """Return how many bytes may be in flight."""

    @abstractmethod
    def _nothing_to_fetch(self) -> None:
        """Handle that the peer holds no piece that is to be fetched."""

    # -- Downloading -------------------------------------------------------------------------------

    @property
    def metadata_pending(self) -> bool:
        """Whether the info dictionary was requested and not received."""
        return self._metadata.pending and self.info is None

    @property
    def pieces(self) -> list[int]:
        """The pieces that belong to this connection."""
        return self.pipeline.pieces

    def handle(self, event: PeerProtocolEvent, now: float) -> Iterator[FetcherEvent]:
        """Handle a message. Raises :class:`SourceError` and :class:`PeerProtocolError`."""
        if isinstance(event, Block):
            yield from self._handle_block(event, now)
            return
        # Other messages are no progress: a peer that only sends keep-alives stalls.
        self._checked_bytes = self.protocol.received_bytes
        if isinstance(event, Metadata):
            yield from self._handle_metadata(event, now)
        elif isinstance(event, Unchoke):
            self._choked = False
            if self._unchoke_is_progress:
                # Only once until data is received: a peer that chokes and unchokes in turns sends none.
                self._unchoke_is_progress = False
                self._progress_at = now
            self.refill(now)
        elif isinstance(event, Reject):
            self._handle_reject(event, now)
        else:
            self._choked = self._choked or isinstance(event, Choke)
            self._handle_other(event, now)

    def start(self, info: Info, now: float) -> None:
        """Start to request pieces: the file on disk is open."""
        self.info = info
        self.ready = True
        self.remote_pieces.set_piece_count(info.pieces)
        self.refill(now)

    def refill(self, now: float) -> None:
        """Send requests until the window is full."""
        if not self.ready or self._choked or self.remote_pieces.held is None or self.info is None:
            return
        block = self._block_size()
        max_requests = self._max_requests or self._announced_requests()
        window = self._window()
        pipeline = self.pipeline
        while pipeline.in_flight < window and len(pipeline.requested) < max_requests:
            request = pipeline.next_request(block)
            if request is None and self._start_piece(now):
                request = pipeline.next_request(block)
            if request is None:
                break
            self.protocol.send(request)
            if len(pipeline.requested) == 1:
                # Nothing was in flight before.
                self._meter.restart(self.protocol.received_bytes, now)
            self._sent_at = now

    def _announced_requests(self) -> int:
        """Return how many requests to have open.

        It is one fewer than the peer says, because Transmission takes so many.
        """
        extension = self.protocol.remote_extension
        return max(1, (extension.requests if extension else DEFAULT_MAX_REQUESTS) - 1)

    def _start_piece(self, now: float) -> bool:
        assert self.remote_pieces.held is not None
        assert self.info is not None
        piece = self.next_piece(self.remote_pieces.held)
        if piece is None:
            self._nothing_to_fetch()
            return False
        if piece == NOT_NOW:
            return False
        self.pipeline.add_piece(piece, self.info.piece_size(piece), now)
        return True

    def check(self, now: float) -> None:
        """Apply the time-outs. Raises :class:`SourceError` if the peer has stalled."""
        # The first bytes of a large block are progress; a slow local disk is not the peer's fault.
        if self.protocol.received_bytes != self._checked_bytes or self.idle or (self.info and not self.ready):
            self._checked_bytes = self.protocol.received_bytes
            self._progress_at = max(self._progress_at, now)
        greeted = self.protocol.remote_handshake is not None
        if now - self._progress_at >= self.stall_timeout:
            what = "no data" if self.pipeline.requested else "not served" if greeted else "no answer"
            raise SourceError(f"stalled: {what} for {self.stall_timeout:g} s")
        if greeted and now - self._sent_at >= KEEPALIVE_INTERVAL:
            self._sent_at = now
            self.protocol.send(KeepAlive())

    def _handle_block(self, block: Block, now: float) -> Iterator[FetcherEvent]:
        partial = self.pipeline.receive_block(block)
        if partial is None:
            return
        self._progress_at = now
        self._unchoke_is_progress = True
        self._meter.sample(self.protocol.received_bytes, now)
        self.pipeline.measure(partial, now)
        if not partial.missing:
            assert partial.data is not None
            yield PieceReceived(block.piece, partial.data, now - partial.requested_at)
        self.refill(now)

    def _handle_reject(self, reject: Reject, now: float) -> None:
        if not self.pipeline.receive_reject(reject):
            return
        if self._choked:
            self.pipeline.restart_piece(reject.piece)
            return
        if not self.pipeline.repeat(reject):
            raise SourceError(f"refused a block of piece {reject.piece}")
        # The peer's queue was full: keep it shorter from now on, and ask again once it has sent something.
        self._max_requests = max(1, len(self.pipeline.requested))
        if not self.pipeline.requested:
            self.refill(now)

    # -- The info dictionary -----------------------------------------------------------------------

    def request_metadata(self, now: float) -> None:
        """Request the info dictionary unless it is known. Raises :class:`SourceError`."""
        if self.info is None and self._metadata.request(now):
            self._sent_at = now

    def _handle_metadata(self, metadata: Metadata, now: float) -> Iterator[FetcherEvent]:
        expected = self.info is None and self._metadata.expects(metadata.piece)
        if metadata.kind is MetadataKind.REQUEST or (expected and metadata.kind is MetadataKind.REJECT):
            self._handle_other(metadata, now)
            return
        if not expected:
            return
        received = self._metadata.receive_part(metadata, now)
        self._progress_at = self._sent_at = now
        if received is not None:
            self.info = received.info
            yield received
