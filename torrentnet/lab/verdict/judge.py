"""The evaluation of a scenario's expectations.

The evaluation ends when all expectations are decided, the engine has failed, or time is up. An expectation is evaluated
on each of its nodes separately, and again after every change, until it holds or its time is up. An expectation that
must always hold is evaluated until it fails, or its time is over.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.errors import EngineError
from torrentnet.lab.scenario.plan.expectations import (
    Always,
    At,
    BecomesCheckPlan,
    BytesCheckPlan,
    ConsoleCheckPlan,
    ExitCheckPlan,
    ExpectationPlan,
    ForgetsCheckPlan,
    HasCheckPlan,
    KnowsCheckPlan,
    LogCheckPlan,
    PairsCheckPlan,
    StateCheckPlan,
    Within,
)
from torrentnet.lab.scenario.plan.plan import NodeProgram
from torrentnet.lab.verdict.checks import (
    Check,
    CheckResult,
    ConsoleCheck,
    FileCheck,
    ForgottenPeersCheck,
    NodeStatusCheck,
    PeerStateCheck,
)
from torrentnet.lab.verdict.counting_checks import ExitCheck, KnownPeersCheck, LogCheck, PairsCheck, TrafficCheck
from torrentnet.lab.verdict.observed_checks import ListedPeersCheck, ObservedFileCheck, ObservedForgettingCheck
from torrentnet.lab.verdict.outcome import ExpectationResult, NodeResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torrentnet.lab.run.timeline.timeline import Timeline
    from torrentnet.lab.scenario.plan.plan import Plan
    from torrentnet.lab.verdict.checks import CheckContext

LINE_DELAY: Final = 0.5
"""A line that was printed in time may arrive this much later."""
EXIT_GRACE: Final = 1.0
"""After this time the last lines of a node that has ended have arrived."""
MIN_RETRY_INTERVAL: Final = 0.2
MAX_RETRY_INTERVAL: Final = 1.0
RETRY_GROWTH: Final = 1.5
MAX_FAILURES: Final = 4
MAX_PARALLEL_CHECKS: Final = 4
MAX_WAIT: Final = 0.5
"""Bounds how late a deadline is noticed."""
MIN_WAIT: Final = 0.02
MAX_LAG: Final = 30.0
"""After the time limit: for a stream that breaks off again and again."""
LATE_GRACE: Final = LINE_DELAY + 0.5
"""After the time limit, which may be an expectation's own deadline."""

CHECK_TYPES: Final[Mapping[type[ExpectationPlan], type[Check[Any]]]] = {
    HasCheckPlan: FileCheck,
    BecomesCheckPlan: PeerStateCheck,
    ForgetsCheckPlan: ForgottenPeersCheck,
    ConsoleCheckPlan: ConsoleCheck,
    StateCheckPlan: NodeStatusCheck,
    KnowsCheckPlan: KnownPeersCheck,
    LogCheckPlan: LogCheck,
    ExitCheckPlan: ExitCheck,
    BytesCheckPlan: TrafficCheck,
    PairsCheckPlan: PairsCheck,
}
OBSERVED_CHECK_TYPES: Final[Mapping[type[ExpectationPlan], type[Check[Any]]]] = {
    HasCheckPlan: ObservedFileCheck,
    ForgetsCheckPlan: ObservedForgettingCheck,
    KnowsCheckPlan: ListedPeersCheck,
}
"""Of nodes whose programs the scenario brings along; the other checks are the same."""


def judge(plan: Plan, context: CheckContext, timeline: Timeline) -> tuple[ExpectationResult, ...]:
    """Wait until all expectations are decided; return the results.

    The timeline must have finished too. Every line and state change ends a wait. An expectation that must hold to the
    end does not prolong the run: it is decided when everything else is. Raises EngineError where the engine
    fails, NotJudgedError where something of all nodes was lost.
    """
    by_plan = [[PendingExpectation(one, node, context) for node in one.nodes] for one in plan.expectations]
    everything = [pending for of_one in by_plan for pending in of_one]
    decided: float | None = None
    with ThreadPoolExecutor(MAX_PARALLEL_CHECKS, "judge") as pool:
        while True:
            version = context.lab_state.version
            if timeline.engine_error is not None:
                raise timeline.engine_error
            context.lab_state.require_complete()
            now = context.clock.now()
            due = [pending for pending in everything if pending.result is None and pending.due() <= now]
            list(pool.map(PendingExpectation.evaluate, due))
            undecided = [pending for pending in everything if pending.result is None]
            now = context.clock.now()
            if not timeline.finished or not all(pending.open_ended for pending in undecided):
                decided = None
            elif decided is None:
                decided = now
            # Lines may still be on their way.
            lags = any(pending.lags for pending in undecided) and now < plan.time_limit + LATE_GRACE + MAX_LAG
            if decided is not None and not lags and (not undecided or now >= decided + LINE_DELAY):
                list(pool.map(PendingExpectation.finish, undecided))
                break
            if now > plan.time_limit + LATE_GRACE and not lags:
                list(pool.map(PendingExpectation.finish, [one for one in undecided if one.open_ended]))
                for pending in undecided:
                    pending.fail(f"the time limit of {plan.time_limit:g} s is over")
                break
            next_due = min((due_at for pending in undecided if (due_at := pending.due()) > now), default=math.inf)
            context.lab_state.wait_change(version, min(MAX_WAIT, max(MIN_WAIT, next_due - now)))
    return tuple(_result_of(of_one) for of_one in by_plan)


