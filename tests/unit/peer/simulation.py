"""Virtual time: a clock and a UDP link for simulated peers.

The clock jumps from event to event, and the link has faults.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

MAX_STEPS_AT_ONCE = 20_000
"""Steps at one moment after which the simulation counts as spinning."""


class Simulation:
    """Scheduled steps in virtual time.

    ``now`` is in seconds and starts far from zero, where a mistake would hide.
    """

    def __init__(self, start: float = 1_000.0) -> None:
        self.now = start
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._steps = 0

    def at(self, time: float, step: Callable[[], None]) -> None:
        """Schedule ``step`` for ``time``, or for now if that is past."""
        heapq.heappush(self._heap, (max(time, self.now), next(self._order), step))

    def after(self, seconds: float, step: Callable[[], None]) -> None:
        """Schedule ``step`` in ``seconds``."""
        self.at(self.now + seconds, step)

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass until ``until`` holds (returns True), or ``seconds`` are over."""
        end = self.now + seconds
        while not until():
            if not self._heap or self._heap[0][0] > end:
                self.now = end
                return until()
            time, _, step = heapq.heappop(self._heap)
            self._steps = self._steps + 1 if time == self.now else 0
            assert self._steps < MAX_STEPS_AT_ONCE, f"the clock stands at {self.now}: something spins"
            self.now = time
            step()
        return True


@dataclass(slots=True)
class Trouble:
    """The faults of a link; chances are from 0 to 1, delays in seconds."""

    loss: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.001
    jitter: float = 0.0
    """Random addition to the delay of each copy: more than the gap between two datagrams reorders them."""
    down: bool = False
    """Whether the link is cut."""


class UdpLink:
    """A UDP link with :class:`Trouble`, which may change at any time."""

    def __init__(self, simulation: Simulation, rng: random.Random, trouble: Trouble | None = None) -> None:
        self._simulation = simulation
        self._rng = rng
        self.trouble = trouble or Trouble()
        self.carried = 0

    def send(self, data: bytes, deliver: Callable[[bytes], None]) -> None:
        """Deliver ``data`` later, never, or twice."""
        trouble, rng = self.trouble, self._rng
        for _ in range(2 if rng.random() < trouble.duplicate else 1):
            if rng.random() >= trouble.loss and not trouble.down:
                self.carried += 1
                delay = trouble.delay + rng.random() * trouble.jitter
                self._simulation.after(delay, lambda: deliver(data))
