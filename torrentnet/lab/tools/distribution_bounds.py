"""How fast a file can be spread at best: the textbook's two distribution times, for a scenario with uplinks.

J. F. Kurose and K. W. Ross, "Computer Networking: A Top-Down Approach", on peer-to-peer file distribution; with several
seeds and unequal peers: R. Kumar and K. W. Ross, "Peer-Assisted File Distribution: The Minimum Distribution Time",
HotWeb 2006. Fluids have no pieces, and no headers: what a lab measures is longer by those at least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.lab.network.desired_state import NetworkState
from torrentnet.lab.scenario.plan import Role

if TYPE_CHECKING:
    from torrentnet.lab.scenario.plan import NodePlan, Plan


@dataclass(frozen=True, slots=True)
class DistributionBounds:
    """Seconds until the last leecher has the whole file, at best."""

    client_server: float
    """Where only the seeds send: N F / us."""
    p2p: float
    """Where everybody sends: max(F / us, N F / (us + the leechers' uploads))."""


def distribution_times(size: float, seeds: float, leechers: list[float]) -> DistributionBounds:
    """The two bounds for a file of ``size`` bits, the seeds' upload together and each leecher's, in bits a second."""
    wanted = len(leechers) * size
    return DistributionBounds(wanted / seeds, max(size / seeds, wanted / (seeds + sum(leechers))))


def distribution_bounds(plan: Plan) -> DistributionBounds | None:
    """The bounds of a scenario; None unless it has one file and its ``links`` give every peer an ``uplink``."""
    seeds = [node for node in plan.nodes if node.role is Role.SHARE]
    leechers = [node for node in plan.nodes if node.role is Role.GET]
    if len(plan.files) != 1 or not seeds or not leechers:
        return None
    file = plan.files[0]
    size = file.size if file.size is not None else file.source.stat().st_size if file.source is not None else 0
    uplinks = _uplinks(plan)
    if not size or any(node.name not in uplinks for node in (*seeds, *leechers)):
        return None
    return distribution_times(
        8.0 * size, sum(uplinks[node.name] for node in seeds), [uplinks[node.name] for node in leechers]
    )


def _uplinks(plan: Plan) -> dict[str, float]:
    state = NetworkState()
    for patch in plan.links:
        state, _ = state.add(patch)
    return {pair[0]: asked.uplink for pair, asked in state.links().items() if asked.uplink}


def uses_swarm_strategy(node: NodePlan) -> bool:
    """Whether a peer takes pieces from everybody, so that the P2P bound is the one to be held against."""
    return "swarm" in node.arguments
