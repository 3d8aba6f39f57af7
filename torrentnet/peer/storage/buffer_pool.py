"""Memory that pieces arrive in, used again and again: what was just read and written is still in the caches."""

from __future__ import annotations

MAX_FREE_BYTES = 4 * 1024 * 1024
"""Bytes that are kept for later."""


class BufferPool:
    """Hands out memory for a piece, and takes it back when the piece is on disk.

    Not for several threads: whoever lends it to one asks for it back.
    """

    def __init__(self) -> None:
        self._free: list[bytearray] = []

    def acquire(self, size: int) -> bytearray:
        """``size`` bytes; what was in them before may still be."""
        if self._free:
            # The last one given back: the others are cold, or of another file.
            memory = self._free.pop()
            if len(memory) == size:
                return memory
            self._free.clear()
        return bytearray(size)

    def release(self, buffer: bytearray) -> None:
        """Nobody looks at ``memory`` any more."""
        if (len(self._free) + 1) * len(buffer) <= MAX_FREE_BYTES:
            self._free.append(buffer)
