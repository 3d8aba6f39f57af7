"""The command lines of the programs that nodes run: all that the lab knows of them beside their event lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.engines.types import CommandLineBuilder, NodeLocation, NodeSpec
from torrentnet.lab.scenario.plan import NodePlan, NodeProgram, Plan, Role

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACKER_PORT = 6771
PEER_PORT = 6881
TORRENTS_FOLDER = ".torrents"
"""In the lab's directory of files."""


def node_specs(plan: Plan) -> tuple[NodeSpec, ...]:
    """What an engine has to know of each node."""
    return tuple(
        NodeSpec(
            node.name,
            str(node.role),
            wants_files=node.role is Role.SHARE,
            disk=node.disk,
            wants_torrents=bool(node.torrents),
            program="" if node.program is NodeProgram.OURS else str(node.program),
        )
        for node in plan.nodes
    )


def command_lines(plan: Plan) -> CommandLineBuilder:
    """Each node's command line, once its place is known."""
    tracker = next(node.name for node in plan.nodes if node.role is Role.TRACKER)

    def commands(places: Mapping[str, NodeLocation]) -> dict[str, tuple[str, ...]]:
        meet = f"{places[tracker].address}:{TRACKER_PORT}"
        return {node.name: _command(node, places[node.name], meet) for node in plan.nodes}

    return commands


def _command(node: NodePlan, place: NodeLocation, tracker: str) -> tuple[str, ...]:
    """``client PROGRAM`` takes the words of our own programs."""
    foreign = node.program is not NodeProgram.OURS
    given = [word for file in node.torrents for word in ("--torrent", f"{place.files}/{torrent_path(file)}")]
    state = ("--state", f"{place.data}/.{node.program}") if foreign else ()
    if node.role is Role.TRACKER:
        program = ("client", str(node.program)) if foreign else ("tracker.py",)
        own = (*(state or ("--state", place.data)), *given, *node.arguments)
        return (*program, tracker, "--name", node.name, *own)
    program = ("client", str(node.program)) if foreign else ("peer.py",)
    listen = f"{place.address}:{PEER_PORT}"
    directory, _, file = file_path(node, place).rpartition("/")
    own = ("--name", node.name, "--dir", directory, *state, *given, *node.arguments)
    return (*program, str(node.role), file, tracker, listen, *own)


def file_path(node: NodePlan, place: NodeLocation) -> str:
    """Where a peer keeps its file, as the node sees it. The last part of the path is the file's name on the network."""
    directory = place.files if node.role is Role.SHARE else place.data
    return f"{directory}/{node.file}"


def torrent_path(file: str) -> str:
    """Return the path of a file's .torrent, relative to the directory of files."""
    return f"{TORRENTS_FOLDER}/{file}.torrent"
