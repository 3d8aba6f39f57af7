"""Which experiments are run, how often, in which order."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from tests.unit.lab.tools.grade.examples import CHOICE, SHARED, STARTS, judged, rubric
from torrentnet.lab.tools.grade.grader import VOID_ATTEMPTS, SubmissionGrader, attempt_seed
from torrentnet.lab.tools.grade.marks import Attempt, CriterionMark, Kind, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.lab.tools.grade.rubric import Experiment

VOID = Attempt(Kind.VOID, error="the lab was late")


class Player:
    """Answers attempts from lists; the last answer of a list stays."""

    def __init__(self, **answers: list[Attempt]) -> None:
        self.answers = answers
        self.played: list[str] = []

    def __call__(self, experiment: Experiment, number: int) -> Attempt:
        assert number >= 0
        self.played.append(experiment.name)
        answers = self.answers[experiment.name]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def at_once(work: Callable[[], Attempt]) -> Future[Attempt]:
    future: Future[Attempt] = Future()
    future.set_result(work())
    return future


def grade(player: Player) -> dict[str, CriterionMark]:
    grader = SubmissionGrader(rubric(STARTS, SHARED, CHOICE), player, at_once)
    return {mark.key: mark for mark in grader.grade()}


def test_each_experiment_is_run_once_when_all_is_well() -> None:
    player = Player(first=[judged("+", "++")], second=[judged("++", "+")])
    marks = grade(player)
    assert player.played == ["first", "second"]
    assert [mark.points for mark in marks.values()] == [4, 10, 6]


def test_what_does_not_start_is_tried_three_times_and_nothing_else_is() -> None:
    player = Player(first=[Attempt(Kind.FAILED, error="no socket")], second=[judged("++", "+")])
    marks = grade(player)
    assert player.played == ["first"] * 3
    assert [mark.state for mark in marks.values()] == [State.NONE, State.NOT_TRIED, State.NOT_TRIED]


def test_a_failure_is_tried_twice_more_and_marked_where_attempts_disagree() -> None:
    player = Player(first=[judged("+", "++")], second=[judged("--", "-"), judged("++", "+")])
    marks = grade(player)
    assert player.played == ["first", "second", "second", "second"]
    assert (marks["3"].points, marks["3"].unsteady) == (6, True)


def test_an_attempt_of_an_ill_lab_is_made_again() -> None:
    player = Player(first=[VOID, judged("+", "++")], second=[judged("++", "+")])
    marks = grade(player)
    assert player.played == ["first", "first", "second"]
    assert marks["1"].state is State.FULL
    assert not marks["1"].unsteady


def test_a_lab_that_stays_ill_judges_nothing() -> None:
    player = Player(first=[judged("+", "++")], second=[VOID])
    marks = grade(player)
    assert player.played == ["first", *["second"] * VOID_ATTEMPTS]
    assert marks["3"].state is State.NOT_JUDGED


def test_seeds_are_the_same_for_all_and_differ_between_attempts() -> None:
    seeds = {attempt_seed(1, "first", number) for number in range(3)} | {attempt_seed(2, "first", 0)}
    assert len(seeds) == 4
    assert attempt_seed(1, "first", 0) == attempt_seed(1, "first", 0)
