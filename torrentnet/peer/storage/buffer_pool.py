"""A pool that reuses the buffers into which pieces are received.

Recently used buffers are in the CPU's caches.
"""

from __future__ import annotations

from typing import Final

MAX_FREE_BYTES: Final = 4 * 1024 * 1024
"""Bytes of free buffers to keep."""


class BufferPool:
    """A pool of buffers of one piece each; not thread-safe."""

    def __init__(self) -> None:
        self._free: list[bytearray] = []
        self.received_bytes = 0
        """Bytes of requested blocks that were received into the buffers so far; kept by their users."""

    def acquire(self, size: int) -> bytearray:
        """Return a buffer of ``size`` bytes with arbitrary contents."""
        if self._free:
            # The buffer that was released last; the others have left the caches.
            buffer = self._free.pop()
            if len(buffer) == size:
                return buffer
            self._free.clear()
        return bytearray(size)

    def release(self, buffer: bytearray) -> None:
        """Return a buffer, which nobody may use any longer, to the pool."""
        if (len(self._free) + 1) * len(buffer) <= MAX_FREE_BYTES:
            self._free.append(buffer)
