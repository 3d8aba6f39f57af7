"""A stop request that wakes a loop blocked in select().

Tested by tests/unit/adapters/test_node.py.
"""

from __future__ import annotations

import contextlib
import os


class StopRequest:
    """A flag that any thread or signal handler can set.

    :attr:`reason` is None until the request; :attr:`descriptor` is readable from the request on.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.descriptor, self._write_end = os.pipe()
        for end in (self.descriptor, self._write_end):
            os.set_blocking(end, False)

    def request(self, reason: str) -> None:
        """Request the stop; the first reason is kept. Safe after :meth:`close`."""
        if self.reason is None:
            self.reason = reason
        # A full pipe is readable anyway; a closed one has no reader left.
        with contextlib.suppress(OSError):
            os.write(self._write_end, b"\0")

    def close(self) -> None:
        """Release the descriptors; call it when the loop has ended."""
        os.close(self.descriptor)
