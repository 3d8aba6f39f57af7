"""How fast a source's bytes come: of late, over the last seconds, and while a piece was coming."""

from __future__ import annotations

SAMPLE_INTERVAL = 0.25
"""Seconds between two looks at the rate."""
SLOW_WINDOW = 3.0
"""Seconds over which a source must be slow to count as slow."""


class RateMeter:
    """Bytes a second of one source. Each method takes the bytes received so far, and the time."""

    def __init__(self) -> None:
        self.rate = 0.0
        """Of late, while something was asked for; 0 until it was looked at."""
        self.speed = 0.0
        """At which the last pieces came, once they had begun to; 0 while none has."""
        self._last: tuple[float, int] = (0.0, 0)
        self._slow_since: tuple[float, int] | None = None

    def begin(self, received: int, now: float) -> None:
        """Something is asked for, and nothing was before."""
        self._last = (now, received)

    def look(self, received: int, now: float) -> None:
        """A block has come."""
        since, then = self._last
        if now - since < SAMPLE_INTERVAL:
            return
        seen = (received - then) / (now - since)
        self.rate = seen if not self.rate else (self.rate + seen) / 2
        self._last = (now, received)

    def came(self, count: int, seconds: float) -> None:
        """``count`` bytes of a piece came in so many seconds, one right after the other."""
        seen = count / max(seconds, 1e-6)
        self.speed = (self.speed + seen) / 2 if self.speed else seen

    def idle(self) -> None:
        """It has nothing to send: what comes now tells nothing."""
        self._slow_since = None

    def slow(self, received: int, least: float, now: float) -> float | None:
        """Bytes a second over the last seconds, if they are below ``least`` and it was never idle meanwhile."""
        if self._slow_since is None:
            self._slow_since = (now, received)
            return None
        since, then = self._slow_since
        # Not "now - since": when it is due, rounding must not say that it is not.
        if now < since + SLOW_WINDOW:
            return None
        rate = (received - then) / (now - since)
        self._slow_since = (now, received)
        return rate if rate < least else None

    def slow_due(self) -> float | None:
        """When :meth:`slow` can tell."""
        return None if self._slow_since is None else self._slow_since[0] + SLOW_WINDOW
