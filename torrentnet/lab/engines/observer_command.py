"""The command line of our observer.

The observer runs a program that the scenario brings along.

The observer is the node's own program as far as the lab is concerned: it prints the event lines and has the console.

Tested by tests/unit/lab/engines/test_command_lines.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.plan.plan import Role
from torrentnet.lab.scenario.programs.command_template import fill_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torrentnet.lab.engines.types import NodeLocation
    from torrentnet.lab.scenario.plan.plan import NodePlan
    from torrentnet.lab.scenario.plan.program import ProgramPlan

OBSERVER: Final = "observe"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file that a node shares or gets, as the observer recognises it."""

    name: str
    """Its name in the swarm."""
    size: int
    sha256: str
    path: str = ""
    """Where a node that shares it finds it; empty for other nodes."""
    torrent: str = ""
    """Path of its .torrent; empty where the program receives none."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a node is told of the others."""

    listen: str
    """``IP:PORT`` at which the node is to listen."""
    tracker: str
    """``IP:PORT`` of the tracker; empty in a lab without one."""
    nodes: Mapping[str, str]
    """Every node's own ``IP:PORT``, by name."""


def observer_command(
    node: NodePlan, program: ProgramPlan, location: NodeLocation, around: Surroundings, file: FileFacts | None
) -> tuple[str, ...]:
    """Return the command line of a node with a program that the scenario brings along."""
    words = [OBSERVER, str(node.role), *_options(node, program, location, around, file)]
    ip, _, port = around.listen.rpartition(":")
    values = {
        "ip": ip,
        "port": port,
        "listen": around.listen,
        "listen_port": port,
        "tracker": around.tracker,
        "name": node.name,
        "dir": location.data,
        "file": (node.file or "").rpartition("/")[2],
        "torrent": f"{location.data}/{file.torrent.rpartition('/')[2]}" if file and file.torrent else "",
    }
    return (*words, "--", *fill_command(program.command(str(node.role)), values, node.arguments))


def _options(
    node: NodePlan, program: ProgramPlan, location: NodeLocation, around: Surroundings, file: FileFacts | None
) -> Iterator[str]:
    yield from ("--name", node.name)
    yield from ("--listen", around.listen)
    if around.tracker:
        yield from ("--tracker", around.tracker)
    yield from ("--dir", location.data)
    if location.program:
        yield from ("--program", location.program)
    if program.files:
        yield from ("--files", program.files)
    if file is not None:
        if node.role is Role.SHARE:
            yield from ("--share", file.path)
        if file.torrent:
            yield from ("--torrent", file.torrent)
        yield from ("--file", file.name, "--size", str(file.size), "--sha256", file.sha256)
    yield from ("--ready", f"{program.ready:g}")
    if location.user:
        yield from ("--user", location.user)
    for command, own_words in program.says:
        yield from ("--says", f"{command}={own_words}")
    for name, address in around.nodes.items():
        yield from ("--node", f"{name}={address}")
    yield "--datagrams"
    yield from ("--max-output", str(node.limits.log))
