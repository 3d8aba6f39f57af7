"""Whether what had to hold did hold.

An expectation is asked of each of its nodes by itself (a :class:`Question`), again whenever something has changed,
until it holds or its time is up. What it measured on the way is part of the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.lab.checks import CHECKS, Holds, Stage
from torrentnet.lab.engines.base import NodeStatus
from torrentnet.lab.errors import EngineError
from torrentnet.lab.plan import Check

if TYPE_CHECKING:
    from torrentnet.lab.plan import ExpectationPlan

LINES_LATE_S = 0.5
"""A line that was printed in time may arrive this much later."""
DEAD_S = 1.0
"""So long after a node's end its last lines have been read."""
RETRY_FIRST_S = 0.2
RETRY_MOST_S = 1.0
RETRY_GROWTH = 1.5
FAILURES_MOST = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an expectation, for one of its nodes."""

    node: str
    passed: bool
    measured: str
    """For a person: ``complete 3.2 s after t = 0``."""
    time: float | None
    """Seconds after t = 0 at which it was so; None where that is not known."""
    look: str
    """The command with which a person can see for themselves."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of an expectation."""

    plan: ExpectationPlan
    answers: tuple[Answer, ...]

    @property
    def passed(self) -> bool:
        """Whether it holds for every node."""
        return all(answer.passed for answer in self.answers)

    @property
    def telling(self) -> Answer:
        """The answer to show where there is room for one: the first that failed, else the latest."""
        failed = next((answer for answer in self.answers if not answer.passed), None)
        return failed or max(self.answers, key=lambda answer: answer.time or 0.0)


class Question:
    """One expectation of one node. ``ask`` until there is an answer."""

    def __init__(self, plan: ExpectationPlan, node: str, stage: Stage) -> None:
        self.plan = plan
        self.node = node
        self.answer: Answer | None = None
        self._stage = stage
        self._check = CHECKS[plan.check](plan, node, stage)
        self._pause = RETRY_FIRST_S
        self._next = 0.0
        self._dead_since: float | None = None
        self._seen = ""
        self._failures = 0

    def due(self) -> float:
        """When to ask again if nothing changes, in seconds after t = 0."""
        if self.plan.at is not None:
            return max(self.plan.at, self._next)
        return self._next

    def ask(self) -> None:
        """Look whether it holds; sets ``answer`` once that is decided. Raises EngineError where the engine fails."""
        now = self._stage.clock.now()
        if now < self.due():
            return
        base = self._base()
        if base is None:
            self._without_base(now)
            return
        deadline = self._deadline(base)
        holds = self._look(base)
        self._seen = holds.measured
        if holds.yes and (holds.time is None or holds.time <= deadline or self.plan.at is not None):
            self._settle(passed=True, measured=holds.measured, time=holds.time if holds.time is not None else now)
        elif self.plan.at is not None:
            self._settle(passed=False, measured=holds.measured, time=now)
        elif holds.yes:
            self._settle(passed=False, measured=f"{holds.measured}: too late", time=holds.time)
        elif now > deadline + LINES_LATE_S:
            self._settle(passed=False, measured=holds.measured, time=None)
        elif self._is_dead(now):
            self._settle(passed=False, measured=f"{holds.measured}; {self._last_words()}", time=None)
        if holds.asked:
            self._next = now + self._pause
            self._pause = min(RETRY_MOST_S, self._pause * RETRY_GROWTH)

    def give_up(self, why: str) -> None:
        """The run is over: what has not held until now has failed."""
        if self.answer is None:
            self._settle(passed=False, measured=f"{self._seen}; {why}" if self._seen else why, time=None)

    def _look(self, base: float) -> Holds:
        try:
            holds = self._check.look(base)
        except EngineError as error:
            # A node that is down cannot be asked: that is an answer, and it may be up again in time. It may have
            # come up since we asked, so that only an engine that fails again and again has failed.
            if self._stage.engine.state(self.node).status is NodeStatus.RUNNING:
                self._failures += 1
                if self._failures == FAILURES_MOST:
                    raise
            return Holds(yes=False, measured=error.message)
        self._failures = 0
        return holds

    def _base(self) -> float | None:
        """The time from which ``within`` counts; None while that has not come."""
        if self.plan.after is None:
            return 0.0
        return self._stage.timeline.began(self.plan.after)

    def _without_base(self, now: float) -> None:
        after = self.plan.after
        if after is not None and self._stage.timeline.never(after):
            self._settle(passed=False, measured="the event that it counts from changed nothing", time=None)
        elif now > self._stage.time_limit:
            self._settle(passed=False, measured="the event that it counts from did not happen", time=None)

    def _deadline(self, base: float) -> float:
        return self._stage.time_limit if self.plan.within is None else base + self.plan.within

    def _is_dead(self, now: float) -> bool:
        """Whether the node's program has ended for good, so that waiting would be in vain."""
        if self.plan.check is Check.STATE:
            return False
        view = self._stage.board.view(self.node)
        if view.state.status not in {NodeStatus.EXITED, NodeStatus.GONE} or self._stage.timeline.revives(self.node):
            self._dead_since = None
            return False
        if self._dead_since is None:
            self._dead_since = now
        return now - self._dead_since >= DEAD_S

    def _last_words(self) -> str:
        state = self._stage.board.view(self.node).state
        said = self._stage.board.events(self.node, "failed") or self._stage.board.events(self.node, "error")
        reason = f": {said[-1].fields.get('reason', '')}" if said else ""
        return f"the node ended with status {state.exit_code}{reason}"

    def _settle(self, *, passed: bool, measured: str, time: float | None) -> None:
        self.answer = Answer(self.node, passed, measured, time, self._check.where_to_look())
