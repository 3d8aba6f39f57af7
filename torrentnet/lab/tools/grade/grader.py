"""Grading of one submission: which experiments are run, and how often.

Tested by tests/unit/lab/tools/grade/test_grader.py.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from torrentnet.lab.tools.grade.marks import (
    RETRIES,
    Attempt,
    CriterionMark,
    Kind,
    State,
    combine,
    mark,
    needs_retry,
    untried,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from torrentnet.lab.tools.grade.rubric import Experiment, Rubric

VOID_ATTEMPTS: Final = 3
"""How often an attempt is made again because the lab was ill."""


class Play(Protocol):
    """Runs an experiment once; ``number`` counts its attempts."""

    def __call__(self, experiment: Experiment, number: int) -> Attempt:
        """Return what was measured."""


class StartAttempt(Protocol):
    """Calls a function on another thread as soon as a lab may be started."""

    def __call__(self, work: Callable[[], Attempt], /) -> Future[Attempt]:
        """Return the attempt to come."""


@dataclass(slots=True)
class SubmissionGrader:
    """Grades one submission by a rubric.

    The experiment of the first criterion is run first: what does not start needs no other one.
    """

    rubric: Rubric
    play: Play
    submit: StartAttempt
    _attempts: dict[str, list[Attempt]] = field(default_factory=dict)

    def grade(self) -> tuple[CriterionMark, ...]:
        """Return the mark of every criterion, in the rubric's order."""
        names = list(dict.fromkeys(criterion.experiment for criterion in self.rubric.criteria))
        self._run(names[:1], 1)
        self._run([name for name in names[1:] if self._is_needed(name)], 1)
        first = self._marks()
        again = [
            criterion.experiment
            for criterion in self.rubric.criteria
            if needs_retry(first[criterion.key], criterion) and self._is_steady_lab(criterion.experiment)
        ]
        self._run(list(dict.fromkeys(again)), RETRIES)
        return tuple(self._marks().values())

    def _is_needed(self, name: str) -> bool:
        marks = self._marks()
        return any(untried(criterion, marks) is None for criterion in self.rubric.of_experiment(name))

    def _is_steady_lab(self, name: str) -> bool:
        return self._attempts[name][0].kind is not Kind.VOID

    def _run(self, names: list[str], times: int) -> None:
        wanted = [name for name in names for _ in range(times)]
        experiments = {experiment.name: experiment for experiment in self.rubric.experiments}
        futures: list[tuple[str, Future[Attempt]]] = []
        for name in wanted:
            number = len(self._attempts.setdefault(name, [])) + sum(one == name for one, _ in futures)
            futures.append((name, self.submit(self._work(experiments[name], number))))
        for name, future in futures:
            self._attempts[name].append(future.result())

    def _work(self, experiment: Experiment, number: int) -> Callable[[], Attempt]:
        def work() -> Attempt:
            found = self.play(experiment, number)
            for again in range(1, VOID_ATTEMPTS):
                if found.kind is not Kind.VOID:
                    break
                found = self.play(experiment, number + 100 * again)
            return found

        return work

    def _marks(self) -> dict[str, CriterionMark]:
        """Return the marks of the criteria whose experiment has been run or is not needed."""
        marks: dict[str, CriterionMark] = {}
        for criterion in self.rubric.criteria:
            attempts = self._attempts.get(criterion.experiment)
            if (not_tried := untried(criterion, marks)) is not None:
                marks[criterion.key] = not_tried
            elif attempts:
                marks[criterion.key] = combine(criterion, mark(criterion, attempts[0]), attempts[1:])
        return marks


def attempt_seed(seed: int, experiment: str, number: int) -> int:
    """Return the seed of an attempt.

    It is the same for every submission, and another one for each attempt.
    """
    text = f"{seed} {experiment} {number}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big")


def marks_without_a_run(rubric: Rubric, reason: str) -> tuple[CriterionMark, ...]:
    """Return the marks of a submission that cannot be run."""
    return tuple(CriterionMark(criterion.key, State.NONE, 0.0, reason) for criterion in rubric.criteria)
