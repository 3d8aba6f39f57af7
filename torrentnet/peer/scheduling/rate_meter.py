"""Measure the rate at which one source sends.

Tested by tests/unit/peer/transfer/test_source_fetcher.py.
"""

from __future__ import annotations

from typing import Final

SAMPLE_INTERVAL: Final = 0.25
SLOW_WINDOW: Final = 3.0
"""Seconds over which the rate of a slow source is measured."""


class RateMeter:
    """Rates of one source, in bytes a second; ``received`` counts its bytes."""

    def __init__(self) -> None:
        self.rate = 0.0
        """Recent rate while requests were open; 0 before the first measurement."""
        self.piece_rate = 0.0
        """Rate of the last pieces, from first to last block; 0 before the first measurement."""
        self._sampled: tuple[float, int] = (0.0, 0)
        self._slow_since: tuple[float, int] | None = None

    def restart(self, received: int, now: float) -> None:
        """Start to measure: a request is open again."""
        self._sampled = (now, received)

    def sample(self, received: int, now: float) -> None:
        """Update :attr:`rate` after a block, at most once in :data:`SAMPLE_INTERVAL`."""
        since, before = self._sampled
        if now - since < SAMPLE_INTERVAL:
            return
        measured = (received - before) / (now - since)
        self.rate = measured if not self.rate else (self.rate + measured) / 2
        self._sampled = (now, received)

    def piece_received(self, count: int, elapsed: float) -> None:
        """Update :attr:`piece_rate` with ``count`` bytes received in ``elapsed`` seconds."""
        measured = count / max(elapsed, 1e-6)
        self.piece_rate = (self.piece_rate + measured) / 2 if self.piece_rate else measured

    def idle(self) -> None:
        """Discard the measurement: the source has nothing to send."""
        self._slow_since = None

    def slow_rate(self, received: int, min_rate: float, now: float) -> float | None:
        """Return the rate of the last :data:`SLOW_WINDOW` if it is below ``min_rate``."""
        if self._slow_since is None:
            self._slow_since = (now, received)
            return None
        since, before = self._slow_since
        # The same sum as in slow_due(): with "now - since", rounding could make a due check early.
        if now < since + SLOW_WINDOW:
            return None
        rate = (received - before) / (now - since)
        self._slow_since = (now, received)
        return rate if rate < min_rate else None

    def slow_due(self) -> float | None:
        """Return when the window of :meth:`slow_rate` ends; None if it is not measuring."""
        return None if self._slow_since is None else self._slow_since[0] + SLOW_WINDOW
