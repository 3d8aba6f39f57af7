"""A scenario, resolved: every node by name, every event with its time, every expectation with its deadline.

The scenario room makes a :class:`Plan` from a YAML file; engines, timeline and expectations consume it and never
see YAML. Times are seconds after t = 0 (the moment at which the tracker and the first seeds are up).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Role(StrEnum):
    """What a node runs: the tracker, or the peer program in one of its two states."""

    TRACKER = "tracker"
    SHARE = "share"
    GET = "get"


class Verb(StrEnum):
    """What a timeline event does."""

    KILL = "kill"
    STOP = "stop"
    PAUSE = "pause"
    RESTART = "restart"
    START = "start"


class Check(StrEnum):
    """What an expectation asks about its nodes."""

    HAS = "has"
    BECOMES = "becomes"
    FORGETS = "forgets"
    CONSOLE = "console"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class FilePlan:
    """One file that the lab makes before the nodes start."""

    name: str
    size: int | None
    """Bytes of content made from the scenario's seed; None where ``source`` is given."""
    source: Path | None


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node: a Compose service of its own."""

    name: str
    group: str
    role: Role
    file: str | None
    """The file that a peer shares or gets; None for the tracker."""
    start: float
    """Seconds after t = 0 at which the node is started; 0 for the tracker and the first seeds."""
    arguments: tuple[str, ...] = ()
    """Options for the program's command line, ``("--keepalive", "500ms")``."""


@dataclass(frozen=True, slots=True)
class EventPlan:
    """One thing that happens to nodes at a time."""

    index: int
    at: float
    verb: Verb
    nodes: tuple[str, ...]
    lasts: float | None
    """Seconds after which it is undone (pause, then resume); None where it does not last, or lasts for the rest."""
    text: str
    """As the scenario says it: ``kill seeder-1``, ``pause seeder-2 for 3s``."""
    where: str
    """``file:line:column``."""


@dataclass(frozen=True, slots=True)
class ExpectationPlan:
    """One thing that must be true of every node named."""

    index: int
    check: Check
    nodes: tuple[str, ...]
    text: str
    """As a person would say it: ``leecher-1, leecher-2 have myfile.txt within 60s``."""
    where: str
    within: float | None = None
    """Seconds it may take, counted from ``after`` or from t = 0."""
    at: float | None = None
    """Seconds after t = 0 at which it must be true."""
    after: int | None = None
    """Index of the event from which ``within`` counts."""
    file: str | None = None
    """HAS: the file's name."""
    state: str | None = None
    """BECOMES: ``seed``; STATE: ``running``, ``paused``, ``exited``."""
    forgotten: tuple[str, ...] = ()
    """FORGETS: the nodes that the tracker must no longer know."""
    command: str | None = None
    """CONSOLE: what is typed at the node's command line."""
    contains: tuple[str, ...] = ()
    """CONSOLE: texts that the answer must hold."""
    lacks: tuple[str, ...] = ()
    """CONSOLE: texts that the answer must not hold."""


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
    expectations: tuple[ExpectationPlan, ...] = field(default=())
