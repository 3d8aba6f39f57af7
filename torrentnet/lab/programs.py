"""The command lines of the programs that nodes run: all that the lab knows of them beside their event lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.engines.base import CommandLines, NodeSpec, Place
from torrentnet.lab.plan import NodePlan, Plan, Role

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACKER_PORT = 6771
PEER_PORT = 6881


def node_specs(plan: Plan) -> tuple[NodeSpec, ...]:
    """What an engine has to know of each node."""
    return tuple(NodeSpec(node.name, str(node.role), node.role is Role.SHARE, node.disk) for node in plan.nodes)


def command_lines(plan: Plan) -> CommandLines:
    """Each node's command line, once its place is known."""
    tracker = next(node.name for node in plan.nodes if node.role is Role.TRACKER)

    def commands(places: Mapping[str, Place]) -> dict[str, tuple[str, ...]]:
        meet = f"{places[tracker].address}:{TRACKER_PORT}"
        return {node.name: _command(node, places[node.name], meet) for node in plan.nodes}

    return commands


def _command(node: NodePlan, place: Place, tracker: str) -> tuple[str, ...]:
    if node.role is Role.TRACKER:
        return ("tracker.py", tracker, "--name", node.name, "--state", place.data, *node.arguments)
    listen = f"{place.address}:{PEER_PORT}"
    directory, _, file = file_path(node, place).rpartition("/")
    own = ("--name", node.name, "--dir", directory, *node.arguments)
    return ("peer.py", str(node.role), file, tracker, listen, *own)


def file_path(node: NodePlan, place: Place) -> str:
    """Where a peer keeps its file, as the node sees it. The last part of the path is the file's name on the network."""
    directory = place.files if node.role is Role.SHARE else place.data
    return f"{directory}/{node.file}"
