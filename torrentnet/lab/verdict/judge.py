"""Asks every expectation until all are decided, the engine has failed or time is up."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from torrentnet.lab.verdict.expectation import LINE_DELAY, ExpectationResult, PendingExpectation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torrentnet.lab.run.timeline.timeline import Timeline
    from torrentnet.lab.scenario.plan import Plan
    from torrentnet.lab.verdict.check import CheckContext

MAX_PARALLEL_CHECKS = 4
MAX_WAIT = 0.5
MIN_WAIT = 0.02
LATE_GRACE = LINE_DELAY + 0.5
"""After the time limit: an expectation's own deadline may be the limit itself."""


def judge(plan: Plan, stage: CheckContext, timeline: Timeline) -> tuple[ExpectationResult, ...]:
    """Wait until all is decided and the timeline is over. Raises EngineError where the engine fails.

    The wait ends with whatever comes in from a node; the longest pause only bounds how late a deadline is noticed.
    What has to hold to the end keeps nobody waiting: it is decided when all else is.
    """
    questions = [
        [PendingExpectation(expected, node, stage) for node in expected.nodes] for expected in plan.expectations
    ]
    flat = [question for of_one in questions for question in of_one]
    decided: float | None = None
    with ThreadPoolExecutor(MAX_PARALLEL_CHECKS, "judge") as hands:
        while True:
            version = stage.board.version
            if timeline.broken is not None:
                raise timeline.broken
            now = stage.clock.now()
            due = [question for question in flat if question.answer is None and question.due() <= now]
            list(hands.map(PendingExpectation.ask, due))
            still = [question for question in flat if question.answer is None]
            now = stage.clock.now()
            if not timeline.over or not all(question.open_ended for question in still):
                decided = None
            elif decided is None:
                decided = now
            # The last lines of what has happened may be on their way.
            if decided is not None and (not still or now >= decided + LINE_DELAY):
                list(hands.map(PendingExpectation.finish, still))
                break
            if now > plan.time_limit + LATE_GRACE:
                list(hands.map(PendingExpectation.finish, [question for question in still if question.open_ended]))
                for question in still:
                    question.give_up(f"the time limit of {plan.time_limit:g} s is over")
                break
            stage.board.wait_change(version, _pause(still, now))
    return tuple(_expectation_result(of_one) for of_one in questions)


def _pause(open_questions: Sequence[PendingExpectation], now: float) -> float:
    """Until the next question may be asked that nothing but time lets be asked again."""
    next_due = min((due for question in open_questions if (due := question.due()) > now), default=math.inf)
    return min(MAX_WAIT, max(MIN_WAIT, next_due - now))


def _expectation_result(questions: list[PendingExpectation]) -> ExpectationResult:
    return ExpectationResult(questions[0].plan, tuple(question.answer for question in questions if question.answer))
