"""The one clock by which a lab places what happens.

The clock shows seconds since the epoch and is never set: it is the machine's monotonic clock, plus the time of day at
its start. The time of day itself steps when somebody or a time server sets it. It is for people, and for the stamps of
engines that have nothing else: :meth:`SteadyClock.place` converts these, whatever steps there were.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_STEPS: Final = 256
"""Steps of the time of day that are remembered."""
MIN_STEP: Final = 0.01
"""Smaller differences between two comparisons of the clocks are imprecision."""
MAX_READING: Final = 0.001
READINGS: Final = 5
"""A comparison that took longer than MAX_READING is repeated, so often."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the time of day."""

    earliest: float
    """On the steady clock: the time of day had not been set yet."""
    latest: float
    """It had been set by then."""
    offset: float
    """The time of day minus the steady clock, from then on."""


class SteadyClock:
    """A clock that is never set. Thread-safe.

    ``monotonic`` and ``time_of_day`` read the machine's clocks.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, time_of_day: Callable[[], float] = time.time
    ) -> None:
        self._monotonic = monotonic
        self._time_of_day = time_of_day
        self._lock = threading.Lock()
        self._origin = 0.0
        self._origin = self._compare()[1]
        self._compared = self.now()
        self._steps = deque([Step(-math.inf, -math.inf, 0.0)], MAX_STEPS)

    def now(self) -> float:
        """Return the seconds since the epoch, as if the time of day had not been set."""
        return self._origin + self._monotonic()

    def of_monotonic(self, monotonic: float) -> float:
        """Convert a time of the machine's monotonic clock."""
        return self._origin + monotonic

    def check(self) -> None:
        """Compare the clocks, to find a step soon after it."""
        with self._lock:
            now, offset = self._compare()
            before, self._compared = self._compared, now
            if abs(offset - self._steps[-1].offset) >= MIN_STEP:
                self._steps.append(Step(before, now, offset))

    def steps(self, since: float) -> list[tuple[float, float]]:
        """Return when the time of day was set since a moment, and by how much."""
        with self._lock:
            steps = list(self._steps)
        sizes = [(step.latest, step.offset - before.offset) for before, step in pairwise(steps)]
        return [(latest, size) for latest, size in sizes if latest >= since]

    def place(self, stamp: float, not_before: float = -math.inf) -> float:
        """Return when the time of day was ``stamp``, as a time of this clock.

        The result is in the past, and not before another moment. It is the last such time where there were several,
        and now where there was none, because another machine has made the stamp.
        """
        self.check()
        with self._lock:
            steps, now = list(self._steps), self._compared
        latest = now
        for step in reversed(steps):
            moment = stamp - step.offset
            if max(step.earliest, not_before) - MIN_STEP <= moment <= latest + MIN_STEP:
                return min(max(moment, not_before), now)
            latest = step.latest
        return max(now, not_before)

    def time_of_day(self, moment: float) -> float:
        """Return what the time of day was, or will be, at a moment of this clock."""
        self.check()
        with self._lock:
            steps = list(self._steps)
        return moment + steps[max(0, bisect_right(steps, moment, key=lambda step: step.latest) - 1)].offset

    def _compare(self) -> tuple[float, float]:
        """Return the time of this clock, and the time of day minus that."""
        best = math.inf
        moment = offset = 0.0
        for _ in range(READINGS):
            before = self.now()
            time_of_day = self._time_of_day()
            took = self.now() - before
            if took < best:
                best, moment = took, before + took / 2
                offset = time_of_day - moment
            if took <= MAX_READING:
                break
        return moment, offset


STEADY: Final = SteadyClock()
"""The clock of this process. Every time of a lab is a time of this clock."""


@dataclass(frozen=True, slots=True)
class EngineStamps:
    """The times of day that an engine writes beside what happens."""

    same_machine: bool
    """Whether the engine reads the time of day of this machine; nothing is known of another one's."""
    clock: SteadyClock = STEADY

    def place(self, stamp: float, not_before: float) -> float:
        """Return when something happened: now, where its stamp says nothing."""
        return self.clock.place(stamp, not_before) if self.same_machine else max(self.clock.now(), not_before)

    def comparable(self, since: float) -> bool:
        """Return whether later stamps are larger than those of a moment."""
        return self.same_machine and not self.clock.steps(since)


def seconds_suspended() -> float:
    """Return how long this machine has been suspended since its boot.

    The result is 0 where the machine cannot tell.
    """
    with contextlib.suppress(AttributeError, OSError):
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC))
    return 0.0
