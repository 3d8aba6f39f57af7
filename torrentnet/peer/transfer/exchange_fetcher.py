"""Fetching from one peer of a swarm, while others could send the same pieces.

One of our own peers grants credits, each for one piece; any other client gets a window that follows its rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.peer.transfer.fetcher import PieceFetcher
from torrentnet.peer.transfer.protocol import Credit
from torrentnet.wire.peer.extension_protocol import Metadata, MetadataKind
from torrentnet.wire.peer.handshake import Handshake
from torrentnet.wire.peer.messages import BLOCK, Bitfield, Have, HaveAll, Interested, NotInterested

if TYPE_CHECKING:
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.peer.transfer.request_pipeline import PartialPiece

CREDIT_WINDOW: Final = 12 * 1024 * 1024
"""Bytes that may be requested and not here at a peer whose credits say how much that is."""
MIN_WINDOW: Final = 128 * 1024
MAX_WINDOW: Final = 4 * 1024 * 1024
"""Bytes that may be requested and not here at any other peer; :data:`WINDOW_SECONDS` of its rate in between."""
WINDOW_SECONDS: Final = 1.5
MAX_CREDITS: Final = 256


class ExchangeFetcher(PieceFetcher):
    """The downloading side of a connection over which pieces are served too.

    The serving side sends our initial state and updates ``remote_pieces``.
    """

    _credits = 0
    """Pieces that may be requested (see :class:`~torrentnet.peer.transfer.protocol.Credit`)."""

    @property
    def idle(self) -> bool:
        """See :class:`PieceFetcher`."""
        return not self.pipeline.requested and not self.metadata_pending

    def set_interested(self, *, interested: bool = True) -> None:
        """Tell the peer whether we are interested, unless it knows."""
        if self._interested != interested and self.protocol.remote_handshake is not None:
            self._interested = interested
            self.protocol.send(Interested() if interested else NotInterested())

    def cancel(self, piece: int, now: float) -> None:
        """Cancel the requests for a piece that another peer has sent, or is to send."""
        if piece not in self.pipeline:
            return
        for message in self.pipeline.cancel_piece(piece):
            self.protocol.send(message)
        self.refill(now)

    def cancel_metadata(self) -> None:
        """Stop waiting for the info dictionary: another peer is asked."""
        self._metadata.cancel()

    def _handle_other(self, event: PeerProtocolEvent, now: float) -> None:
        if isinstance(event, Credit):
            self._credits = min(self._credits + 1, MAX_CREDITS)
            self.refill(now)
        elif isinstance(event, Handshake):
            self._progress_at = now
            self.set_interested()
        elif isinstance(event, (Have, HaveAll, Bitfield)):
            # The serving side has read it already.
            self.refill(now)
        elif isinstance(event, Metadata) and event.kind is MetadataKind.REJECT:
            # Requests are the serving side's.
            self.cancel_metadata()

    def _block_received(self, partial: PartialPiece, now: float) -> None:
        self._meter.sample(self.protocol.received_bytes, now)
        self.pipeline.measure(partial, now)

    def _start_piece(self, now: float) -> bool:
        if self.protocol.needs_credits and not self._credits:
            return False
        if not super()._start_piece(now):
            return False
        self._credits = max(0, self._credits - 1)
        return True

    def _nothing_to_fetch(self) -> None:
        if self.protocol.needs_credits:
            # A peer that learns of it grants its credits to others.
            self._credits = 0
            self.set_interested(interested=False)

    def _block_size(self) -> int:
        rate, largest = self._meter.rate, self.protocol.max_block_size()
        # Our messages wait behind a block that is on its way: no longer than that block takes.
        return min(largest, BLOCK if rate < 1e6 else 4 * BLOCK if rate < 2e7 else largest)

    def _window(self) -> int:
        if self.protocol.needs_credits:
            return CREDIT_WINDOW
        return round(min(max(self._meter.rate * WINDOW_SECONDS, MIN_WINDOW), MAX_WINDOW))
