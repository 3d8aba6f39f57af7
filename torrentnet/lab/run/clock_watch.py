"""The watch on a lab's own process: whether it, or the whole machine, stood still.

A lab that is stopped (SIGSTOP, a debugger), starved or suspended is late with its events and its queries. What fails
then may fail for that reason.

Tested by tests/unit/lab/run/test_clock_watch.py.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.steady import STEADY, seconds_suspended
from torrentnet.runtime.signals import block_signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.lab.engines.steady import SteadyClock

INTERVAL: Final = 0.2
MAX_LATENESS: Final = 2.0
"""Seconds that this thread may be late on a busy machine."""
MIN_SUSPENSION: Final = 0.5
JOIN_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Standstill:
    """A time in which this process did nothing."""

    begin: float
    """On the steady clock."""
    seconds: float
    suspended: bool
    """Whether the whole machine was suspended; its steady clock stood still, too."""

    def text(self, zero: float) -> str:
        """Return what happened, for a person; ``zero`` is t = 0."""
        who = "the machine was suspended" if self.suspended else "the lab's own process stood still"
        return f"{who} for {self.seconds:.1f} s at {max(0.0, self.begin - zero):.1f} s"


class ClockWatch:
    """Looks at the clocks all the time, on a thread of its own."""

    def __init__(self, clock: SteadyClock = STEADY, suspended: Callable[[], float] = seconds_suspended) -> None:
        self._clock = clock
        self._suspended = suspended
        self._began = self._seen = clock.now()
        self._slept = suspended()
        self._standstills: list[Standstill] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._began = self._seen = self._clock.now()
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_TIMEOUT)

    def look(self) -> None:
        """Look at the clocks; called once in INTERVAL, until the end of the watch."""
        if self._closing.is_set():
            return
        self._clock.check()
        now, slept = self._clock.now(), self._suspended()
        if slept - self._slept > MIN_SUSPENSION:
            self._standstills.append(Standstill(self._seen, slept - self._slept, suspended=True))
        if now - self._seen > INTERVAL + MAX_LATENESS:
            self._standstills.append(Standstill(self._seen, now - self._seen, suspended=False))
        self._seen, self._slept = now, slept

    def standstills(self, zero: float) -> list[str]:
        """Return each standstill so far, for a person; ``zero`` is t = 0."""
        return [one.text(zero) for one in list(self._standstills)]

    def steps(self, zero: float) -> list[str]:
        """Return each step of the time of day so far, for a person; ``zero`` is t = 0."""
        return [
            f"the time of day was set {abs(size):.2f} s {'forward' if size > 0 else 'back'} at {at:.1f} s"
            for at, size in ((max(0.0, at - zero), size) for at, size in self._clock.steps(self._began))
        ]

    def _run(self) -> None:
        block_signals()
        while not self._closing.wait(INTERVAL):
            self.look()
