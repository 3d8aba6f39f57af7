"""Reader that cuts the byte stream between peers into messages (BEP 3).

Large blocks are received into their own memory.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.messages import BLOCK_HEAD, BLOCK_ID, MAX_BLOCK, Block, KeepAlive, Message, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LENGTH: Final = struct.Struct(">I")
_BLOCK_FIELDS: Final = struct.Struct(">II")
_LARGE: Final = 32 * 1024
"""A block that lacks at least this many bytes is received into its own memory, without a copy."""
_AHEAD: Final = 512
"""Bytes read past such a block: the next block's head, and no more of its data than is quickly copied."""


class MessageReader:
    """Cut a byte stream into messages, in one buffer.

    The caller receives into :meth:`buffers`, in order, and calls :meth:`advance` with the number of bytes; where speed
    does not matter, it calls :meth:`feed`. ``limit`` is the largest message (bytes behind the length); a longer one
    raises :class:`PeerProtocolError` before it is buffered, as does a length that does not fit the message's id. After
    an error the reader must not be used.

    :attr:`block_buffer` may return memory for the data of a block (piece, begin, length); a large block is then
    received there. It is called once the block's head is known, and the memory belongs to the reader until the block
    is returned. None leaves the data in the reader's own buffer.
    """

    def __init__(self, limit: int, capacity: int | None = None) -> None:
        self._limit = limit
        self._memory = bytearray(max(capacity or 0, limit + 4))
        self._view = memoryview(self._memory)
        self._start = 0
        self._end = 0
        self.block_buffer: Callable[[int, int, int], memoryview | None] | None = None
        self._direct: Block | None = None
        self._filled = 0
        self._large = False
        """Whether the last message was a block that was received into its own memory."""

    @property
    def begun(self) -> int:
        """Bytes received of a message that is not complete."""
        return self._end - self._start if self._direct is None else self._filled

    @property
    def begun_block(self) -> int:
        """Bytes received of an incomplete block that goes into its own memory."""
        return 0 if self._direct is None else self._filled

    def buffers(self) -> tuple[memoryview, ...]:
        """Return where the next bytes go, in order; the first buffer is never empty.

        This invalidates the data of all earlier blocks, except those in memory of :attr:`block_buffer`.
        """
        if self._direct is not None:
            return self._direct.data[self._filled :], self._view[:_AHEAD]
        if self._start == self._end and self._large:
            # The next block is most likely large, too: its head first, then its data into its own memory.
            self._start = self._end = 0
            return (self._view[:_AHEAD],)
        if self._start:
            rest = self._end - self._start
            self._view[:rest] = self._view[self._start : self._end]
            self._start, self._end = 0, rest
        return (self._view[self._end :],)

    def advance(self, count: int) -> Iterator[Message]:
        """Yield every complete message, after the caller stored ``count`` bytes.

        The caller stores them in :meth:`buffers`. A caller that stops early must call again, with a count of 0 for the
        messages that are left, before it receives more.
        """
        if self._direct is not None:
            block = self._direct
            taken = min(count, len(block.data) - self._filled)
            self._filled += taken
            if self._filled < len(block.data):
                return
            self._direct, self._large = None, True
            self._end += count - taken
            yield block
        else:
            self._end += count
        while self._end - self._start >= 4:
            (length,) = _LENGTH.unpack_from(self._memory, self._start)
            if length > self._limit:
                raise PeerProtocolError(f"message of {length} bytes, at most {self._limit} are allowed")
            if self._end - self._start < 4 + length:
                self._receive_directly(length)
                return
            body = self._view[self._start + 4 : self._start + 4 + length]
            self._start += 4 + length
            self._large = False
            yield parse(body) if length else KeepAlive()

    def _receive_directly(self, length: int) -> None:
        """Prepare to receive the rest of a large block into its own memory.

        Does nothing unless the incomplete message at ``_start`` is a large block.
        """
        received = self._end - self._start
        if self.block_buffer is None or received < BLOCK_HEAD or 4 + length - received < _LARGE:
            return
        head = self._view[self._start + 4 : self._start + BLOCK_HEAD]
        if head[0] != BLOCK_ID or length > 9 + MAX_BLOCK:
            return
        piece, begin = _BLOCK_FIELDS.unpack_from(head, 1)
        data = self.block_buffer(piece, begin, length - 9)
        if data is None:
            return
        if len(data) != length - 9:
            raise ValueError(f"{len(data)} bytes of memory for a block of {length - 9}")
        self._filled = received - BLOCK_HEAD
        data[: self._filled] = self._view[self._start + BLOCK_HEAD : self._end]
        self._start = self._end = 0
        self._direct = Block(piece, begin, data)

    def store(self, data: bytes) -> None:
        """Keep bytes for the next :meth:`advance`; there must be room for them."""
        self.buffers()[0][: len(data)] = data
        self._end += len(data)

    def feed(self, data: bytes) -> Iterator[Message]:
        """Copy any amount of data into the buffers, and yield every complete message."""
        position = 0
        while position < len(data):
            room = self.buffers()[0]
            count = min(len(room), len(data) - position)
            room[:count] = data[position : position + count]
            position += count
            yield from self.advance(count)
