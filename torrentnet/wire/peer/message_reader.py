"""Cuts the byte stream between peers into messages (BEP 3), and receives large blocks where they belong."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.messages import BLOCK_HEAD, BLOCK_ID, MAX_BLOCK, Block, KeepAlive, Message, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LENGTH = struct.Struct(">I")
_PLACE = struct.Struct(">II")
_LARGE = 32 * 1024
"""Bytes of a block still to come that are worth a receive of their own, so that they go to their place at once."""
_AHEAD = 512
"""Bytes that are read past such a block: the next one's head, and no more of its data than is quickly copied."""


class MessageReader:
    """Cuts a byte stream into messages, in one buffer that it keeps.

    The caller receives into :meth:`buffers`, in order, and calls :meth:`advance` with the number of bytes; or, where
    speed does not matter, hands bytes to :meth:`feed`. ``limit`` is the largest message (bytes behind the length)
    that is believed; anything longer raises :class:`PeerProtocolError` before it is buffered, as does a length
    that does not fit the message's id. After an error the reader is of no more use.

    :attr:`place` may name the memory where the data of a block (piece, begin, length) is to be; the data of a large
    block then goes there and nowhere else. It is called when the block's head is here, and the memory is written to
    until the block is handed out: name none that somebody else may be given meanwhile. None: no matter where.
    """

    def __init__(self, limit: int, capacity: int | None = None) -> None:
        self._limit = limit
        self._memory = bytearray(max(capacity or 0, limit + 4))
        self._view = memoryview(self._memory)
        self._start = 0
        self._end = 0
        self.place: Callable[[int, int, int], memoryview | None] | None = None
        self._placed: Block | None = None
        self._filled = 0
        self._large = False
        """Whether the last message was a block that went to its place."""

    @property
    def begun(self) -> int:
        """Bytes that are here of a message that is not wholly here."""
        return self._end - self._start if self._placed is None else self._filled

    def buffers(self) -> tuple[memoryview, ...]:
        """Where the next bytes go, in order; the first is never empty.

        Data of blocks handed out before is no longer valid, but for that which has a place of its own.
        """
        if self._placed is not None:
            return self._placed.data[self._filled :], self._view[:_AHEAD]
        if self._start == self._end and self._large:
            # The next is most likely large too: its head first, and its data to its place.
            self._start = self._end = 0
            return (self._view[:_AHEAD],)
        if self._start:
            rest = self._end - self._start
            self._view[:rest] = self._view[self._start : self._end]
            self._start, self._end = 0, rest
        return (self._view[self._end :],)

    def advance(self, count: int) -> Iterator[Message]:
        """``count`` bytes were put into :meth:`buffers`: hands out each whole message. Exhaust it before the next."""
        if self._placed is not None:
            block = self._placed
            taken = min(count, len(block.data) - self._filled)
            self._filled += taken
            if self._filled < len(block.data):
                return
            self._placed, self._large = None, True
            count -= taken
            yield block
        self._end += count
        while self._end - self._start >= 4:
            (length,) = _LENGTH.unpack_from(self._memory, self._start)
            if length > self._limit:
                raise PeerProtocolError(f"message of {length} bytes, at most {self._limit} are taken")
            if self._end - self._start < 4 + length:
                self._go_on_elsewhere(length)
                return
            body = self._view[self._start + 4 : self._start + 4 + length]
            self._start += 4 + length
            self._large = False
            yield parse(body) if length else KeepAlive()

    def _go_on_elsewhere(self, length: int) -> None:
        """The message that begins at ``_start`` is not whole: a large block's data goes to its place, if it has one."""
        here = self._end - self._start
        if self.place is None or here < BLOCK_HEAD or 4 + length - here < _LARGE:
            return
        head = self._view[self._start + 4 : self._start + BLOCK_HEAD]
        if head[0] != BLOCK_ID or length > 9 + MAX_BLOCK:
            return
        piece, begin = _PLACE.unpack_from(head, 1)
        data = self.place(piece, begin, length - 9)
        if data is None:
            return
        if len(data) != length - 9:
            raise ValueError(f"{len(data)} bytes of memory for a block of {length - 9}")
        self._filled = here - BLOCK_HEAD
        data[: self._filled] = self._view[self._start + BLOCK_HEAD : self._end]
        self._start = self._end = 0
        self._placed = Block(piece, begin, data)

    def feed(self, data: bytes) -> Iterator[Message]:
        """Like :meth:`buffers` and :meth:`advance` in one, for any amount of data."""
        position = 0
        while position < len(data):
            room = self.buffers()[0]
            count = min(len(room), len(data) - position)
            room[:count] = data[position : position + count]
            position += count
            yield from self.advance(count)
