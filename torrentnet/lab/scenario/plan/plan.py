"""A whole experiment, with its nodes and files.

Tested by tests/unit/lab/scenario/resolve/test_programs.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.plan.limits import NodeLimits

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.plan.events import EventPlan
    from torrentnet.lab.scenario.plan.expectations import ExpectationPlan
    from torrentnet.lab.scenario.plan.program import ProgramPlan
    from torrentnet.lab.scenario.qualities import LinkOverride


class Role(StrEnum):
    """What a node is: the tracker, a peer in one of its two states, or neither."""

    TRACKER = "tracker"
    SHARE = "share"
    GET = "get"
    RUN = "run"


class NodeProgram(StrEnum):
    """The program that a node runs."""

    OURS = "torrentnet"
    ARIA2 = "aria2"
    TRANSMISSION = "transmission"
    LIBTORRENT = "libtorrent"
    RTORRENT = "rtorrent"
    QBITTORRENT = "qbittorrent"
    DELUGE = "deluge"
    OPENTRACKER = "opentracker"
    FOREIGN = "program"
    """A program that the scenario brings along: :attr:`NodePlan.foreign`."""


@dataclass(frozen=True, slots=True)
class FilePlan:
    """A file that the lab makes before the nodes start."""

    name: str
    """Path relative to the lab's folder of files: ``myfile.txt``, or ``fake/myfile.txt`` for a file that is shared
    under another file's name; that folder has to be made first. Generated content depends on this path."""
    content: int | Path
    """Bytes to generate from the scenario's seed, or the file to copy."""
    text: bool = False
    """Whether what is generated is lines of ASCII."""


@dataclass(frozen=True, slots=True)
class TorrentPlan:
    """A .torrent that the lab makes for programs that need one.

    They cannot look a file up by its name. The .torrent names no tracker.
    """

    file: str
    """The :attr:`FilePlan.name` that it describes; also the .torrent's own name."""
    piece_length: int | None
    """Bytes; None for the length that our own peers choose."""
    private: bool
    """BEP 27. Transmission and libtorrent send a private file's info dictionary to nobody."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A node: a Compose service of its own."""

    name: str
    group: str
    role: Role
    file: str | None
    """The file that a peer shares or gets; None for the tracker. With SHARE it is a :attr:`FilePlan.name`, which may
    contain a folder; on the network the file goes by the last part."""
    start: float
    """Seconds after t = 0 at which the node is started; 0 for the tracker and the first seeds."""
    arguments: tuple[str, ...] = ()
    """Options of the program's command line, ``("--keepalive", "500ms")``."""
    limits: NodeLimits = field(default_factory=NodeLimits)
    program: NodeProgram = NodeProgram.OURS
    torrents: tuple[str, ...] = ()
    """The :attr:`TorrentPlan.file` of each .torrent that the program receives."""
    foreign: ProgramPlan | None = None
    """Only with :attr:`NodeProgram.FOREIGN`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole experiment."""

    name: str
    about: str
    source: Path
    seed: int
    time_limit: float
    files: tuple[FilePlan, ...]
    nodes: tuple[NodePlan, ...]
    events: tuple[EventPlan, ...]
    """Events with a planned time, by time, then those with a trigger, in the order of the file."""
    expectations: tuple[ExpectationPlan, ...] = ()
    links: tuple[LinkOverride, ...] = ()
    """The network at t = 0, oldest override first. Events override these, and nothing heals them."""
    parameters: tuple[tuple[str, str], ...] = ()
    """The scenario's parameters with their current values, in the order of the file."""
    torrents: tuple[TorrentPlan, ...] = ()
    judged: bool = True
    """Whether a run has a verdict: the scenario has expectations, or says ``expect: none``."""
    left_out: tuple[str, ...] = ()
    """Expectations of the words of our own programs, in whose place the user has put others: they are not judged."""

    def with_small_blocks(self) -> Plan:
        """Return the plan with peers of ours that send blocks of at most 16 KiB."""
        return replace(
            self,
            nodes=tuple(
                replace(node, arguments=(*node.arguments, "--small-blocks"))
                if node.program is NodeProgram.OURS and node.role in {Role.SHARE, Role.GET}
                else node
                for node in self.nodes
            ),
        )

    @property
    def foreign_programs(self) -> tuple[NodeProgram, ...]:
        """The other projects' programs that nodes run, each once."""
        ours = (NodeProgram.OURS, NodeProgram.FOREIGN)
        return tuple(dict.fromkeys(node.program for node in self.nodes if node.program not in ours))

    @property
    def programs(self) -> tuple[ProgramPlan, ...]:
        """The programs that the scenario brings along and nodes run, each once."""
        return tuple(dict.fromkeys(node.foreign for node in self.nodes if node.foreign is not None))
