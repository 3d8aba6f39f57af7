"""A class: the reference between submissions, what is kept, and what goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.tools.grade.examples import STARTS, judged, rubric
from torrentnet.lab.errors import LabError
from torrentnet.lab.tools.grade.class_run import REFERENCE_EVERY, ClassRun
from torrentnet.lab.tools.grade.results import GradingKey, ResultStore

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.tools.grade.marks import Attempt
    from torrentnet.lab.tools.grade.rubric import Experiment


@dataclass
class Submission:
    """A submission that needs no lab."""

    name: str
    log: list[str]
    well: list[bool]
    """Whether the reference's next attempts succeed."""
    error: str = ""

    @property
    def key(self) -> GradingKey:
        return GradingKey("rubric", self.name, 1, "0")

    def play(self, experiment: Experiment, number: int) -> Attempt:
        del experiment, number
        self.log.append(self.name)
        good = self.well[0] if self.name == "reference" else self.name != "bad"
        return judged("+" if good else "-")

    def close(self) -> None:
        if self.name == "reference" and len(self.well) > 1:
            self.well.pop(0)


@dataclass
class Class:
    """A class that is graded in ``directory``."""

    directory: Path
    errors: dict[str, str] = field(default_factory=dict)
    well: list[bool] = field(default_factory=lambda: [True])
    log: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def grade(self, *names: str) -> dict[str, float]:
        def prepare(name: str) -> Submission:
            return Submission(name, self.log, self.well, self.errors.get(name, ""))

        run = ClassRun(rubric(STARTS), ResultStore(self.directory), prepare, 2, self.told.append, lambda: None)
        try:
            run.run(names, "reference")
        finally:
            self.results = run.results
        return {name: result.points for name, result in run.results.items()}


def test_the_reference_is_graded_before_during_and_after(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(REFERENCE_EVERY + 1)]
    klass = Class(tmp_path)
    assert set(klass.grade(*names).values()) == {4}
    assert klass.log[0] == klass.log[-1] == "reference"
    assert klass.log.count("reference") == 3
    assert all(result.confirmed for result in klass.results.values())


def test_a_faulty_submission_costs_nobody_else_a_mark(tmp_path: Path) -> None:
    klass = Class(tmp_path, errors={"broken": "there are two folders with a tracker.py"})
    assert klass.grade("ada", "broken", "bad", "bob") == {"ada": 4, "broken": 0, "bad": 0, "bob": 4}
    (line,) = [line for line in klass.told if "broken" in line]
    assert "there are two folders with a tracker.py" in line


def test_what_is_graded_is_not_graded_again(tmp_path: Path) -> None:
    Class(tmp_path).grade("ada")
    klass = Class(tmp_path)
    assert klass.grade("ada", "bob") == {"ada": 4, "bob": 4}
    assert "ada" not in klass.log
    assert klass.told[0] == "1 of 2 submissions are graded already"
    again = Class(tmp_path)
    again.grade("ada", "bob")
    assert again.log == []


def test_an_ill_lab_ends_the_grading_and_its_marks_are_not_kept(tmp_path: Path) -> None:
    klass = Class(tmp_path, well=[True, False])
    with pytest.raises(LabError, match=r"did not get all points; what was graded since .* \(2\): 1: node-1: saw -"):
        klass.grade("ada", "bob")
    assert klass.results == {}
    well = Class(tmp_path)
    assert well.grade("ada", "bob") == {"ada": 4, "bob": 4}
    assert well.log.count("ada") == 1


def test_a_reference_that_fails_at_once_grades_nobody(tmp_path: Path) -> None:
    klass = Class(tmp_path, well=[False])
    with pytest.raises(LabError, match="the reference did not get all points: 1"):
        klass.grade("ada")
    assert "ada" not in klass.log
