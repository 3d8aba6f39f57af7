"""The open requests to one peer: whole pieces in blocks, without I/O.

Many requests are open at once (pipelining, BEP 3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from torrentnet.peer.transfer.metadata_exchange import SourceError
from torrentnet.wire.peer.messages import Cancel, Request

if TYPE_CHECKING:
    from torrentnet.peer.scheduling.rate_meter import RateMeter
    from torrentnet.peer.storage.buffer_pool import BufferPool
    from torrentnet.wire.peer.messages import Block, Reject

MAX_UNREQUESTED_BLOCKS: Final = 1_000
"""Unrequested blocks after which the peer counts as broken; after a choke, a window of blocks is in flight."""
MAX_CANCELLED: Final = 4_096
MIN_SPEED_SAMPLE: Final = 0.05
"""Seconds after a piece's first block from which the piece's own speed is meaningful."""


@dataclass(slots=True)
class PartialPiece:
    """A piece that is not complete yet."""

    size: int
    requested_at: float
    missing: int
    next_offset: int = 0
    """Offset of the next block to request."""
    data: bytearray | None = None
    """The piece's buffer; None until its first block arrives."""
    first_block: tuple[float, int] | None = None
    """Arrival time of the first block, and the bytes missing then."""


@dataclass(slots=True)
class RequestPipeline:
    """The pieces that are being downloaded from one peer.

    A piece belongs to the pipeline from :meth:`add_piece` until the piece is complete or cancelled. Pieces are received
    into ``buffers``; ``meter`` measures their speed.
    """

    buffers: BufferPool
    meter: RateMeter
    requested: dict[tuple[int, int], int] = field(default_factory=dict)
    """Piece and offset of each requested block that has not arrived -> its length."""
    in_flight: int = 0
    """Bytes of :attr:`requested`."""
    _rejected: list[Request] = field(default_factory=list)
    """Requests that the peer has rejected, to be sent again."""
    _rejected_before: set[tuple[int, int]] = field(default_factory=set)
    """Piece and offset of each block rejected since the last one arrived."""
    _partials: dict[int, PartialPiece] = field(default_factory=dict)
    _cancelled: set[tuple[int, int]] = field(default_factory=set)
    _unrequested_blocks: int = 0

    @property
    def pieces(self) -> list[int]:
        """The pieces in progress, in the order in which they were added."""
        return list(self._partials)

    def __contains__(self, piece: int) -> bool:
        return piece in self._partials

    def has_data(self, piece: int) -> bool:
        """Whether a block of ``piece`` has arrived."""
        partial = self._partials.get(piece)
        return partial is not None and partial.data is not None

    def add_piece(self, piece: int, size: int, now: float) -> None:
        """Start to download ``piece`` of ``size`` bytes."""
        self._partials[piece] = PartialPiece(size, now, size)

    def next_request(self, max_length: int) -> Request | None:
        """Return the next request and count it as sent; None if none is left.

        The request is for at most ``max_length`` bytes.
        """
        while self._rejected:
            again = self._rejected.pop()
            if again.piece in self._partials:
                self.requested[again.piece, again.begin] = again.length
                self.in_flight += again.length
                return again
        # Except after a choke, only the newest piece has unrequested blocks.
        for piece in reversed(self._partials):
            partial = self._partials[piece]
            begin = partial.next_offset
            if begin < partial.size:
                length = min(max_length, partial.size - begin)
                self.requested[piece, begin] = length
                self.in_flight += length
                partial.next_offset += length
                return Request(piece, begin, length)
        return None

    def cancel_piece(self, piece: int) -> list[Cancel]:
        """Stop downloading ``piece``; return the cancel messages for its requests."""
        del self._partials[piece]
        self._forget_rejected(piece)
        messages: list[Cancel] = []
        for key in [key for key in self.requested if key[0] == piece]:
            length = self.requested.pop(key)
            self.in_flight -= length
            messages.append(Cancel(*key, length))
            if len(self._cancelled) < MAX_CANCELLED:
                self._cancelled.add(key)
        return messages

    def buffer_for(self, piece: int, begin: int, length: int) -> memoryview | None:
        """Return the memory for a block's data; None if the block was not requested."""
        # Nobody reads the piece before this block is complete.
        if self.requested.get((piece, begin)) != length:
            return None
        return memoryview(self._data(self._partials[piece]))[begin : begin + length]

    def receive_block(self, block: Block) -> PartialPiece | None:
        """Store a block; return its piece, which leaves the pipeline with its last block.

        Return None if the block was not requested, or was cancelled. Raises :class:`SourceError` after too many
        unrequested blocks, and for a block of the wrong length.
        """
        length = self.requested.pop((block.piece, block.begin), None)
        if length is None:
            self._count_unrequested(block.piece, block.begin)
            return None
        if length != len(block.data):
            raise SourceError(f"sent a block of {len(block.data)} bytes where {length} were requested")
        self.in_flight -= length
        partial = self._partials[block.piece]
        data = self._data(partial)
        if block.data.obj is not data:
            data[block.begin : block.begin + length] = block.data
        partial.missing -= length
        self.buffers.received_bytes += length
        if self._rejected_before:
            self._rejected_before.clear()
        if not partial.missing:
            del self._partials[block.piece]
        return partial

    def _count_unrequested(self, piece: int, begin: int) -> None:
        if (piece, begin) in self._cancelled:
            self._cancelled.discard((piece, begin))
            return
        self._unrequested_blocks += 1
        if self._unrequested_blocks > MAX_UNREQUESTED_BLOCKS:
            raise SourceError(f"sent {self._unrequested_blocks} unrequested blocks")

    def _data(self, partial: PartialPiece) -> bytearray:
        if partial.data is None:
            partial.data = self.buffers.acquire(partial.size)
        return partial.data

    def receive_reject(self, reject: Reject) -> bool:
        """Handle a reject (BEP 6); return whether it is for an open request."""
        key = reject.piece, reject.begin
        if key in self._cancelled:
            # The reply to a cancelled request, even if the block has been requested anew meanwhile.
            self._cancelled.discard(key)
            return False
        length = self.requested.pop(key, None)
        if length is None:
            return False
        self.in_flight -= length
        return True

    def repeat(self, reject: Reject) -> bool:
        """Request a rejected block again later.

        Return False if it was rejected before and nothing has arrived since.
        """
        key = reject.piece, reject.begin
        if key in self._rejected_before:
            return False
        self._rejected_before.add(key)
        self._rejected.append(Request(*reject))
        return True

    def _forget_rejected(self, piece: int) -> None:
        self._rejected = [request for request in self._rejected if request.piece != piece]

    def restart_piece(self, piece: int) -> None:
        """Request ``piece`` from its beginning again."""
        partial = self._partials[piece]
        self._forget_rejected(piece)
        for key in [key for key in self.requested if key[0] == piece]:
            self.in_flight -= self.requested.pop(key)
        partial.next_offset = 0
        partial.missing = partial.size
        partial.first_block = None

    def restart(self) -> None:
        """Request all pieces from their beginning again."""
        self.requested.clear()
        self.in_flight = 0
        for piece in self._partials:
            self.restart_piece(piece)

    def measure(self, partial: PartialPiece, now: float) -> None:
        """Measure a piece's speed after the arrival of one of its blocks."""
        if partial.first_block is None:
            partial.first_block = now, partial.missing
        elif not partial.missing:
            since, missing_then = partial.first_block
            self.meter.piece_received(missing_then, now - since)

    def time_to_complete(self, piece: int, now: float) -> float:
        """Return the seconds until ``piece`` is complete at the current speed.

        The result is infinite if the speed is unknown.
        """
        if piece not in self._partials:
            # The piece is just being moved to this connection.
            return 0.0
        missing = 0
        for number, partial in self._partials.items():
            missing += partial.missing
            if number == piece:
                break
        first = next(iter(self._partials.values()))
        speed = self.meter.piece_rate
        if first.first_block is not None:
            since, missing_then = first.first_block
            if now - since > MIN_SPEED_SAMPLE:
                speed = (missing_then - first.missing) / (now - since)
        return missing / speed if speed else math.inf

    def time_to_fetch(self, size: int) -> float:
        """Return the seconds until ``size`` more bytes would arrive.

        The result is infinite if the speed is unknown.
        """
        missing = sum(partial.missing for partial in self._partials.values())
        return (missing + size) / self.meter.piece_rate if self.meter.piece_rate else math.inf
