"""The order of a record's events: that of their times, a cause before its effect.

Several threads report what happened, some a moment later than others. Each event waits a little for earlier ones.
"""

from __future__ import annotations

import heapq
from typing import Final

HOLD: Final = 2.0
"""Seconds that an event waits for earlier ones; a line may arrive so late on a busy machine."""


class EventOrder:
    """Events that wait to be written. Not thread-safe."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, str]] = []
        self._count = 0
        self.chars = 0
        """Characters of all lines that wait."""

    def add(self, moment: float, line: str) -> None:
        """Add the line of an event that happened at a moment."""
        self._count += 1
        self.chars += len(line)
        heapq.heappush(self._waiting, (moment, self._count, line))

    def take(self, until: float = float("inf")) -> list[str]:
        """Remove and return the lines of the events until a moment, in order."""
        taken = []
        while self._waiting and self._waiting[0][0] <= until:
            taken.append(heapq.heappop(self._waiting)[2])
            self.chars -= len(taken[-1])
        return taken

    def due(self, now: float) -> bool:
        """Return whether an event has waited long enough."""
        return bool(self._waiting) and self._waiting[0][0] + HOLD <= now

    def wait_time(self, now: float) -> float | None:
        """Return how long the earliest event still waits; None where there is none."""
        return max(0.0, self._waiting[0][0] + HOLD - now) if self._waiting else None
