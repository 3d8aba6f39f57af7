"""The picture of a scenario's network, from its plan.

Tested by tests/unit/lab/report/graph/test_pictures.py.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from torrentnet.lab.network.desired_state import NetworkState
from torrentnet.lab.report.graph.network_graph import GraphNode, build_graph
from torrentnet.lab.scenario.language.scalars import format_size
from torrentnet.lab.scenario.plan.plan import NodeProgram

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torrentnet.lab.report.graph.network_graph import NetworkGraph
    from torrentnet.lab.scenario.plan.plan import NodePlan, Plan
    from torrentnet.lab.scenario.qualities import LinkOverride

SHOWN_OPTIONS: Final = {
    "--upload-rate": "upload",
    "--piece-length": "pieces of",
    "--strategy": "strategy",
    "--keepalive": "keepalive",
    "--timeout": "timeout",
}
"""Options of our programs that a picture shows, with the words for them."""


def plan_graph(plan: Plan) -> NetworkGraph:
    """Return the picture of a scenario at t = 0."""
    nodes = [_node(node) for node in plan.nodes]
    files = [
        (file.name.rpartition("/")[2], size_text(file.content) if isinstance(file.content, int) else "")
        for file in plan.files
    ]
    return build_graph(plan.name, plan.about, nodes, network_of(plan.links).links(), files=dict(files).items())


def network_of(overrides: Iterable[LinkOverride]) -> NetworkState:
    """Return the network in which some overrides are in force, the latest last."""
    state = NetworkState()
    for override in overrides:
        state, _ = state.add(override)
    return state


def shown_settings(arguments: Sequence[str], start: float) -> tuple[str, ...]:
    """Return the settings of a node's command line that a picture shows."""
    pairs = itertools.pairwise(arguments)
    found = [f"{SHOWN_OPTIONS[option]} {value}" for option, value in pairs if option in SHOWN_OPTIONS]
    return (*found, f"starts at {start:g}s") if start > 0 else tuple(found)


def _node(node: NodePlan) -> GraphNode:
    other = node.foreign.name if node.foreign is not None else str(node.program)
    return GraphNode(
        name=node.name,
        group=node.group,
        role=str(node.role),
        file=(node.file or "").rpartition("/")[2],
        program="" if node.program is NodeProgram.OURS else other,
        settings=shown_settings(node.arguments, node.start),
    )


def size_text(size: int) -> str:
    """Return ``8MiB`` or ``4MB``, as a scenario writes it."""
    return f"{size // 1_000_000}MB" if size and size % 1_000_000 == 0 else format_size(size)
