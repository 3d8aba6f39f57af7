"""How a driver is told to end: from any thread or signal handler, while it waits for something else."""

from __future__ import annotations

import contextlib
import os


class StopRequest:
    """Nobody has asked for the end while :attr:`reason` is None; :attr:`asked` becomes readable when somebody does."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.descriptor, self._write_end = os.pipe()
        for end in (self.descriptor, self._write_end):
            os.set_blocking(end, False)

    def request(self, reason: str) -> None:
        """Ask for the end; safe from threads and signal handlers, and after the end."""
        if self.reason is None:
            self.reason = reason
        # Full: it will wake up anyway. Closed: it has ended.
        with contextlib.suppress(OSError):
            os.write(self._write_end, b"\0")

    def close(self) -> None:
        """It has ended."""
        os.close(self.descriptor)
