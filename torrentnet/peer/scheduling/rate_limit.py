"""The limit of the upload rate."""

from __future__ import annotations

from typing import Final

UNLIMITED_BUDGET: Final = 1 << 20
"""Bytes that one connection may send at a time without a limit, so that the others are served too."""
_BURST_SECONDS: Final = 0.05
_MIN_BURST: Final = 4 * 1024
MIN_PAUSE: Final = 0.01
"""Shortest time to sleep."""


class RateLimit:
    """A token bucket that is filled with ``rate`` bytes a second; None for no limit."""

    def __init__(self, rate: float | None, now: float) -> None:
        self._rate = rate
        self._tokens = 0.0
        self._filled_at = now

    def budget(self, now: float) -> int:
        """Return the bytes that may be sent now."""
        if self._rate is None:
            return UNLIMITED_BUDGET
        burst = max(self._rate * _BURST_SECONDS, _MIN_BURST)
        self._tokens = min(burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return max(0, int(self._tokens))

    def spend(self, count: int) -> None:
        """Count sent bytes."""
        if self._rate is not None:
            self._tokens -= count

    def pause(self) -> float:
        """Return how long to sleep until bytes may be sent."""
        if self._rate is None:
            return 0.0
        return max(MIN_PAUSE, -self._tokens / self._rate)
