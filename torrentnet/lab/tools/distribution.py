"""When a lab's leechers had the file, on the clock of the first moment at which they could begin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.plan import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torrentnet.lab.network.counters import Counters
    from torrentnet.lab.run.lab_state import LabState
    from torrentnet.lab.scenario.plan import Plan
    from torrentnet.lab.scenario.qualities import Pair


@dataclass(frozen=True, slots=True)
class Distribution:
    """How a file got from the seeds to the leechers."""

    began: float | None
    """Seconds since the epoch at which a leecher was up and a seeder shared the file, both for the first time together;
    None where that never was."""
    done: Mapping[str, float]
    """Seconds from then on until each leecher had the file whole, by node; those that never had it are not here."""
    leechers: int
    """How many there are."""
    early: int
    """Leechers that were not up yet when it began."""
    seeds_sent: int | None = None
    """Bytes on the wire that the seeds sent, as the links' queues have counted; None where no link is shaped."""
    leechers_sent: int | None = None
    """The same for the leechers."""

    @property
    def first(self) -> float | None:
        """Seconds until the first leecher was ready."""
        return min(self.done.values(), default=None)

    @property
    def last(self) -> float | None:
        """Seconds until the last leecher was ready; None while one is not."""
        return max(self.done.values()) if len(self.done) == self.leechers else None


def measure_distribution(plan: Plan, board: LabState, measure: Callable[[], Mapping[Pair, Counters]]) -> Distribution:
    """What the nodes have said. ``measure`` answers with the counters of the links, as the lab's faults have them."""
    leechers = [node.name for node in plan.nodes if node.role is Role.GET]
    seeds = [node.name for node in plan.nodes if node.role is Role.SHARE]
    up = {name: event.time for name in leechers if (event := board.first(name, "listening"))}
    whole = {name: event.time for name in leechers if (event := board.first(name, "completed"))}
    began: float | None = None
    if up:
        first = min(up.values())
        began = min(
            (max(first, since) for name in seeds for since, until in _sharing_intervals(board, name) if until > first),
            default=None,
        )
    counted = measure()
    return Distribution(
        began=began,
        done={} if began is None else {name: time - began for name, time in whole.items()},
        leechers=len(leechers),
        early=0 if began is None else sum(name not in up or up[name] > began for name in leechers),
        seeds_sent=_bytes_sent(counted, seeds),
        leechers_sent=_bytes_sent(counted, leechers),
    )


def _sharing_intervals(board: LabState, seed: str) -> Iterator[tuple[float, float]]:
    """From when until when a seed shared its file, each time that it was started."""
    ends = [change.time for change in board.ends(seed)]
    for event in board.events(seed, "published"):
        yield event.time, min((end for end in ends if end > event.time), default=math.inf)


def _bytes_sent(counted: Mapping[Pair, Counters], nodes: list[str]) -> int | None:
    found = [counters.sent_bytes for pair, counters in counted.items() if pair[0] in nodes]
    return sum(found) if any(found) else None
