"""Reuse the buffers that pieces are received into: they are still in the CPU's caches."""

from __future__ import annotations

from typing import Final

MAX_FREE_BYTES: Final = 4 * 1024 * 1024
"""Bytes of free buffers to keep."""


class BufferPool:
    """A pool of buffers of one piece each; not thread-safe."""

    def __init__(self) -> None:
        self._free: list[bytearray] = []

    def acquire(self, size: int) -> bytearray:
        """Return a buffer of ``size`` bytes with arbitrary contents."""
        if self._free:
            # The last one released: the others are cold, or have another file's size.
            buffer = self._free.pop()
            if len(buffer) == size:
                return buffer
            self._free.clear()
        return bytearray(size)

    def release(self, buffer: bytearray) -> None:
        """Return a buffer to the pool; nobody may use it any longer."""
        if (len(self._free) + 1) * len(buffer) <= MAX_FREE_BYTES:
            self._free.append(buffer)