def _result_of(of_one: Sequence[PendingExpectation]) -> ExpectationResult:
    return ExpectationResult(of_one[0].plan, tuple(pending.result for pending in of_one if pending.result))


def _make_check(plan: ExpectationPlan, node: str, context: CheckContext) -> Check[Any]:
    kind = CHECK_TYPES[type(plan)]
    if context.nodes[node].program is NodeProgram.FOREIGN:
        kind = OBSERVED_CHECK_TYPES.get(type(plan), kind)
    return kind(plan, node, context)


class PendingExpectation:
    """One expectation on one node. Call :meth:`evaluate` until there is a result."""

    def __init__(self, plan: ExpectationPlan, node: str, context: CheckContext) -> None:
        self.plan = plan
        self.node = node
        self.result: NodeResult | None = None
        self._context = context
        self._check = _make_check(plan, node, context)
        self._retry_interval = MIN_RETRY_INTERVAL
        self._next = 0.0
        self._dead_since: float | None = None
        self._last_measured = ""
        self._unreadable = False
        """Whether the last reply of a node that runs said nothing."""
        self._asked_at_deadline = False
        """Whether the node has answered since the deadline of ``within``."""
        self._failures = 0
        """Queries of a running node that failed in succession."""
        self._evaluations = 0
        self._holds = False
        """Whether the check held at the last evaluation."""

    @property
    def lags(self) -> bool:
        """Whether lines that the check reads are late."""
        return self._check.reads_lines and self.node in self._context.engine.lagging()

    def _is_lost(self) -> bool:
        """Return whether lines were lost that the check reads.

        Then the result is that nobody knows.
        """
        reason = self._context.lab_state.losses.get(self.node, "") if self._check.reads_lines else ""
        if not reason and self.lags and self._context.clock.now() > self._context.time_limit + MAX_LAG:
            reason = f"the log of {self.node} broke off again and again"
        if reason and self.result is None:
            self.result = NodeResult(self.node, False, reason, None, self._check.inspect_command(), judged=False)
        return bool(reason)

    def due(self) -> float:
        """Return when to evaluate again if nothing changes, in seconds after t = 0."""
        match self.plan.timing:
            case At(time=time):
                # The lines that count must have arrived.
                return max(time + (LINE_DELAY if isinstance(self.plan, LogCheckPlan) else 0.0), self._next)
            case Always(start=start):
                return max(start, self._next)
            case Within():
                return self._next

    @property
    def open_ended(self) -> bool:
        """Whether only the end of the run can decide the expectation, in :meth:`finish`."""
        if self.result is not None or (base := self._base()) is None:
            return False
        match self.plan.timing:
            case Always(seconds=seconds):
                return seconds == math.inf and self._evaluations > 0
            case Within() as within:
                limit = self._context.time_limit
                return self._check.capped and self._holds and within.deadline(base, limit) >= limit
            case At():
                return False

    def evaluate(self) -> None:
        """Evaluate the check; set :attr:`result` once it is decided.

        Raises EngineError where the engine fails.
        """
        now = self._context.clock.now()
        if now < self.due() or self._is_lost():
            return
        if self.lags:
            # Lines count by their own times, however late they are read.
            self._next = now + MIN_RETRY_INTERVAL
            return
        base = self._base()
        if base is None:
            self._check_base(now)
            return
        match self.plan.timing:
            case At(time=time):
                found = self._evaluate_check(base, time)
                self._decide(found.holds, found.measured, now if found.time is None else found.time)
            case Always(seconds=seconds):
                self._evaluate_always(base, base + seconds, now)
            case Within() as within:
                self._evaluate_within(base, within.deadline(base, self._context.time_limit), now)

    def _evaluate_within(self, base: float, deadline: float, now: float) -> None:
        found = self._evaluate_check(base, deadline)
        # What a node answers later says nothing about the deadline.
        in_time = (
            found.time <= deadline if found.time is not None else self._check.capped or not self._asked_at_deadline
        )
        if found.impossible:
            self._decide(False, found.measured, now)
        elif found.holds and self._check.capped:
            # The count must not exceed its bound before time is up.
            if now > deadline + LINE_DELAY:
                self._decide(in_time, found.measured, found.time)
        elif found.holds and in_time:
            self._decide(True, found.measured, found.time if found.time is not None else now)
        elif found.holds:
            self._decide(False, f"{found.measured}: too late", found.time)
        elif now > deadline + LINE_DELAY:
            self._decide(False, found.measured, None)
        elif self._is_dead(now):
            self._decide(False, self._with_exit_reason(found.measured), None)
        if found.queried:
            self._next = now + self._retry_interval
            self._retry_interval = min(MAX_RETRY_INTERVAL, self._retry_interval * RETRY_GROWTH)
            if now < deadline:
                self._next = min(self._next, deadline)
            else:
                self._asked_at_deadline = found.reachable and not self._unreadable

    def _evaluate_always(self, begin: float, end: float, now: float) -> None:
        found = self._evaluate_check(begin, end)
        if not found.reachable or (self._unreadable and self._failures < MAX_FAILURES):
            self._next = now + MIN_RETRY_INTERVAL
            return
        if found.waits and now < end:
            self._next = now + self._check.interval
            return
        self._evaluations += 1
        if not found.holds:
            before = "" if self._evaluations == 1 else f"; it had held for {now - begin:.1f} s"
            self._decide(False, found.measured + before, now)
        elif now >= end + (LINE_DELAY if isinstance(self.plan, LogCheckPlan) else 0.0):
            self._decide(True, self._held_text(found.measured, end - begin), end)
        elif found.queried:
            self._next = now + self._check.interval if now >= end else min(end, now + self._check.interval)

    def _held_text(self, measured: str, seconds: float) -> str:
        checked = f"checked {self._evaluations} times" if self._evaluations > 1 else "checked once"
        return f"{measured}; held for {seconds:.1f} s, {checked}"

    def finish(self) -> None:
        """Decide an :attr:`open_ended` expectation at the end of the run.

        A last evaluation decides the expectation.
        """
        base = self._base()
        if self.result is not None or base is None or self._is_lost():
            return
        now = self._context.clock.now()
        found = self._evaluate_check(base, math.inf)
        if not isinstance(self.plan.timing, Always):
            self._decide(found.holds, found.measured, found.time if found.time is not None else now)
            return
        self._evaluations += found.reachable
        # A node that cannot be queried now was queried before; else this would not be open-ended.
        holds = found.holds or not found.reachable
        self._decide(holds, self._held_text(found.measured, now - base) if holds else found.measured, now)

    def fail(self, reason: str) -> None:
        """Fail the expectation unless it is decided: the run is over."""
        if self.result is None and not self._is_lost():
            self._decide(False, f"{self._last_measured}; {reason}" if self._last_measured else reason, None)

    def _evaluate_check(self, base: float, until: float) -> CheckResult:
        try:
            found = self._check.evaluate(base, until)
        except EngineError as error:
            # A node that is down cannot be queried, which is a result, and it may be up again in time. A node may also
            # have come up since the query, so that only repeated failures mean that the engine has failed.
            down = self._is_down()
            self._failures += not down
            if self._failures == MAX_FAILURES:
                raise
            found = CheckResult(holds=False, measured=error.message, reachable=down)
            self._unreadable = False
        else:
            self._unreadable = found.unreadable and not self._is_down()
            self._failures = self._failures + 1 if self._unreadable else 0
        self._last_measured, self._holds = found.measured, found.holds
        return found

    def _is_down(self) -> bool:
        return self._context.engine.state(self.node).status is not NodeStatus.RUNNING

    def _base(self) -> float | None:
        """Return the time from which ``within`` and ``always`` count.

        Returns None while that time is unknown.
        """
        if self.plan.after is not None:
            return self._context.timeline.began_at(self.plan.after)
        return self.plan.timing.start if isinstance(self.plan.timing, Always) else 0.0

    def _check_base(self, now: float) -> None:
        after = self.plan.after
        if after is not None and self._context.timeline.failed(after):
            self._decide(False, "the event that it counts from changed nothing", None)
        elif now > self._context.time_limit:
            self._decide(False, "the event that it counts from did not happen", None)

    def _is_dead(self, now: float) -> bool:
        """Return whether the node's program has ended for good.

        Waiting for the program is then useless.
        """
        if isinstance(self.plan, StateCheckPlan):
            return False
        status = self._context.lab_state.snapshot(self.node).state.status
        if status not in {NodeStatus.EXITED, NodeStatus.GONE} or self._context.timeline.will_start(self.node):
            self._dead_since = None
            return False
        if self._dead_since is None:
            self._dead_since = now
        return now - self._dead_since >= EXIT_GRACE

    def _with_exit_reason(self, measured: str) -> str:
        if isinstance(self.plan, ExitCheckPlan):
            return measured
        lab_state = self._context.lab_state
        errors = lab_state.events(self.node, "failed") or lab_state.events(self.node, "error")
        reason = f": {errors[-1].fields.get('reason', '')}" if errors else ""
        code = lab_state.snapshot(self.node).state.exit_code
        return f"{measured}; the node ended with status {code}{reason}"

    def _decide(self, passed: bool, measured: str, time: float | None) -> None:
        judged = passed or not self._unreadable
        if not judged:
            measured = f"could not be checked: {measured}"
        self.result = NodeResult(self.node, passed, measured, time, self._check.inspect_command(), judged=judged)
