"""The command line of each node's program.

Apart from the event lines, this is all that the lab knows of the programs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.observer_command import FileFacts, Surroundings, observer_command
from torrentnet.lab.engines.types import CommandLineBuilder, NodeLocation, NodeSpec
from torrentnet.lab.scenario.plan.plan import NodePlan, NodeProgram, Plan, Role
from torrentnet.lab.scenario.plan.program import Addresses

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

TRACKER_PORT: Final = 6771
PEER_PORT: Final = 6881
TORRENTS_FOLDER: Final = ".torrents"
"""In the directory of the lab's files."""
MACHINE: Final = "127.0.0.1"


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
            program="" if node.program in {NodeProgram.OURS, NodeProgram.FOREIGN} else str(node.program),
            foreign=node.foreign,
        )
        for node in plan.nodes
    )


def uses_machine_addresses(node: NodePlan) -> bool:
    """Return whether a node's program is told 127.0.0.1 instead of real addresses."""
    return node.foreign is not None and node.foreign.addresses is Addresses.MACHINE


def listen_ports(nodes: Collection[NodePlan]) -> dict[str, int]:
    """Return the port that each node of a lab is told to listen on.

    On one machine each node needs a port of its own.
    """
    step = 1 if any(map(uses_machine_addresses, nodes)) else 0
    peers = (node.name for node in nodes if node.role is not Role.TRACKER)
    ports = {name: PEER_PORT + step * index for index, name in enumerate(peers)}
    return {node.name: ports.get(node.name, TRACKER_PORT) for node in nodes}


def command_lines(plan: Plan, files: Mapping[str, FileFacts] | None = None) -> CommandLineBuilder:
    """Return what builds each node's command line once the locations are known.

    ``files``: by :attr:`FilePlan.name`, for the observers of programs that the scenario brings along.
    """
    ports = listen_ports(plan.nodes)
    tracker = next((node.name for node in plan.nodes if node.role is Role.TRACKER), None)

    def build(locations: Mapping[str, NodeLocation]) -> dict[str, tuple[str, ...]]:
        real = {name: f"{location.address}:{ports[name]}" for name, location in locations.items()}
        commands = {}
        for node in plan.nodes:
            location = locations[node.name]
            if node.foreign is None:
                commands[node.name] = _command(node, location, real[node.name], real[tracker] if tracker else "")
                continue
            told = {name: f"{MACHINE}:{ports[name]}" for name in ports} if uses_machine_addresses(node) else real
            around = Surroundings(told[node.name], told[tracker] if tracker else "", real)
            file = _located(node, location, (files or {}).get(node.file or ""))
            commands[node.name] = observer_command(node, node.foreign, location, around, file)
        return commands

    return build


def _command(node: NodePlan, location: NodeLocation, listen: str, tracker: str) -> tuple[str, ...]:
    """Return one node's command line.

    ``client PROGRAM`` accepts the same arguments as our own programs.
    """
    foreign = node.program is not NodeProgram.OURS
    torrents = [word for file in node.torrents for word in ("--torrent", f"{location.files}/{torrent_path(file)}")]
    state = ("--state", f"{location.data}/.{node.program}") if foreign else ()
    if node.role is Role.TRACKER:
        program = ("client", str(node.program)) if foreign else ("tracker.py",)
        own = (*(state or ("--state", location.data)), *torrents, *node.arguments)
        return (*program, listen, "--name", node.name, *own)
    program = ("client", str(node.program)) if foreign else ("peer.py",)
    directory, _, file = file_path(node, location).rpartition("/")
    own = ("--name", node.name, "--dir", directory, *state, *torrents, *node.arguments)
    return (*program, str(node.role), file, tracker, listen, *own)


def _located(node: NodePlan, location: NodeLocation, file: FileFacts | None) -> FileFacts | None:
    """Return a file with the paths at which a node finds it."""
    if file is None:
        return None
    torrent = f"{location.files}/{torrent_path(node.torrents[0])}" if node.torrents else ""
    return replace(file, path=file_path(node, location), torrent=torrent)


def file_path(node: NodePlan, location: NodeLocation) -> str:
    """Return the path of a peer's file, as the node sees it.

    Its last part is the file's name in the swarm.
    """
    directory = location.files if node.role is Role.SHARE else location.data
    return f"{directory}/{node.file}"
