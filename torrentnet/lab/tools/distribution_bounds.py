"""The textbook's two lower bounds for the distribution time of a file, for a scenario with uplinks.

J. F. Kurose and K. W. Ross, "Computer Networking: A Top-Down Approach", on peer-to-peer file distribution; with several
seeds and unequal peers: R. Kumar and K. W. Ross, "Peer-Assisted File Distribution: The Minimum Distribution Time",
HotWeb 2006. The model is a fluid without pieces and headers; measured times are longer by these at least.

Tested by tests/unit/lab/tools/test_sweep.py.
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
    """The least seconds until the last leecher has the whole file."""

    client_server: float
    """Where only the seeds send: N F / us."""
    p2p: float
    """Where everybody sends: max(F / us, N F / (us + the leechers' uploads))."""


def distribution_times(size: float, seeds: float, leechers: list[float]) -> DistributionBounds:
    """Return the bounds for ``size`` bits, the seeds' total upload and each leecher's, in bits per second."""
    total = len(leechers) * size
    return DistributionBounds(total / seeds, max(size / seeds, total / (seeds + sum(leechers))))


def distribution_bounds(plan: Plan) -> DistributionBounds | None:
    """Return a scenario's bounds; None unless it has one file and ``links`` that give every peer an ``uplink``."""
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
    """Return whether a peer downloads from several peers, so that the P2P bound applies."""
    return "swarm" in node.arguments
