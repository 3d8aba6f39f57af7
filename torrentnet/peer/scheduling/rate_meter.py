"""How fast the data of one source comes.

Tested by tests/unit/peer/transfer/test_source_fetcher.py.
"""

from __future__ import annotations

from typing import Final

SAMPLE_INTERVAL: Final = 0.25
SLOW_WINDOW: Final = 3.0
"""Seconds over which a source must be slow to count as slow."""


class RateMeter:
    """Rates of one source, in bytes a second; ``received``: bytes received so far."""

    def __init__(self) -> None:
        self.rate = 0.0
        """Recent rate while requests were open; 0 until it is measured."""
        self.piece_rate = 0.0
        """Rate of the last pieces from their first block to their last; 0 until it is measured."""
        self._sampled: tuple[float, int] = (0.0, 0)
        self._slow_since: tuple[float, int] | None = None

    def restart(self, received: int, now: float) -> None:
        """A request is open, after none was."""
        self._sampled = (now, received)

    def sample(self, received: int, now: float) -> None:
        """A block was received."""
        since, before = self._sampled
        if now - since < SAMPLE_INTERVAL:
            return
        measured = (received - before) / (now - since)
        self.rate = measured if not self.rate else (self.rate + measured) / 2
        self._sampled = (now, received)

    def piece_received(self, count: int, elapsed: float) -> None:
        """``count`` bytes of a piece came in ``elapsed`` seconds."""
        measured = count / max(elapsed, 1e-6)
        self.piece_rate = (self.piece_rate + measured) / 2 if self.piece_rate else measured

    def idle(self) -> None:
        """The source has nothing to send: its rate means nothing."""
        self._slow_since = None

    def slow_rate(self, received: int, min_rate: float, now: float) -> float | None:
        """Return the last rate of a busy source if it is below ``min_rate``."""
        if self._slow_since is None:
            self._slow_since = (now, received)
            return None
        since, before = self._slow_since
        # Not "now - since": rounding must not make a due check early.
        if now < since + SLOW_WINDOW:
            return None
        rate = (received - before) / (now - since)
        self._slow_since = (now, received)
        return rate if rate < min_rate else None

    def slow_due(self) -> float | None:
        """When :meth:`slow_rate` returns the next rate."""
        return None if self._slow_since is None else self._slow_since[0] + SLOW_WINDOW
