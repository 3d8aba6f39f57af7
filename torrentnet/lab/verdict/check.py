"""What the checks of the scenario language have in common: their context, and their result.

Tested by tests/unit/lab/verdict/test_judge.py and tests/unit/lab/verdict/test_counting_checks.py.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from torrentnet.lab.scenario.plan import ExpectationPlan, Within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.run.clock import LabClock
    from torrentnet.lab.run.lab_state import LabState
    from torrentnet.lab.scenario.plan import Interval, NodePlan

PlanT = TypeVar("PlanT", bound=ExpectationPlan)

MAX_QUOTED_CHARS: Final = 160
"""Characters of a node's reply in a report."""


class TimelineQueries(Protocol):
    """What expectations need to know of the timeline."""

    def began_at(self, index: int) -> float | None:
        """Return when the application of an event began; None before that, or when it failed."""

    def failed(self, index: int) -> bool:
        """Return whether an event was applied without effect."""

    def will_start(self, node: str) -> bool:
        """Return whether an item that starts the node is still to come."""


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The lab that is judged."""

    engine: Engine
    lab_state: LabState
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
    """The result of one evaluation of a check."""

    holds: bool
    measured: str
    """For a person."""
    time: float | None = None
    """Seconds after t = 0 at which it became true; None where only this moment was checked."""
    queried: bool = True
    """Whether the engine or the node was queried, which costs something; a query of the lab state does not."""
    impossible: bool = False
    """Whether it can never become true any more."""
    reachable: bool = True
    """Whether the node could be queried."""


class Check(ABC, Generic[PlanT]):
    """Evaluates one expectation on one node."""

    interval: float = 0.5
    """Seconds between two queries for what must hold all the time."""

    def __init__(self, plan: PlanT, node: str, context: CheckContext) -> None:
        self.plan = plan
        self.node = node
        self.context = context

    @abstractmethod
    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        """Check whether it holds now, or did at some time from ``base`` to ``until`` (seconds after t = 0)."""

    @abstractmethod
    def inspect_command(self) -> str:
        """Return the command with which a person can check it."""

    @property
    def momentary(self) -> bool:
        """Whether it must hold at this moment, whatever was before."""
        return not isinstance(self.plan.timing, Within)

    @property
    def capped(self) -> bool:
        """Whether a count that only grows must not exceed a bound, so that the check is decided at the end."""
        return False

    def since(self, base: float) -> float:
        """Return the epoch time from which events count: from the first one, unless the plan has ``after``."""
        return self.context.clock.epoch + base if self.plan.after is not None else 0.0

    def format_time(self, time: float, base: float) -> str:
        """Format a time for a person: ``at 3.2 s``, ``1.7 s after kill seeder-1``."""
        after = self.context.events.get(self.plan.after, "") if self.plan.after is not None else ""
        return f"{time - base:.1f} s after {after}" if after else f"at {max(0.0, time):.1f} s"

    def now(self, base: float) -> str:
        """Format the current time for a person."""
        return self.format_time(self.context.clock.now(), base)


def quote(text: str) -> str:
    """Return a node's reply as one line of a report."""
    flat = " / ".join(text.split("\n"))
    return flat if len(flat) <= MAX_QUOTED_CHARS else f"{flat[:MAX_QUOTED_CHARS]} ..."


def format_interval(interval: Interval, show: Callable[[int], str] = str) -> str:
    """Format an interval for a person: ``at least 3``."""
    if interval.least is not None and interval.least == interval.most:
        return f"exactly {show(interval.least)}"
    if interval.least is not None and interval.most is not None:
        return f"{show(interval.least)} to {show(interval.most)}"
    if interval.most is not None:
        return f"at most {show(interval.most)}"
    return f"at least {show(interval.least or 0)}"
