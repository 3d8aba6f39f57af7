"""Whether what had to hold did hold.

An expectation is asked of each of its nodes by itself (a :class:`PendingExpectation`), again whenever something has
changed,
until it holds or its time is up. What must hold always is looked at until it does not, or its time is over. What was
measured on the way is part of the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.errors import EngineError
from torrentnet.lab.scenario.plan import Always, At, ExitCheckPlan, LogCheckPlan, Severity, StateCheckPlan, Within
from torrentnet.lab.verdict.check import CheckResult
from torrentnet.lab.verdict.node_checks import CHECK_TYPES

if TYPE_CHECKING:
    from torrentnet.lab.scenario.plan import ExpectationPlan
    from torrentnet.lab.verdict.check import CheckContext

LINE_DELAY = 0.5
"""A line that was printed in time may arrive this much later."""
EXIT_GRACE = 1.0
"""So long after a node's end its last lines have been read."""
MIN_RETRY_INTERVAL = 0.2
MAX_RETRY_INTERVAL = 1.0
RETRY_GROWTH = 1.5
MAX_ENGINE_FAILURES = 4


@dataclass(frozen=True, slots=True)
class NodeResult:
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
class ExpectationResult:
    """What came of an expectation."""

    plan: ExpectationPlan
    answers: tuple[NodeResult, ...]

    @property
    def passed(self) -> bool:
        """Whether it holds for every node."""
        return all(answer.passed for answer in self.answers)

    @property
    def failed(self) -> bool:
        """Whether the run has failed by it."""
        return not self.passed and self.plan.severity is Severity.FAILURE

    @property
    def warns(self) -> bool:
        """Whether it does not hold and is only told."""
        return not self.passed and self.plan.severity is Severity.WARNING

    @property
    def sentence(self) -> str:
        """What to say of it: the scenario's own words, where it has some."""
        return (self.plan.pass_text if self.passed else self.plan.fail_text) or self.plan.text

    @property
    def telling(self) -> NodeResult:
        """The answer to show where there is room for one: the first that failed, else the latest."""
        failed = next((answer for answer in self.answers if not answer.passed), None)
        return failed or max(self.answers, key=lambda answer: answer.time or 0.0)


