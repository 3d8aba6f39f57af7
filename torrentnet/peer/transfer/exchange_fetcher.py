"""Fetch pieces from one of many peers that hold them.

One piece is requested per credit from a peer that grants credits; for other clients, a window follows their rate.
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

CREDIT_WINDOW: Final = 12 * 1024 * 1024
"""Bytes in flight from a peer that grants credits, which are the real limit."""
MIN_WINDOW: Final = 128 * 1024
MAX_WINDOW: Final = 4 * 1024 * 1024
WINDOW_SECONDS: Final = 1.5
"""Bytes in flight from any other peer, as seconds of its rate, within :data:`MIN_WINDOW` and :data:`MAX_WINDOW`."""
MAX_CREDITS: Final = 256


class ExchangeFetcher(PieceFetcher):
    """The downloading side of a connection on which pieces are also uploaded.

    The upload side sends the initial state and updates ``remote_pieces``.
    """

    _credits = 0

    @property
    def idle(self) -> bool:
        """See :class:`PieceFetcher`."""
        return not self.pipeline.requested and not self.metadata_pending

    def set_interested(self, *, interested: bool = True) -> None:
        """Send this side's interest if it has changed since the last message."""
        if self.interested != interested and self.protocol.remote_handshake is not None:
            self.interested = interested
            self.protocol.send(Interested() if interested else NotInterested())

    def cancel(self, piece: int, now: float) -> None:
        """Cancel the requests for a piece that another peer has sent or will send."""
        if piece not in self.pipeline:
            return
        for message in self.pipeline.cancel_piece(piece):
            self.protocol.send(message)
        self.refill(now)

    def cancel_metadata(self) -> None:
        """Stop waiting for the info dictionary, which is requested from another peer."""
        self._metadata.cancel()

    def _handle_other(self, event: PeerProtocolEvent, now: float) -> None:
        if isinstance(event, Credit):
            self._credits = min(self._credits + 1, MAX_CREDITS)
            self.refill(now)
        elif isinstance(event, Handshake):
            self._progress_at = now
            self.set_interested()
        elif isinstance(event, (Have, HaveAll, Bitfield)):
            self.refill(now)
        elif isinstance(event, Metadata) and event.kind is MetadataKind.REJECT:
            self.cancel_metadata()

    def _start_piece(self, now: float) -> bool:
        if self.protocol.needs_credits and not self._credits:
            return False
        if not super()._start_piece(now):
            return False
        self._credits = max(0, self._credits - 1)
        return True

    def _nothing_to_fetch(self) -> None:
        if self.protocol.needs_credits:
            # The peer then grants its credits to others.
            self._credits = 0
            self.set_interested(interested=False)

    def _block_size(self) -> int:
        rate, largest = self._meter.rate, self.protocol.max_block_size()
        # A message waits until the block that the peer is sending is complete: small blocks keep that short.
        return min(largest, BLOCK if rate < 1e6 else 4 * BLOCK if rate < 2e7 else largest)

    def _window(self) -> int:
        if self.protocol.needs_credits:
            return CREDIT_WINDOW
        return round(min(max(self._meter.rate * WINDOW_SECONDS, MIN_WINDOW), MAX_WINDOW))
