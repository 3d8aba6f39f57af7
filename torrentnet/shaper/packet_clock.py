"""From the clock of the kernel's time stamps to the one that we wait by."""

import time
from collections.abc import Callable

MAX_AGE_NS = 1_000_000_000
"""Older than this no packet is when we get it: then the clock was set, and its time stamp means nothing."""
SHARP_NS = 20_000
"""A reading of both clocks that took longer was interrupted in the middle, and says nothing of the distance."""
ATTEMPTS = 4


class PacketClock:
    """Translates CLOCK_REALTIME, in which the kernel stamps packets, into CLOCK_MONOTONIC.

    Knowing when the packet came in, and not only when we were woken for it, takes our own slowness out of its delay.
    """

    def __init__(
        self, steady_ns: Callable[[], int] = time.monotonic_ns, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._steady_ns = steady_ns
        self._wall_ns = wall_ns
        self._distance_ns: int | None = None
        self.stamped = False
        """Whether the last packet had a time stamp."""

    def steady(self, received_ns: int | None) -> int:
        """When a packet came in, on the steady clock; now, when it has no time stamp or one that cannot be."""
        self.stamped = received_ns is not None
        if received_ns is None:
            return self._steady_ns()
        for _ in range(ATTEMPTS):
            before = self._steady_ns()
            wall = self._wall_ns()
            now = self._steady_ns()
            if now - before <= SHARP_NS or self._distance_ns is None:
                self._distance_ns = wall - before
                if now - before <= SHARP_NS:
                    break
        at = received_ns - (self._distance_ns or 0)
        return at if now - MAX_AGE_NS <= at <= now else now
