"""What every check of the scenario language is made of: who looks, what is looked at, what one look has found."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from torrentnet.lab.scenario.plan import ExpectationPlan, Within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.run.clock import LabClock
    from torrentnet.lab.run.lab_state import LabState
    from torrentnet.lab.scenario.plan import Interval, NodePlan

PlanT = TypeVar("PlanT", bound=ExpectationPlan)

MAX_QUOTED_CHARS = 160
"""Characters of a node's answer in a report."""


class TimelineQueries(Protocol):
    """What expectations ask of the timeline."""

    def began(self, index: int) -> float | None:
        """When an event began to be applied."""

    def never(self, index: int) -> bool:
        """Whether it was tried in vain."""

    def revives(self, node: str) -> bool:
        """Whether the node will be started again."""


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What is being judged."""

    engine: Engine
    board: LabState
    clock: LabClock
    timeline: TimelineQueries
    nodes: Mapping[str, NodePlan]
    hashes: Mapping[str, str]
    """SHA-256 of each file's source."""
    events: Mapping[int, str]
    """The text of each event, by index."""
    time_limit: float


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one look has found."""

    yes: bool
    measured: str
    time: float | None = None
    """When it began to be so, in seconds after t = 0; None where only this moment was looked at."""
    asked: bool = True
    """Whether the engine or the node was asked, which costs something; what the board knows costs nothing."""
    hopeless: bool = False
    """Whether it can never be so any more."""
    known: bool = True
    """Whether the node could be asked at all."""


class Check(ABC, Generic[PlanT]):
    """Looks at one node for one expectation."""

    pause = 0.5
    """Seconds between two looks at what must hold all the time, where a look costs something."""

    def __init__(self, plan: PlanT, node: str, stage: CheckContext) -> None:
        self.plan = plan
        self.node = node
        self.stage = stage

    @abstractmethod
    def look(self, base: float, until: float = math.inf) -> CheckResult:
        """Whether it holds now, or did at some time from ``base`` up to ``until`` (seconds after t = 0)."""

    @abstractmethod
    def where_to_look(self) -> str:
        """The command with which a person sees it."""

    @property
    def at_once(self) -> bool:
        """Whether this moment is asked about, not whether it has been so before."""
        return not isinstance(self.plan.timing, Within)

    @property
    def capped(self) -> bool:
        """Whether it is about a count that only grows and must not grow too much: such a one is decided at the end."""
        return False

    def since(self, base: float) -> float:
        """The epoch from which events count: all there were, unless the expectation says after what."""
        return self.stage.clock.epoch + base if self.plan.after is not None else 0.0

    def show(self, time: float, base: float) -> str:
        """A time as a person reads it: after what it counts."""
        after = self.stage.events.get(self.plan.after, "") if self.plan.after is not None else ""
        return f"{time - base:.1f} s after {after}" if after else f"at {max(0.0, time):.1f} s"


def quote(text: str) -> str:
    """A node's answer in one line of a report."""
    flat = " / ".join(text.split("\n"))
    return flat if len(flat) <= MAX_QUOTED_CHARS else f"{flat[:MAX_QUOTED_CHARS]} ..."


def format_bound(bound: Interval, show: Callable[[int], str] = str) -> str:
    """A bound as a person says it: ``at least 3``."""
    if bound.least is not None and bound.least == bound.most:
        return f"exactly {show(bound.least)}"
    if bound.least is not None and bound.most is not None:
        return f"{show(bound.least)} to {show(bound.most)}"
    if bound.most is not None:
        return f"at most {show(bound.most)}"
    return f"at least {show(bound.least or 0)}"
