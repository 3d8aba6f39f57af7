"""Results that outlive the command."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.tools.grade.examples import KEY
from torrentnet.lab.tools.grade.marks import CriterionMark, State
from torrentnet.lab.tools.grade.results import FOLDER, ResultStore, SubmissionResult

if TYPE_CHECKING:
    from pathlib import Path

RESULT = SubmissionResult(
    "ada",
    KEY,
    (CriterionMark("1", State.PART, 2.5, "sağ\udc80", unsteady=True), CriterionMark("2", State.NOT_JUDGED, 0)),
    "",
    3.5,
)


def test_a_result_is_read_back(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.save(replace(RESULT, marks=RESULT.marks[1:]))
    found = store.load("ada", KEY)
    assert found == replace(RESULT, marks=RESULT.marks[1:])
    assert found is not None
    assert store.confirm(found) == store.load("ada", KEY) == replace(found, confirmed=True)


def test_what_a_node_printed_cannot_keep_a_result_from_being_written(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.save(RESULT)
    found = store.load("ada", KEY)
    assert found is not None
    assert (found.points, found.unsteady, found.not_judged) == (2.5, ("1",), ("2",))


@pytest.mark.parametrize("change", [{"rubric": "x"}, {"submission": "x"}, {"seed": 2}, {"version": "x"}])
def test_a_result_of_something_else_is_not_continued(tmp_path: Path, change: dict[str, object]) -> None:
    store = ResultStore(tmp_path)
    store.save(RESULT)
    assert store.load("ada", replace(KEY, **change)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1}', '{"format": 1, "marks": [{}]}'])
def test_half_a_result_is_none(tmp_path: Path, text: str) -> None:
    store = ResultStore(tmp_path)
    store.save(RESULT)
    (tmp_path / FOLDER / "ada.json").write_text(text)
    assert store.load("ada", KEY) is None
