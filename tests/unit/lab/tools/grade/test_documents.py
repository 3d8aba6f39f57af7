"""Documents for other programs."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from xml.etree import ElementTree as ET

from tests.unit.lab.tools.grade.examples import CHOICE, KEY, STARTS, rubric
from torrentnet.lab.tools.grade.documents import class_csv, class_document, gradescope, junit_xml
from torrentnet.lab.tools.grade.marks import CriterionMark, State
from torrentnet.lab.tools.grade.results import SubmissionResult

RUBRIC = rubric(replace(STARTS, did="Started it.", expected="It runs.", hint="Try it."), CHOICE)
HOSTILE = '=HYPERLINK("x")\x1b[2J</script>\u202e'
RESULT = SubmissionResult(
    "ada",
    KEY,
    (CriterionMark("1", State.NONE, 0, HOSTILE), CriterionMark("3", State.NOT_JUDGED, 0, "nobody asked")),
    HOSTILE,
    12.4,
)


def test_gradescope_has_a_test_for_each_criterion_that_a_student_sees() -> None:
    document = gradescope(RUBRIC, RESULT, details=True)
    assert document["score"] == 0
    first, second = document["tests"]
    assert (first["number"], first["score"], first["max_score"], first["status"]) == ("1", 0, 4, "failed")
    assert first["output"].splitlines()[:2] == ["Started it.", "Expected: It runs."]
    assert "\x1b" not in first["output"]
    assert second["visibility"] == "visible"


def test_with_the_final_seed_nothing_measured_is_shown() -> None:
    document = gradescope(RUBRIC, RESULT, details=False)
    assert document["tests"][0]["output"] == "Started it.\nExpected: It runs.\nHint: Try it."


def test_no_cell_of_the_table_is_a_formula() -> None:
    (head, row) = csv.reader(io.StringIO(class_csv(RUBRIC, [RESULT])))
    assert head == ["submission", "points", "1", "3", "unsteady", "remark"]
    assert row[:5] == ["ada", "0", "0", "?", ""]
    assert row[5].startswith("'=")
    assert row[5].isprintable()


def test_junit_tells_failures_from_what_was_not_judged() -> None:
    suites = ET.fromstring(junit_xml(RUBRIC, [RESULT]))
    suite = suites.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "1")


def test_the_class_is_one_document() -> None:
    document = class_document(RUBRIC, [RESULT])
    (row,) = document["submissions"]
    assert row["not_judged"] == ["3"]
    assert row["marks"]["1"]["state"] == "none"
    assert document["points"] == 10
