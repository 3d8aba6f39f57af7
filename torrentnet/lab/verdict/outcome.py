"""What came of a run, as one record."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from torrentnet.lab.errors import EXIT_ENGINE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.run.timeline.applied_event import AppliedEvent
    from torrentnet.lab.scenario.plan import Plan
    from torrentnet.lab.verdict.expectation import ExpectationResult


class Verdict(StrEnum):
    """How a run ended."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    """The engine failed: nothing was judged."""
    INTERRUPTED = "interrupted"


EXIT_CODES = {
    Verdict.PASS: EXIT_OK,
    Verdict.FAIL: EXIT_FAILED,
    Verdict.ERROR: EXIT_ENGINE,
    Verdict.INTERRUPTED: EXIT_INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run, and what became of everything that had to hold."""

    plan: Plan
    verdict: Verdict
    directory: Path
    project: str
    began: float
    """Seconds since the epoch."""
    seconds: dict[str, float]
    """How long each phase took: ``image``, ``create``, ``start``, ``run``, ``total``."""
    judgements: tuple[ExpectationResult, ...] = ()
    timeline: tuple[AppliedEvent, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    error: str = ""
    """What ended the run before it could be judged."""
    last_lines: dict[str, list[str]] = field(default_factory=dict)
    """Of the nodes that something was wrong with."""

    @property
    def exit_code(self) -> int:
        """As the command line gives it."""
        return EXIT_CODES[self.verdict]

    @property
    def in_vain(self) -> tuple[AppliedEvent, ...]:
        """The events that changed nothing."""
        return tuple(applied for applied in self.timeline if applied.error)
