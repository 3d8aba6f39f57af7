"""The command line of each node's program.

Apart from the event lines, this is all that the lab knows of the programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.types import CommandLineBuilder, NodeLocation, NodeSpec
from torrentnet.lab.scenario.plan.plan import NodePlan, NodeProgram, Plan, Role

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACKER_PORT: Final = 6771
PEER_PORT: Final = 6881
TORRENTS_FOLDER: Final = ".torrents"
"""In the directory of the lab's files."""


def torrent_path(file: str) -> str:
    """Return the path of a file's .torrent, relative to the lab's directory of files."""
    return f"{TORRENTS_FOLDER}/{file}.torrent"


def node_specs(plan: Plan) -> tuple[NodeSpec, ...]:
    """Return what an engine has to know of each node."""
    return tuple(
        NodeSpec(
            node.name,
            str(node.role),
            wants_files=node.role is Role.SHARE,
            limits=node.limits,
            wants_torrents=bool(node.torrents),
            program="" if node.program is NodeProgram.OURS else str(node.program),
        )
        for node in plan.nodes
    )


def command_lines(plan: Plan) -> CommandLineBuilder:
    """Return what builds each node's command line once the locations are known."""
    tracker = next(node.name for node in plan.nodes if node.role is Role.TRACKER)

    def build(locations: Mapping[str, NodeLocation]) -> dict[str, tuple[str, ...]]:
        endpoint = f"{locations[tracker].address}:{TRACKER_PORT}"
        return {node.name: _command(node, locations[node.name], endpoint) for node in plan.nodes}

    return build


def _command(node: NodePlan, location: NodeLocation, tracker: str) -> tuple[str, ...]:
    """Return one node's command line.

    ``client PROGRAM`` accepts the same arguments as our own programs.
    """
    foreign = node.program is not NodeProgram.OURS
    torrents = [word for file in node.torrents for word in ("--torrent", f"{location.files}/{torrent_path(file)}")]
    state = ("--state", f"{location.data}/.{node.program}") if foreign else ()
    if node.role is Role.TRACKER:
        program = ("client", str(node.program)) if foreign else ("tracker.py",)
        own = (*(state or ("--state", location.data)), *torrents, *node.arguments)
        return (*program, tracker, "--name", node.name, *own)
    program = ("client", str(node.program)) if foreign else ("peer.py",)
    listen = f"{location.address}:{PEER_PORT}"
    directory, _, file = file_path(node, location).rpartition("/")
    own = ("--name", node.name, "--dir", directory, *state, *torrents, *node.arguments)
    return (*program, str(node.role), file, tracker, listen, *own)


def file_path(node: NodePlan, location: NodeLocation) -> str:
    """Return the path of a peer's file, as the node sees it.

    Its last part is the file's name in the swarm.
    """
    directory = location.files if node.role is Role.SHARE else location.data
    return f"{directory}/{node.file}"
