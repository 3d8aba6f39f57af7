"""A file's distribution: completion times and the textbook's lower bounds.

Each leecher has its own completion time. See :mod:`torrentnet.lab.report.distribution_bounds`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.lab.network.desired_state import NetworkState
from torrentnet.lab.report.distribution_bounds import DistributionBounds, distribution_times
from torrentnet.lab.scenario.plan.plan import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torrentnet.lab.network.counters import Counters
    from torrentnet.lab.run.lab_state import LabState
    from torrentnet.lab.scenario.plan.plan import NodePlan, Plan
    from torrentnet.lab.scenario.qualities import Pair


@dataclass(frozen=True, slots=True)
class Distribution:
    """The distribution of a file from the seeds to the leechers."""

    began: float | None
    """Seconds since the epoch at which a leecher was up while a seeder shared the file, for the first time; None for
    never."""
    done: Mapping[str, float]
    """Node -> seconds from ``began`` until the leecher was complete; leechers that did not complete are missing."""
    leechers: int
    late: int
    """Leechers that were not up yet when the distribution began."""
    seeds_sent: int | None = None
    """Bytes on the wire that the seeds sent, as the links' queues counted them; None where no link is shaped."""
    leechers_sent: int | None = None
    """The same for the leechers."""

    @property
    def first(self) -> float | None:
        """Seconds until the first leecher was complete."""
        return min(self.done.values(), default=None)

    @property
    def last(self) -> float | None:
        """Seconds until the last leecher was complete; None while one is not."""
        return max(self.done.values()) if len(self.done) == self.leechers else None


def measure_distribution(
    plan: Plan, lab_state: LabState, count_links: Callable[[], Mapping[Pair, Counters]]
) -> Distribution:
    """Return the distribution that the nodes' events describe.

    ``count_links`` returns the counters of the links.
    """
    leechers = [node.name for node in plan.nodes if node.role is Role.GET]
    seeds = [node.name for node in plan.nodes if node.role is Role.SHARE]
    up = {name: event.time for name in leechers if (event := lab_state.first(name, "listening"))}
    complete = {name: event.time for name in leechers if (event := lab_state.first(name, "completed"))}
    began: float | None = None
    if up:
        first_up = min(up.values())
        intervals = (interval for name in seeds for interval in _sharing_intervals(lab_state, name))
        began = min((max(first_up, since) for since, until in intervals if until > first_up), default=None)
    counted = count_links()
    return Distribution(
        began=began,
        done={} if began is None else {name: time - began for name, time in complete.items()},
        leechers=len(leechers),
        late=0 if began is None else sum(name not in up or up[name] > began for name in leechers),
        seeds_sent=_bytes_sent(counted, seeds),
        leechers_sent=_bytes_sent(counted, leechers),
    )


def _sharing_intervals(lab_state: LabState, seed: str) -> Iterator[tuple[float, float]]:
    """Yield the intervals in which a seed shared its file.

    Each start of the seed's program has one interval: its begin and its end.
    """
    ends = [change.time for change in lab_state.exits(seed)]
    for event in lab_state.events(seed, "published"):
        yield event.time, min((end for end in ends if end > event.time), default=math.inf)


def _bytes_sent(counted: Mapping[Pair, Counters], nodes: list[str]) -> int | None:
    found = [counters.sent_bytes for pair, counters in counted.items() if pair[0] in nodes]
    return sum(found) if any(found) else None


# -- the bounds ---------------------------------------------------------------------------------


def distribution_bounds(plan: Plan) -> DistributionBounds | None:
    """Return a scenario's bounds; None where they are not defined.

    The bounds need a scenario with one file and ``links`` that give every peer an ``uplink``.
    """
    seeds = [node for node in plan.nodes if node.role is Role.SHARE]
    leechers = [node for node in plan.nodes if node.role is Role.GET]
    if len(plan.files) != 1 or not seeds or not leechers:
        return None
    file = plan.files[0]
    size = file.content if isinstance(file.content, int) else file.content.stat().st_size
    uplinks = _uplinks(plan)
    if not size or any(node.name not in uplinks for node in (*seeds, *leechers)):
        return None
    return distribution_times(
        8.0 * size, sum(uplinks[node.name] for node in seeds), [uplinks[node.name] for node in leechers]
    )


def _uplinks(plan: Plan) -> dict[str, float]:
    state = NetworkState()
    for override in plan.links:
        state, _ = state.add(override)
    return {pair[0]: qualities.uplink for pair, qualities in state.links().items() if qualities.uplink}


def uses_swarm_strategy(node: NodePlan) -> bool:
    """Return whether a peer downloads from several peers.

    The P2P bound then applies.
    """
    return "swarm" in node.arguments
