"""The events of a timeline, and the conditions for which they wait.

There is one class for each verb, and one for each kind of condition.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torrentnet.lab.scenario.qualities import LinkOverride


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A condition that becomes true during the run."""

    text: str
    """As the scenario writes it: ``leecher-1 has 50% of myfile.txt``, ``2s after kill seeder-1``."""
    delay: float = 0.0
    """Seconds from the moment at which the condition became true to the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterTrigger(Trigger):
    """The condition that another event has been applied.

    The delay counts from the moment at which that event began.
    """

    event: int
    """The other event's index. It may have a trigger of its own; there are no cycles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTrigger(Trigger):
    """All of some nodes fulfil a condition at the same moment."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HasTrigger(NodeTrigger):
    """Each node has verified at least a share of the pieces of its file."""

    file: str
    share: float = 1.0
    """More than 0, at most 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpTrigger(NodeTrigger):
    """The condition that each node runs and is up.

    A node is up once it has logged, since its last start, ``listening`` (tracker, get) or ``published`` (share).
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class DownTrigger(NodeTrigger):
    """Each node's program has been started and has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedTrigger(NodeTrigger):
    """Each node runs and reports that it is a seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlan:
    """An event that affects nodes, at a time or on a condition.

    An event that changes nothing fails the run: a kill of a node that has ended, a network fault that leaves every link
    as it was, a heal that finds nothing in force, a command that ends with a status other than 0, a trigger that never
    fires.
    """

    verb: ClassVar[str]
    index: int
    """Position in ``Plan.events``."""
    at: float
    """The planned second; with ``when``, the earliest possible one."""
    nodes: tuple[str, ...]
    """The affected nodes."""
    text: str
    """As the scenario writes it: ``kill seeder-1``, ``pause seeder-2 for 3s``."""
    where: str
    """``file:line:column``."""
    when: Trigger | None = None
    """The condition that the event waits for; None where it happens at ``at``."""
    name: str = ""
    """The event's name in the scenario, or empty."""
    source_of: str = ""
    """The event affects the node from which this node has received most bytes when the event happens; empty for an
    event whose nodes are known. ``nodes`` are then all nodes that can be that source."""
    choices: tuple[EventPlan, ...] = ()
    """Only with ``source_of``: this event for each of ``nodes``, in their order."""


# -- momentary events ------------------------------------------------------------------------------


class KillPlan(EventPlan):
    """End nodes with SIGKILL."""

    verb = "kill"


class StopPlan(EventPlan):
    """End nodes with SIGTERM; peers leave the swarm."""

    verb = "stop"


class StartPlan(EventPlan):
    """Start nodes that have ended."""

    verb = "start"


class RestartPlan(EventPlan):
    """Stop nodes, if they run, and start them."""

    verb = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandPlan(EventPlan):
    """Run a command in nodes."""

    command: str

    @property
    def argv(self) -> list[str]:
        """The program and its arguments."""
        raise NotImplementedError


class RunPlan(CommandPlan):
    """Run a shell command, as the node's own user."""

    verb = "run"

    @property
    def argv(self) -> list[str]:
        """The shell with the command."""
        return ["sh", "-c", self.command]


class ConsolePlan(CommandPlan):
    """Run a command on the node's command line."""

    verb = "console"

    @property
    def argv(self) -> list[str]:
        """The console's client with the words of the command."""
        return ["console", *shlex.split(self.command)]


# -- lasting events --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LastingPlan(EventPlan):
    """An event that is undone later.

    It is undone when its time is over, by a heal, or at the end of the run.
    """

    lasts: float | None = None
    """Seconds from its beginning; None for the rest of the run, or where ``until`` is given."""
    until: float | None = None
    """Only with ``when``: seconds after t = 0. An event that has not happened by then never does."""

    def end(self, began: float) -> float | None:
        """Return the time at which an event that began at ``began`` is undone.

        None means the end of the run.
        """
        if self.until is not None:
            return self.until
        return None if self.lasts is None else began + self.lasts


class PausePlan(LastingPlan):
    """Freeze nodes."""

    verb = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFaultPlan(LastingPlan):
    """Override the qualities of links."""

    override: LinkOverride


class PartitionPlan(NetworkFaultPlan):
    """Cut links between groups of nodes."""

    verb = "partition"


class IsolatePlan(NetworkFaultPlan):
    """Cut the links of single nodes."""

    verb = "isolate"


class ImpairPlan(NetworkFaultPlan):
    """Make links worse (or better: the latest override wins)."""

    verb = "impair"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealPlan(EventPlan):
    """Undo lasting events before their time."""

    verb = "heal"
    ends: tuple[int, ...]
    """Indices of the events to undo. At least one of them must be in force."""
