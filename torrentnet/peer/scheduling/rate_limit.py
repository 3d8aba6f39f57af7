"""An upload limit: bytes may be sent as fast as a bucket fills."""

from __future__ import annotations

UNLIMITED_BUDGET = 1 << 20
"""Bytes that one connection may send at a turn without a limit, so that all get theirs."""
_BURST_SECONDS = 0.05
_MIN_BURST = 4 * 1024
MIN_PAUSE = 0.01
"""Seconds between two fillings that are worth waking up for."""


class RateLimit:
    """A token bucket. ``rate`` is bytes a second; None is no limit."""

    def __init__(self, rate: float | None, now: float) -> None:
        self._rate = rate
        self._tokens = 0.0
        self._filled = now

    def budget(self, now: float) -> int:
        """Bytes that may be sent now."""
        if self._rate is None:
            return UNLIMITED_BUDGET
        burst = max(self._rate * _BURST_SECONDS, _MIN_BURST)
        self._tokens = min(burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        return max(0, int(self._tokens))

    def spend(self, count: int) -> None:
        """``count`` bytes were sent."""
        if self._rate is not None:
            self._tokens -= count

    def pause(self) -> float:
        """Seconds until sending is worth while again, after the budget was used up."""
        if self._rate is None:
            return 0.0
        return max(MIN_PAUSE, -self._tokens / self._rate)
