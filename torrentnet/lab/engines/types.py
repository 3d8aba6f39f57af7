"""The values that pass between a lab and its engine.

Tested by tests/unit/lab/engines/docker/test_batch_exec.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.scenario.plan.limits import NodeLimits
from torrentnet.runtime.process import EXIT_FAILED

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.plan.program import ProgramPlan


class Mode(StrEnum):
    """Whether a lab outlives the command that made it."""

    RUN = "run"
    UP = "up"


class NodeStatus(StrEnum):
    """Whether a node's program runs. Scenarios name RUNNING, PAUSED and EXITED."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"
    GONE = "gone"


ALIVE = (NodeStatus.RUNNING, NodeStatus.PAUSED)


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node's status, and the exit status of its program once it has exited."""

    status: NodeStatus
    exit_code: int | None = None

    def __str__(self) -> str:
        return f"{self.status} ({self.exit_code})" if self.exit_code is not None else str(self.status)


@dataclass(frozen=True, slots=True)
class NodeLocation:
    """Address and directories of a node, as its own program sees them."""

    address: str
    """IPv4 address."""
    files: str
    """Directory with the files that the lab made; read-only."""
    data: str
    """The node's own directory; it outlives the node's program."""
    program: str = ""
    """Read-only directory with the files of a program that the scenario brings along; empty where it has none."""
    user: str = ""
    """``UID:GID`` of such a program; empty for the ids of the node's own process."""


CommandLineBuilder = Callable[[Mapping[str, NodeLocation]], Mapping[str, tuple[str, ...]]]
"""Returns the command line of each node; called once all locations are known."""

ProgressCallback = Callable[[str], None]
"""Shows the user one line about long work."""

LossCallback = Callable[[str, str], None]
"""Takes the reason why lines or changes may be missing from now on, and the node; an empty name means all nodes."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node to create."""

    name: str
    role: str
    """``tracker``, ``share``, ``get`` or ``run``."""
    wants_files: bool
    """Whether the node sees the lab's files."""
    limits: NodeLimits = field(default_factory=NodeLimits)
    wants_torrents: bool = False
    """Whether the node sees the lab's .torrent files. A node that sees the files sees these too."""
    program: str = ""
    """Name of the program of others that the node runs (``aria2``); empty for our own."""
    foreign: ProgramPlan | None = None
    """The program that the scenario brings along, run by our observer."""


@dataclass(frozen=True, slots=True)
class LabSpec:
    """A lab to create."""

    project: str
    """Unique on the machine; everything that belongs to the lab carries it."""
    scenario: str
    mode: Mode
    home: Path
    """Directory that the lab belongs to."""
    files: Path
    """Directory with the lab's files."""
    record: Path
    """The run's directory; the engine writes what it created into it."""
    nodes: tuple[NodeSpec, ...]
    commands: CommandLineBuilder
    gate: str = ""
    """Value of ``TORRENTNET_GATE`` where programs must wait for their network's rules; else empty."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a node's program printed."""

    node: str
    time: float
    """Seconds since the epoch, on the clock of :mod:`torrentnet.lab.engines.steady`."""
    text: str


@dataclass(frozen=True, slots=True)
class StateChange:
    """A node that has started, exited, paused or resumed."""

    node: str
    time: float
    """Seconds since the epoch, on the clock of :mod:`torrentnet.lab.engines.steady`."""
    state: NodeState


@dataclass(frozen=True, slots=True)
class ExecResult:
    """Exit status and output of a command in a node."""

    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both outputs, without the trailing newlines."""
        return (self.stdout + self.stderr).rstrip("\n")


class BatchExec(Protocol):
    """A function that runs one shell script in each of several nodes.

    Each script runs as root in its node's network namespace.
    """

    def __call__(self, scripts: Mapping[str, str]) -> Mapping[str, ExecResult]:
        """Run the scripts, and return the result of each node's script, by node.

        Raises LabError where no script could be run.
        """
        ...


class Sniffer(Protocol):
    """The output of :mod:`torrentnet.sniffer`, which sees a lab's packets.

    It ends with the lab, and with this process.
    """

    def read(self, timeout: float) -> bytes | None:
        """Return what has arrived; None for nothing in time, no bytes at the end."""
        ...

    def stop(self) -> None:
        """Tell the sniffer to end. What it has seen until now can still be read."""
        ...

    def close(self) -> None:
        """End the sniffer at once."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of ``doctor``."""

    what: str
    ok: bool
    found: str
    remedy: str = ""
    optional: bool = False
    """Whether most labs can do without it."""


@dataclass(frozen=True, slots=True)
class RemovedLab:
    """A lab of a dead owner that an engine has removed."""

    project: str
    home: Path | None = None
    """Its home directory; None where the engine does not know that it is on this machine."""
    problem: str = ""
    """Why something of it is left; empty where nothing is."""


class NothingChangedError(LabError):
    """A verb had no effect: the node was in that state already, or the links were."""

    default_exit_code = EXIT_FAILED


class NetworkUnavailableError(EngineError):
    """The error that the engine cannot set its nodes' network.

    ``remedy`` says what would change that.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason, hint=remedy)
