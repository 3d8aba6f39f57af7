"""Fetch pieces from a single source, with many requests in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.peer.scheduling.rate_meter import SLOW_WINDOW
from torrentnet.peer.transfer.fetcher import PieceFetcher
from torrentnet.peer.transfer.metadata_exchange import SourceError
from torrentnet.peer.transfer.protocol import Credit
from torrentnet.wire.peer.extension_protocol import ExtensionHandshake, Metadata, MetadataKind
from torrentnet.wire.peer.handshake import Handshake
from torrentnet.wire.peer.messages import Choke, Interested

if TYPE_CHECKING:
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent

SOURCE_WINDOW: Final = 12 * 1024 * 1024
"""Bytes in flight. Far more than any lab's bandwidth times delay: on a busy machine, each end then finds enough to do
when it gets the processor. A request takes no memory before its data arrives."""


class SourceFetcher(PieceFetcher):
    """The downloading side of a connection on which nothing is uploaded."""

    @property
    def idle(self) -> bool:
        """See :class:`PieceFetcher`."""
        return self.ready and not self._choked and self.remote_pieces.held is not None and not self.pipeline.requested

    def slow_rate(self, min_rate: float, now: float) -> float | None:
        """Return the last rate in bytes per second if it is below ``min_rate``."""
        if self.idle or not self.pipeline.requested:
            self._meter.idle()
            return None
        return self._meter.slow_rate(self.protocol.received_bytes, min_rate, now)

    def due(self) -> float:
        """Return when to call :meth:`check` and :meth:`slow_rate` next."""
        stalled_at = self._progress_at + self.stall_timeout
        slow_at = self._meter.slow_due()
        if slow_at is None and self.pipeline.requested:
            slow_at = self._sent_at + SLOW_WINDOW
        return stalled_at if slow_at is None else min(stalled_at, slow_at)

    def _handle_other(self, event: PeerProtocolEvent, now: float) -> None:
        if isinstance(event, Handshake):
            self._progress_at = now
            self.protocol.send_initial_state(None, 0)
            self.protocol.send(Interested())
            if self.info is None and not event.extended:
                raise SourceError("cannot send the info dictionary: no support for BEP 10")
        elif isinstance(event, ExtensionHandshake):
            self.request_metadata(now)
        elif isinstance(event, Choke):
            if not self.protocol.fast:
                # BEP 3: a choke drops the requests.
                self.pipeline.restart()
        elif isinstance(event, Metadata):
            if event.kind is MetadataKind.REJECT:
                raise SourceError("refused to send the info dictionary")
            self.protocol.send_metadata(Metadata(MetadataKind.REJECT, event.piece))
        elif not isinstance(event, Credit) and self.remote_pieces.handle(event):
            self.refill(now)

    def _nothing_to_fetch(self) -> None:
        """Do nothing: the strategy selects another source."""

    def _block_size(self) -> int:
        return self.protocol.max_block_size()

    def _window(self) -> int:
        return SOURCE_WINDOW
