"""What one peer is asked for and has not sent yet: whole pieces, in blocks, many at once. No socket in here.

BEP 3 calls it pipelining: requests wait at the other end, so that it always has something to send.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torrentnet.peer.transfer.metadata_exchange import SourceError
from torrentnet.wire.peer.messages import Cancel, Request

if TYPE_CHECKING:
    from torrentnet.peer.scheduling.rate_meter import RateMeter
    from torrentnet.peer.storage.buffer_pool import BufferPool
    from torrentnet.wire.peer.messages import Block, Reject

MAX_STRAY_BLOCKS = 1_000
"""Blocks that nobody asked for before the sender counts as broken; a choke leaves a window of them on their way."""
MAX_CANCELLED = 4_096
MIN_SPEED_SAMPLE = 0.05
"""Seconds of a piece's coming that tell how fast it comes."""


@dataclass(slots=True)
class PartialPiece:
    """A piece of which something is missing."""

    size: int
    requested_at: float
    missing: int
    next_offset: int = 0
    """Where the next block begins that is to be asked for."""
    data: bytearray | None = None
    """Once something of it comes: a piece that is only asked for needs no memory."""
    first_block: tuple[float, int] | None = None
    """When its first block had come, and how many bytes it lacked then."""


@dataclass(slots=True)
class RequestPipeline:
    """The pieces of one peer from :meth:`begin` on, until they have come or are cancelled.

    They are received into ``memory``; how fast they come, ``meter`` is told and tells.
    """

    buffers: BufferPool
    meter: RateMeter
    requested: dict[tuple[int, int], int] = field(default_factory=dict)
    """Piece and offset of the blocks that are asked for and not here -> length."""
    in_flight: int = 0
    """Bytes of :attr:`asked`."""
    _partials: dict[int, PartialPiece] = field(default_factory=dict)
    _cancelled: set[tuple[int, int]] = field(default_factory=set)
    _unrequested_blocks: int = 0

    @property
    def pieces(self) -> list[int]:
        """The pieces that are under way, in the order in which they were begun."""
        return list(self._partials)

    def __contains__(self, piece: int) -> bool:
        return piece in self._partials

    def has_data(self, piece: int) -> bool:
        """Whether something of one of :attr:`pieces` has come."""
        partial = self._partials.get(piece)
        return partial is not None and partial.data is not None

    # Asking

    def add_piece(self, piece: int, size: int, now: float) -> None:
        """One more piece is to be fetched, of ``size`` bytes."""
        self._partials[piece] = PartialPiece(size, now, size)

    def next_request(self, max_length: int) -> Request | None:
        """The block to ask for next, of at most so many bytes; it counts as asked for. None where none is left."""
        # Only the newest piece can have blocks that were not asked for yet, but for a choke in between.
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
        """Fetch one of :attr:`pieces` no longer. Returns what takes its requests back."""
        del self._partials[piece]
        said: list[Cancel] = []
        for key in [key for key in self.requested if key[0] == piece]:
            length = self.requested.pop(key)
            self.in_flight -= length
            said.append(Cancel(*key, length))
            if len(self._cancelled) < MAX_CANCELLED:
                self._cancelled.add(key)
        return said

    # What comes

    def buffer_for(self, piece: int, begin: int, length: int) -> memoryview | None:
        """Return memory for a block's data, as :attr:`MessageReader.block_buffer` does."""
        # The piece is this connection's alone, and not whole before this block is: nobody looks at it meanwhile.
        if self.requested.get((piece, begin)) != length:
            return None
        return memoryview(self._data(self._partials[piece]))[begin : begin + length]

    def receive_block(self, block: Block) -> PartialPiece | None:
        """A block has come. Returns its piece, which is not under way any more with its last block.

        None where nobody asked for the block, or not any more. Raises :class:`SourceError` where that comes too often,
        and for a block of another length.
        """
        length = self.requested.pop((block.piece, block.begin), None)
        if length is None:
            self._count_unrequested(block.piece, block.begin)
            return None
        if length != len(block.data):
            raise SourceError(f"sent a block of {len(block.data)} bytes where {length} were asked for")
        self.in_flight -= length
        partial = self._partials[block.piece]
        data = self._data(partial)
        if block.data.obj is not data:
            data[block.begin : block.begin + length] = block.data
        partial.missing -= length
        if not partial.missing:
            del self._partials[block.piece]
        return partial

    def _count_unrequested(self, piece: int, begin: int) -> None:
        if (piece, begin) in self._cancelled:
            self._cancelled.discard((piece, begin))
            return
        self._unrequested_blocks += 1
        if self._unrequested_blocks > MAX_STRAY_BLOCKS:
            raise SourceError(f"sent {self._unrequested_blocks} blocks that nobody asked for")

    def _data(self, partial: PartialPiece) -> bytearray:
        if partial.data is None:
            partial.data = self.buffers.acquire(partial.size)
        return partial.data

    def receive_reject(self, reject: Reject) -> bool:
        """A block will not come. Whether it was asked for, and still is."""
        key = reject.piece, reject.begin
        if key in self._cancelled:
            # The answer to what was taken back (BEP 6), though it may have been asked for anew meanwhile.
            self._cancelled.discard(key)
            return False
        length = self.requested.pop(key, None)
        if length is None:
            return False
        self.in_flight -= length
        return True

    def restart_piece(self, piece: int) -> None:
        """One of :attr:`pieces` is to be asked for from its beginning again."""
        partial = self._partials[piece]
        for key in [key for key in self.requested if key[0] == piece]:
            self.in_flight -= self.requested.pop(key)
        partial.next_offset = 0
        partial.missing = partial.size
        partial.first_block = None

    def restart(self) -> None:
        """All of :attr:`pieces` are to be asked for from their beginning again."""
        self.requested.clear()
        self.in_flight = 0
        for piece in self._partials:
            self.restart_piece(piece)

    # How long it takes

    def measure(self, partial: PartialPiece, now: float) -> None:
        """A block of a piece has just come: note how fast the piece does."""
        if partial.first_block is None:
            partial.first_block = now, partial.missing
        elif not partial.missing:
            since, then = partial.first_block
            self.meter.piece_received(then, now - since)

    def time_to_complete(self, piece: int, now: float) -> float:
        """Seconds until one of :attr:`pieces` is here, if it goes on as it did; infinite where nothing tells."""
        if piece not in self._partials:
            # It is just being taken over.
            return 0.0
        missing = 0
        for one, partial in self._partials.items():
            missing += partial.missing
            if one == piece:
                break
        first = next(iter(self._partials.values()))
        speed = self.meter.piece_rate
        if first.first_block is not None:
            since, then = first.first_block
            if now - since > MIN_SPEED_SAMPLE:
                speed = (then - first.missing) / (now - since)
        return missing / speed if speed else math.inf

    def time_to_fetch(self, size: int) -> float:
        """Seconds for ``size`` bytes more of it; infinite where nothing tells."""
        missing = sum(partial.missing for partial in self._partials.values())
        return (missing + size) / self.meter.piece_rate if self.meter.piece_rate else math.inf
