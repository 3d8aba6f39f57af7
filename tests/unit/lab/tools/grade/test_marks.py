"""Marks from what was measured."""

from __future__ import annotations

import pytest

from tests.unit.lab.tools.grade.examples import CHOICE, SHARED, STARTS, TOLD, judged
from torrentnet.lab.tools.grade.marks import (
    Attempt,
    CriterionMark,
    Kind,
    State,
    combine,
    mark,
    needs_retry,
    total,
    untried,
)

VOID = Attempt(Kind.VOID, error="the lab was late")


@pytest.mark.parametrize(
    ("signs", "state", "points"),
    [
        ("++", State.FULL, 4),
        ("+-", State.NONE, 0),
        ("--", State.NONE, 0),
        ("??", State.NOT_JUDGED, 0),
        ("?-", State.NONE, 0),
    ],
)
def test_all_nodes_must_pass(signs: str, state: State, points: float) -> None:
    found = mark(STARTS, judged(signs, "+"))
    assert (found.state, found.points) == (state, points)


@pytest.mark.parametrize(
    ("signs", "state", "points"),
    [("+++++", State.FULL, 10), ("+++--", State.PART, 6), ("-----", State.NONE, 0), ("?????", State.NOT_JUDGED, 0)],
)
def test_points_by_share(signs: str, state: State, points: float) -> None:
    found = mark(SHARED, judged("+", signs))
    assert (found.state, found.points) == (state, points)


@pytest.mark.parametrize(
    ("attempt", "state", "points"),
    [
        (judged("++-", "+", "", ""), State.FULL, 6),
        (judged("+--", "+", "", ""), State.PART, 3),
        (judged("+--", "-", "", ""), State.NONE, 0),
    ],
)
def test_some_nodes_are_enough_and_less_gives_some_points(attempt: Attempt, state: State, points: float) -> None:
    found = mark(CHOICE, attempt)
    assert (found.state, found.points) == (state, points)


@pytest.mark.parametrize(
    ("attempt", "state"),
    [
        (judged("", "+", "-", "+"), State.FULL),
        (judged("", "+", "+", "-"), State.FULL),
        (judged("", "+", "-", "-"), State.NONE),
        (judged("", "-", "+", "+"), State.NONE),
    ],
)
def test_one_of_several_must_hold(attempt: Attempt, state: State) -> None:
    assert mark(TOLD, attempt).state is state


def test_what_does_not_start_gives_nothing_and_an_ill_lab_no_verdict() -> None:
    failed = mark(STARTS, Attempt(Kind.FAILED, error="tracker ended\nwith status 1"))
    assert (failed.state, failed.saw) == (State.NONE, "tracker ended with status 1")
    assert mark(STARTS, VOID).state is State.NOT_JUDGED


def test_what_a_node_said_is_cut() -> None:
    long = Attempt(Kind.FAILED, error="x" * 10_000)
    assert len(mark(STARTS, long).saw) < 500


@pytest.mark.parametrize(
    ("again", "points", "unsteady"),
    [
        ([judged("+"), judged("+")], 4, True),
        ([judged("+"), judged("-")], 0, True),
        ([judged("-"), judged("-")], 0, False),
        ([judged("+"), VOID], 0, True),
        ([], 0, False),
    ],
)
def test_after_a_failure_both_of_two_more_must_succeed(again: list[Attempt], points: float, unsteady: bool) -> None:
    found = combine(STARTS, mark(STARTS, judged("-")), again)
    assert (found.points, found.unsteady) == (points, unsteady)


def test_a_success_is_not_repeated() -> None:
    first = mark(STARTS, judged("+"))
    assert not needs_retry(first, STARTS)
    assert combine(STARTS, first, [judged("-"), judged("-")]) is first


def test_attempts_by_share_belong_to_the_criterion() -> None:
    assert not needs_retry(mark(SHARED, judged("+", "--")), SHARED)


def test_what_needs_an_earlier_one_is_not_tried() -> None:
    marks = {"1": CriterionMark("1", State.NONE, 0)}
    found = untried(SHARED, marks)
    assert found is not None
    assert (found.state, found.saw) == (State.NOT_TRIED, "needs 1, which got no points")
    assert untried(SHARED, {"1": CriterionMark("1", State.FULL, 4)}) is None
    assert untried(SHARED, {"1": CriterionMark("1", State.NOT_JUDGED, 0)}) is None


def test_the_sum_has_no_rounding_noise() -> None:
    assert total([CriterionMark("a", State.PART, 0.1), CriterionMark("b", State.PART, 0.2)]) == 0.3
