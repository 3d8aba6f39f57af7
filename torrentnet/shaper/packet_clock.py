"""Conversion of the kernel's packet timestamps to the daemon's clock.

This is the clock that the daemon waits on.
"""

import time
from collections.abc import Callable
from typing import Final

MAX_AGE_NS: Final = 1_000_000_000
"""No packet is older than this when it is received; a timestamp that is older means that the clock was changed."""
MAX_READING_NS: Final = 20_000
"""A reading of both clocks that took longer was interrupted: the difference between its two times is wrong."""
ATTEMPTS: Final = 4


class PacketClock:
    """Converter from the clock of packet timestamps to CLOCK_MONOTONIC.

    The kernel's clock for packet timestamps is CLOCK_REALTIME.

    A delay that counts from the arrival of the packet does not include the daemon's own latency.
    """

    def __init__(
        self, monotonic_ns: Callable[[], int] = time.monotonic_ns, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._wall_ns = wall_ns
        self._difference_ns: int | None = None
        self.stamped = False
        """Whether the last packet had a timestamp."""

    def arrival_ns(self, received_ns: int | None) -> int:
        """Return when a packet arrived, on the monotonic clock.

        The result is now where the packet has no timestamp or an impossible one.
        """
        self.stamped = received_ns is not None
        if received_ns is None:
            return self._monotonic_ns()
        for _ in range(ATTEMPTS):
            before = self._monotonic_ns()
            wall = self._wall_ns()
            now = self._monotonic_ns()
            if now - before <= MAX_READING_NS or self._difference_ns is None:
                self._difference_ns = wall - before
                if now - before <= MAX_READING_NS:
                    break
        at = received_ns - (self._difference_ns or 0)
        return at if now - MAX_AGE_NS <= at <= now else now
