"""Asks every expectation until all are decided, the engine has failed or time is up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from torrentnet.lab.expect import LINES_LATE_S, Judgement, Question

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torrentnet.lab.checks import Stage
    from torrentnet.lab.plan import Plan
    from torrentnet.lab.timeline import Timeline

PARALLEL = 4
LONGEST_WAIT_S = 0.5
SHORTEST_WAIT_S = 0.02
LATE_S = LINES_LATE_S + 0.5
"""After the time limit: an expectation's own deadline may be the limit itself."""


def judge(plan: Plan, stage: Stage, timeline: Timeline) -> tuple[Judgement, ...]:
    """Wait until all is decided and the timeline is over. Raises EngineError where the engine fails.

    The wait ends with whatever comes in from a node; the longest pause only bounds how late a deadline is noticed.
    """
    questions = [[Question(expected, node, stage) for node in expected.nodes] for expected in plan.expectations]
    flat = [question for of_one in questions for question in of_one]
    with ThreadPoolExecutor(PARALLEL, "judge") as hands:
        while True:
            version = stage.board.version
            if timeline.broken is not None:
                raise timeline.broken
            now = stage.clock.now()
            due = [question for question in flat if question.answer is None and question.due() <= now]
            list(hands.map(Question.ask, due))
            open_questions = [question for question in flat if question.answer is None]
            if not open_questions and timeline.over:
                break
            if stage.clock.now() > plan.time_limit + LATE_S:
                for question in open_questions:
                    question.give_up(f"the time limit of {plan.time_limit:g} s is over")
                break
            stage.board.wait_change(version, _pause(open_questions, stage.clock.now()))
    return tuple(_judgement(of_one) for of_one in questions)


def _pause(open_questions: Sequence[Question], now: float) -> float:
    next_due = min((question.due() for question in open_questions), default=now + LONGEST_WAIT_S)
    return min(LONGEST_WAIT_S, max(SHORTEST_WAIT_S, next_due - now))


def _judgement(questions: list[Question]) -> Judgement:
    return Judgement(questions[0].plan, tuple(question.answer for question in questions if question.answer))