class PendingExpectation:
    """One expectation of one node. ``ask`` until there is an answer."""

    def __init__(self, plan: ExpectationPlan, node: str, stage: CheckContext) -> None:
        self.plan = plan
        self.node = node
        self.answer: NodeResult | None = None
        self._stage = stage
        self._check = CHECK_TYPES[type(plan)](plan, node, stage)
        self._pause = MIN_RETRY_INTERVAL
        self._next = 0.0
        self._dead_since: float | None = None
        self._seen = ""
        self._failures = 0
        self._looks = 0
        self._holding = False
        """Whether it was so at the last look."""

    def due(self) -> float:
        """When to ask again if nothing changes, in seconds after t = 0."""
        match self.plan.timing:
            case At(time=time):
                # What is counted in lines is looked at once the lines have come.
                return max(time + (LINE_DELAY if isinstance(self.plan, LogCheckPlan) else 0.0), self._next)
            case Always(start=start):
                return max(start, self._next)
            case Within():
                return self._next

    @property
    def open_ended(self) -> bool:
        """Whether it waits for nothing but the end of the run: :meth:`finish` decides it then."""
        if self.answer is not None or (base := self._base()) is None:
            return False
        match self.plan.timing:
            case Always(seconds=seconds):
                return seconds == math.inf and self._looks > 0
            case Within() as within:
                limit = self._stage.time_limit
                return self._check.capped and self._holding and within.deadline(base, limit) >= limit
            case At():
                return False

    def ask(self) -> None:
        """Look whether it holds; sets ``answer`` once that is decided. Raises EngineError where the engine fails."""
        now = self._stage.clock.now()
        if now < self.due():
            return
        base = self._base()
        if base is None:
            self._without_base(now)
            return
        match self.plan.timing:
            case At(time=time):
                holds = self._look(base, time)
                self._settle(passed=holds.yes, measured=holds.measured, time=now if holds.time is None else holds.time)
            case Always(seconds=seconds):
                self._ask_always(base, base + seconds, now)
            case Within() as within:
                self._ask_within(base, within.deadline(base, self._stage.time_limit), now)

    def _ask_within(self, base: float, deadline: float, now: float) -> None:
        holds = self._look(base, deadline)
        in_time = holds.time is None or holds.time <= deadline
        if holds.hopeless:
            self._settle(passed=False, measured=holds.measured, time=now)
        elif holds.yes and self._check.capped:
            # It must not grow beyond its bound before time is up.
            if now > deadline + LINE_DELAY:
                self._settle(passed=in_time, measured=holds.measured, time=holds.time)
        elif holds.yes and in_time:
            self._settle(passed=True, measured=holds.measured, time=holds.time if holds.time is not None else now)
        elif holds.yes:
            self._settle(passed=False, measured=f"{holds.measured}: too late", time=holds.time)
        elif now > deadline + LINE_DELAY:
            self._settle(passed=False, measured=holds.measured, time=None)
        elif self._is_dead(now):
            self._settle(passed=False, measured=self._with_last_words(holds.measured), time=None)
        if holds.asked:
            self._next = now + self._pause
            self._pause = min(MAX_RETRY_INTERVAL, self._pause * RETRY_GROWTH)

    def _ask_always(self, begin: float, end: float, now: float) -> None:
        holds = self._look(begin, end)
        if not holds.known:
            self._next = now + MIN_RETRY_INTERVAL
            return
        self._looks += 1
        if not holds.yes:
            before = "" if self._looks == 1 else f"; it had held for {now - begin:.1f} s"
            self._settle(passed=False, measured=holds.measured + before, time=now)
        elif now >= end + (LINE_DELAY if isinstance(self.plan, LogCheckPlan) else 0.0):
            self._settle(passed=True, measured=self._held(holds.measured, end - begin), time=end)
        elif holds.asked:
            self._next = now + self._check.pause if now >= end else min(end, now + self._check.pause)

    def _held(self, measured: str, seconds: float) -> str:
        looks = f"looked at {self._looks} times" if self._looks > 1 else "looked at once"
        return f"{measured}; held for {seconds:.1f} s, {looks}"

    def finish(self) -> None:
        """The run has ended in time: decide what was :attr:`open_ended`, by a last look."""
        base = self._base()
        if self.answer is not None or base is None:
            return
        now = self._stage.clock.now()
        holds = self._look(base, math.inf)
        if not isinstance(self.plan.timing, Always):
            self._settle(passed=holds.yes, measured=holds.measured, time=holds.time if holds.time is not None else now)
            return
        self._looks += holds.known
        # A node that cannot be asked just now has been asked before; else this would not be open-ended.
        yes = holds.yes or not holds.known
        self._settle(passed=yes, measured=self._held(holds.measured, now - base) if yes else holds.measured, time=now)

    def give_up(self, why: str) -> None:
        """The run is over: what has not held until now has failed."""
        if self.answer is None:
            self._settle(passed=False, measured=f"{self._seen}; {why}" if self._seen else why, time=None)

    def _look(self, base: float, until: float) -> CheckResult:
        try:
            holds = self._check.look(base, until)
        except EngineError as error:
            # A node that is down cannot be asked: that is an answer, and it may be up again in time. It may have
            # come up since we asked, so that only an engine that fails again and again has failed.
            known = self._stage.engine.state(self.node).status is not NodeStatus.RUNNING
            if not known:
                self._failures += 1
                if self._failures == MAX_ENGINE_FAILURES:
                    raise
            holds = CheckResult(yes=False, measured=error.message, known=known)
        else:
            self._failures = 0
        self._seen, self._holding = holds.measured, holds.yes
        return holds

    def _base(self) -> float | None:
        """The time from which ``within`` and ``always`` count; None while that has not come."""
        if self.plan.after is not None:
            return self._stage.timeline.began(self.plan.after)
        return self.plan.timing.start if isinstance(self.plan.timing, Always) else 0.0

    def _without_base(self, now: float) -> None:
        after = self.plan.after
        if after is not None and self._stage.timeline.never(after):
            self._settle(passed=False, measured="the event that it counts from changed nothing", time=None)
        elif now > self._stage.time_limit:
            self._settle(passed=False, measured="the event that it counts from did not happen", time=None)

    def _is_dead(self, now: float) -> bool:
        """Whether the node's program has ended for good, so that waiting would be in vain."""
        if isinstance(self.plan, StateCheckPlan):
            return False
        view = self._stage.board.view(self.node)
        if view.state.status not in {NodeStatus.EXITED, NodeStatus.GONE} or self._stage.timeline.revives(self.node):
            self._dead_since = None
            return False
        if self._dead_since is None:
            self._dead_since = now
        return now - self._dead_since >= EXIT_GRACE

    def _with_last_words(self, measured: str) -> str:
        return measured if isinstance(self.plan, ExitCheckPlan) else f"{measured}; {self._last_words()}"

    def _last_words(self) -> str:
        state = self._stage.board.view(self.node).state
        said = self._stage.board.events(self.node, "failed") or self._stage.board.events(self.node, "error")
        reason = f": {said[-1].fields.get('reason', '')}" if said else ""
        return f"the node ended with status {state.exit_code}{reason}"

    def _settle(self, *, passed: bool, measured: str, time: float | None) -> None:
        self.answer = NodeResult(self.node, passed, measured, time, self._check.where_to_look())
