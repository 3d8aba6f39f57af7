"""The expectations of a scenario: one class for each check of the language."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Severity(StrEnum):
    """Effect on the run of an expectation that does not hold."""

    FAILURE = "failure"
    WARNING = "warning"
    """Reported, without effect on the verdict and the exit status."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The whole numbers from ``least`` to ``most``, both included; None is unbounded."""

    least: int | None = None
    most: int | None = None

    def __contains__(self, number: int) -> bool:
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


@dataclass(frozen=True, slots=True)
class LogPattern:
    """Lines of a node's log: those that contain a text, or event lines."""

    text: str | None = None
    """Contained in the line; None where ``event`` is given."""
    event: str | None = None
    """Name of the event."""
    fields: tuple[tuple[str, str], ...] = ()
    """Fields of the event with the exact values that they must have."""


# -- when it must hold -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Within:
    """At some time before a deadline."""

    seconds: float | None
    """From ``after`` or t = 0; None to the time limit, where the time of ``after`` is not known yet."""
    after: int | None = None
    """Index of the event from which time counts; it may have a trigger."""

    def deadline(self, start: float, time_limit: float) -> float:
        """Return the last second at which it may become true, counted from ``start``."""
        return time_limit if self.seconds is None else start + self.seconds


@dataclass(frozen=True, slots=True)
class At:
    """At one moment."""

    time: float
    """Seconds after t = 0."""


@dataclass(frozen=True, slots=True)
class Always:
    """Without a break: whenever the expectation is checked, it must hold.

    Never used with BecomesCheckPlan, ForgetsCheckPlan or ExitCheckPlan.
    """

    seconds: float
    """``math.inf`` for the rest of the run. The expectation does not prolong the run: it has passed once all others are
    decided and the timeline is over."""
    start: float = 0.0
    """Seconds after t = 0 from which it must hold, without ``after``."""
    after: int | None = None
    """Index of the event from which it must hold."""


Timing: TypeAlias = Within | At | Always


# -- the checks ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationPlan:
    """A check that each of some nodes must fulfil."""

    index: int
    nodes: tuple[str, ...]
    text: str
    """A sentence: ``leecher-1, leecher-2 have myfile.txt within 60s``."""
    where: str
    """``file:line:column``."""
    timing: Timing
    severity: Severity = Severity.FAILURE
    pass_text: str = ""
    """The report's sentence where the expectation holds; empty for ``text``."""
    fail_text: str = ""
    """The report's sentence where it does not hold; empty for ``text``."""

    @property
    def after(self) -> int | None:
        """Index of the event from which time counts."""
        return None if isinstance(self.timing, At) else self.timing.after


@dataclass(frozen=True, slots=True, kw_only=True)
class HasCheckPlan(ExpectationPlan):
    """The node has a complete file, with the source's SHA-256."""

    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BecomesCheckPlan(ExpectationPlan):
    """The peer program reaches a state."""

    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetsCheckPlan(ExpectationPlan):
    """The tracker no longer lists some peers."""

    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowsCheckPlan(ExpectationPlan):
    """The tracker's ``peers`` command lists a number of peers."""

    count: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleCheckPlan(ExpectationPlan):
    """A check that a command's output contains some texts and lacks others.

    The command is entered on the node's command line.
    """

    command: str
    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    empty: bool | None = None
    """Whether the output must have nothing but white space; None where that does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCheckPlan(ExpectationPlan):
    """The node's log has a number of matching lines.

    The lines count that were printed after ``after`` began; without it all lines since the node's first start, over
    restarts.
    """

    pattern: LogPattern
    count: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class StateCheckPlan(ExpectationPlan):
    """The engine reports a state of the node: ``running``, ``paused`` or ``exited``."""

    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitCheckPlan(ExpectationPlan):
    """The node's program has ended, by itself or by an event."""

    status: int
    """0 to 255; 137 after SIGKILL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesCheckPlan(ExpectationPlan):
    """Bytes that a network interface carried since its node's last start.

    Headers are included.
    """

    sent: Interval | None = None
    received: Interval | None = None
    """At least one of the two is given; both must hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsCheckPlan(ExpectationPlan):
    """Bytes of content between the node and some others since the lab began.

    Headers do not count. What is given must hold; at least one of the three is.
    """

    peers: tuple[str, ...]
    received: Interval | None = None
    """Bytes that the node has received from all the peers together."""
    sent: Interval | None = None
    """Bytes that the node has sent to all the peers together."""
    count: Interval | None = None
    """How many of the peers have sent content to the node."""
