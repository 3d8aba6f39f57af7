"""What a lab and its engine tell each other: what is to be made, where it lives, how it fares and what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from torrentnet.lab.errors import EXIT_FAILED, EngineError, LabError

if TYPE_CHECKING:
    from pathlib import Path


class Mode(StrEnum):
    """Whether a lab goes away with the command that made it."""

    RUN = "run"
    UP = "up"


class NodeStatus(StrEnum):
    """How a node lives. The scenario language knows RUNNING, PAUSED and EXITED."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node's status, and its program's exit status once it has one."""

    status: NodeStatus
    exit_code: int | None = None

    def __str__(self) -> str:
        return f"{self.status} ({self.exit_code})" if self.exit_code is not None else str(self.status)


@dataclass(frozen=True, slots=True)
class NodeLocation:
    """Where a node lives, as the node itself sees it."""

    address: str
    """Its IPv4 address."""
    files: str
    """The directory with the files that the lab has made; read-only."""
    data: str
    """The node's own directory; it outlives the node's program."""


CommandLineBuilder = Callable[[Mapping[str, NodeLocation]], Mapping[str, tuple[str, ...]]]
"""Gives the command line of every node once all places are known."""

ProgressCallback = Callable[[str], None]
"""Tells the person one line about work that takes a while."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node to make."""

    name: str
    role: str
    """``tracker``, ``share`` or ``get``."""
    wants_files: bool
    """Whether it sees the lab's files."""
    disk: int | None = None
    """Bytes of the node's own directory, which then is in memory and empty at each start; None for an ordinary one."""
    wants_torrents: bool = False
    """Whether it sees the lab's .torrents; whoever sees the files does anyway."""
    program: str = ""
    """Whose program it runs, where it is not ours: ``aria2``."""


@dataclass(frozen=True, slots=True)
class LabSpec:
    """A lab to make."""

    project: str
    """Unique on the machine; everything of the lab carries it."""
    scenario: str
    mode: Mode
    home: Path
    """The directory whose lab this is: where ``.env`` and the state of ``up`` are kept."""
    files: Path
    """The directory with the lab's files."""
    record: Path
    """The run's directory: what the engine was told is written down here."""
    nodes: tuple[NodeSpec, ...]
    commands: CommandLineBuilder
    gate: str = ""
    """What programs wait for before they begin (``TORRENTNET_GATE``), where rules are to be in force first."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a node's program printed."""

    node: str
    time: float
    """Seconds since the epoch, on the engine's clock."""
    text: str


@dataclass(frozen=True, slots=True)
class StateChange:
    """A node that began or ceased to live."""

    node: str
    time: float
    """Seconds since the epoch, on the engine's clock."""
    state: NodeState


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command in a node ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """What a person at a terminal would have seen, without the last newline."""
        return (self.stdout + self.stderr).rstrip("\n")


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of ``doctor``."""

    what: str
    ok: bool
    found: str
    remedy: str = ""
    optional: bool = False
    """Whether most labs can do without it."""


class NothingChangedError(LabError):
    """A verb that had nothing to do: the node was in that state already, or not in one that the verb needs."""

    def __init__(self, verb: str, node: str, state: NodeState) -> None:
        super().__init__(
            f"{verb} {node} changed nothing: the node is {state}",
            hint="a fault that hits nothing proves nothing; move the event or name another node",
            exit_code=EXIT_FAILED,
        )


class NetworkUnavailableError(EngineError):
    """This engine has no means to set the network of its nodes; ``remedy`` says what would give it one."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why, hint=remedy)


ALIVE = (NodeStatus.RUNNING, NodeStatus.PAUSED)
