"""The results of a run: of each expectation on each node, and of the whole.

Tested by tests/unit/lab/report/test_result.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.plan.expectations import Severity
from torrentnet.runtime.process import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_UNAVAILABLE

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.run.timeline.schedule import AppliedEvent
    from torrentnet.lab.scenario.plan.expectations import ExpectationPlan
    from torrentnet.lab.scenario.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class NodeResult:
    """The result of an expectation on one of its nodes."""

    node: str
    passed: bool
    measured: str
    """For a person: ``complete at 3.2 s``."""
    time: float | None
    """Seconds after t = 0 at which the expectation became true; None where that is unknown."""
    inspect: str
    """The command with which a person can check the same."""
    judged: bool = True
    """False where lines of the node were lost: then nobody knows whether the expectation holds."""


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """The result of an expectation."""

    plan: ExpectationPlan
    nodes: tuple[NodeResult, ...]

    @property
    def passed(self) -> bool:
        """Whether the expectation holds on every node."""
        return all(node.passed for node in self.nodes)

    @property
    def judged(self) -> bool:
        """Whether the result is known: it holds, or it is known not to hold on one node."""
        return self.passed or any(node.judged and not node.passed for node in self.nodes)

    @property
    def failed(self) -> bool:
        """Whether the expectation makes the run fail."""
        return self.judged and not self.passed and self.plan.severity is Severity.FAILURE

    @property
    def warns(self) -> bool:
        """Whether the expectation does not hold, which is only reported."""
        return self.judged and not self.passed and self.plan.severity is Severity.WARNING

    @property
    def sentence(self) -> str:
        """The sentence for the report.

        The sentence is the scenario's own one, else the expectation itself.
        """
        return (self.plan.pass_text if self.passed else self.plan.fail_text) or self.plan.text

    @property
    def decisive(self) -> NodeResult:
        """The most important result: the first failed one, else the latest.

        It is the result to show where there is room for one only.
        """
        failed = [node for node in self.nodes if not node.passed]
        if failed:
            return max(failed, key=lambda node: node.judged)
        return max(self.nodes, key=lambda node: node.time or 0.0)


class Verdict(StrEnum):
    """How a run ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not judged"
    """Nothing can be said of the expectations: there are none, or what they are judged by was lost."""
    ERROR = "error"
    """The engine or the lab itself failed: nothing was judged."""
    INTERRUPTED = "interrupted"


EXIT_CODES: Final = {
    Verdict.PASSED: EXIT_OK,
    Verdict.FAILED: EXIT_FAILED,
    Verdict.NOT_JUDGED: EXIT_UNAVAILABLE,
    Verdict.ERROR: EXIT_UNAVAILABLE,
    Verdict.INTERRUPTED: EXIT_INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run."""

    plan: Plan
    verdict: Verdict
    directory: Path
    """The run's record."""
    project: str
    began: float
    """Seconds since the epoch."""
    seconds: dict[str, float]
    """How long each phase took: ``image``, ``create``, ``start``, ``run``, ``total``."""
    expectations: tuple[ExpectationResult, ...] = ()
    timeline: tuple[AppliedEvent, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    """Versions and machine, as the engine reports them."""
    addresses: dict[str, str] = field(default_factory=dict)
    """Of each node."""
    hashes: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file's source."""
    error: str = ""
    """What ended the run before it could be judged."""
    notes: tuple[str, ...] = ()
    """What the reader of the verdict must know: that the lab stood still, or that the time of day was set."""
    zero: str = ""
    """t = 0 in UTC; empty where the lab did not get so far."""
    touched: tuple[str, ...] = ()
    """What somebody has done by hand while the run was being judged."""
    last_lines: dict[str, list[str]] = field(default_factory=dict)
    """Of the nodes that took part in a failure."""

    @property
    def exit_code(self) -> int:
        """The exit status of the command line."""
        return EXIT_CODES[self.verdict]

    @property
    def ineffective(self) -> tuple[AppliedEvent, ...]:
        """The events that changed nothing."""
        return tuple(event for event in self.timeline if event.error)
