"""From attempts to marks.

Pure functions: they see what an experiment's expectations measured, and the rubric.

Tested by tests/unit/lab/tools/grade/test_marks.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from torrentnet.lab.tools.grade.rubric import CreditRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torrentnet.lab.tools.grade.rubric import Criterion, Demand

MAX_SAW: Final = 400
"""Characters of what was seen: it quotes a node."""
RETRIES: Final = 2
"""Further attempts after a failure; all of them must succeed."""


class Kind(StrEnum):
    """What an attempt is worth."""

    JUDGED = "judged"
    FAILED = "failed"
    """The submission kept the experiment from being judged: it did not start."""
    VOID = "void"
    """The lab was ill: nothing can be said of the submission."""


class State(StrEnum):
    """How a criterion ended."""

    FULL = "full"
    PART = "part"
    NONE = "none"
    NOT_TRIED = "not tried"
    """It needs an earlier one that gave nothing."""
    NOT_JUDGED = "not judged"
    """It cannot be observed, or the lab was ill: a teacher must look."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was measured of one expectation on one node."""

    node: str
    passed: bool
    measured: str
    judged: bool = True
    """Whether the node's reply could be read."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of an experiment."""

    kind: Kind
    answers: tuple[tuple[Answer, ...], ...] = ()
    """Of each expectation of the experiment; empty unless it was judged."""
    error: str = ""
    """Why it was not judged."""
    record: str = ""
    """The run's directory; empty where there is none."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CriterionMark:
    """What a submission gets for one criterion."""

    key: str
    state: State
    points: float
    saw: str = ""
    """What was measured, for the student."""
    unsteady: bool = False
    """Whether attempts disagreed."""
    record: str = ""
    """The run that decided it."""


def mark(criterion: Criterion, attempt: Attempt) -> CriterionMark:
    """Return the mark that one attempt gives."""
    if attempt.kind is not Kind.JUDGED:
        state = State.NONE if attempt.kind is Kind.FAILED else State.NOT_JUDGED
        return CriterionMark(criterion.key, state, 0.0, _cut(attempt.error), record=attempt.record)
    if criterion.credit is CreditRule.SHARE:
        return _by_share(criterion, attempt)
    if holds(criterion.full, attempt):
        saw = _saw(criterion.full, attempt, passed=True)
        return CriterionMark(criterion.key, State.FULL, criterion.points, saw, record=attempt.record)
    saw = _saw(criterion.full, attempt, passed=False)
    if criterion.partial is not None and holds(criterion.partial, attempt):
        return CriterionMark(criterion.key, State.PART, criterion.partial.points, saw, record=attempt.record)
    state = State.NONE if _is_judged(criterion.full, attempt) else State.NOT_JUDGED
    return CriterionMark(criterion.key, state, 0.0, saw, record=attempt.record)


def holds(demand: Demand, attempt: Attempt) -> bool:
    """Return whether an attempt meets a demand."""
    for number in demand.all_of:
        answers = attempt.answers[number]
        if sum(answer.passed for answer in answers) < (demand.enough or len(answers)):
            return False
    return not demand.any_of or any(
        all(answer.passed for answer in attempt.answers[number]) for number in demand.any_of
    )


def _is_judged(demand: Demand, attempt: Attempt) -> bool:
    """Return whether a failure is one: something that could be read does not hold."""
    failed = [answer for number in demand.all_of for answer in attempt.answers[number] if not answer.passed]
    if any(answer.judged for answer in failed):
        return True
    if failed:
        return False
    return any(answer.judged for number in demand.any_of for answer in attempt.answers[number] if not answer.passed)


def _by_share(criterion: Criterion, attempt: Attempt) -> CriterionMark:
    answers = [answer for number in criterion.full.all_of for answer in attempt.answers[number]]
    passed = sum(answer.passed for answer in answers)
    saw = f"{passed} of {len(answers)}"
    if failed := _saw(criterion.full, attempt, passed=False):
        saw += f"; {failed}"
    if passed == len(answers):
        return CriterionMark(criterion.key, State.FULL, criterion.points, saw, record=attempt.record)
    if not passed:
        judged = any(answer.judged for answer in answers)
        return CriterionMark(criterion.key, State.NONE if judged else State.NOT_JUDGED, 0.0, saw, record=attempt.record)
    points = round(criterion.points * passed / len(answers), 1)
    return CriterionMark(criterion.key, State.PART, points, saw, record=attempt.record)


def _saw(demand: Demand, attempt: Attempt, *, passed: bool) -> str:
    """Quote the answers that decide: the failed ones, or the first that passed."""
    places = (*demand.all_of, *demand.any_of)
    found = [answer for number in places for answer in attempt.answers[number] if answer.passed is passed]
    if passed:
        found = found[:1]
    return _cut("; ".join(dict.fromkeys(f"{answer.node}: {answer.measured}" for answer in found)))


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= MAX_SAW else f"{flat[:MAX_SAW]} ..."


def needs_retry(found: CriterionMark, criterion: Criterion) -> bool:
    """Return whether a mark is to be checked by further attempts.

    Where points are given by share, the attempts are part of the criterion.
    """
    return found.state in {State.NONE, State.PART} and criterion.credit is CreditRule.ALL


def combine(criterion: Criterion, first: CriterionMark, attempts: Sequence[Attempt]) -> CriterionMark:
    """Return the mark after further attempts: all of them must succeed."""
    if not needs_retry(first, criterion) or not attempts:
        return first
    again = [mark(criterion, attempt) for attempt in attempts if attempt.kind is not Kind.VOID]
    succeeded = sum(one.state is State.FULL for one in again)
    if again and succeeded == len(again) >= RETRIES:
        return replace(again[-1], unsteady=True)
    return replace(first, unsteady=bool(succeeded))


def untried(criterion: Criterion, marks: Mapping[str, CriterionMark]) -> CriterionMark | None:
    """Return the mark of a criterion that is not tried; None where it is."""
    for key in criterion.needs:
        if (needed := marks.get(key)) and needed.state in {State.NONE, State.NOT_TRIED}:
            return CriterionMark(criterion.key, State.NOT_TRIED, 0.0, f"needs {key}, which got no points")
    return None


def total(marks: Iterable[CriterionMark]) -> float:
    """Return the sum of the points."""
    return round(sum(one.points for one in marks), 2)
