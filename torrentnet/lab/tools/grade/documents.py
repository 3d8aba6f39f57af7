"""Results for other programs: Gradescope, JUnit, a spreadsheet, one JSON document.

Tested by tests/unit/lab/tools/grade/test_documents.py.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from torrentnet.lab.tools.grade.marks import State
from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torrentnet.lab.tools.grade.marks import CriterionMark
    from torrentnet.lab.tools.grade.results import SubmissionResult
    from torrentnet.lab.tools.grade.rubric import Criterion, Rubric

SCHEMA: Final = 1
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""With these a spreadsheet takes a cell for a formula (OWASP, CSV Injection)."""


def verdict_text(criterion: Criterion, mark: CriterionMark, *, details: bool) -> str:
    """Return what a student reads of one criterion: did, expected, saw, hint."""
    lines = [criterion.did, criterion.expected and f"Expected: {criterion.expected}"]
    if details:
        lines.append(mark.saw and f"Seen: {mark.saw}")
        lines.append("Attempts disagreed." if mark.unsteady else "")
    if mark.state not in {State.FULL, State.NOT_TRIED}:
        lines.append(criterion.hint and f"Hint: {criterion.hint}")
    return "\n".join(escape_controls(line) for line in lines if line)


def gradescope(rubric: Rubric, result: SubmissionResult, *, details: bool) -> dict[str, Any]:
    """Return a submission's ``results.json`` in Gradescope's form.

    https://gradescope-autograders.readthedocs.io/en/latest/specs/.
    """
    marks = {mark.key: mark for mark in result.marks}
    return {
        "score": result.points,
        "execution_time": round(result.seconds),
        "output": escape_controls(result.error),
        "output_format": "text",
        "visibility": "visible",
        "tests": [
            {
                "number": criterion.key,
                "name": criterion.title,
                "score": marks[criterion.key].points,
                "max_score": criterion.points,
                "status": "passed" if marks[criterion.key].state is State.FULL else "failed",
                "output": verdict_text(criterion, marks[criterion.key], details=details),
                "output_format": "text",
                "visibility": "visible",
            }
            for criterion in rubric.criteria
        ],
    }


def class_document(rubric: Rubric, results: Iterable[SubmissionResult]) -> dict[str, Any]:
    """Return the whole class as one document, for ``--json``."""
    return {
        "schema": SCHEMA,
        "rubric": rubric.name,
        "points": rubric.points,
        "criteria": [
            {"key": criterion.key, "title": criterion.title, "points": criterion.points}
            for criterion in rubric.criteria
        ],
        "submissions": [
            {
                "name": result.name,
                "points": result.points,
                "error": result.error or None,
                "unsteady": list(result.unsteady),
                "not_judged": list(result.not_judged),
                "seconds": result.seconds,
                "marks": {
                    mark.key: {"state": str(mark.state), "points": mark.points, "saw": mark.saw}
                    for mark in result.marks
                },
            }
            for result in results
        ],
    }


def class_csv(rubric: Rubric, results: Sequence[SubmissionResult]) -> str:
    """Return the class as CSV: a submission a row, a criterion a column."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["submission", "points", *(criterion.key for criterion in rubric.criteria), "unsteady", "remark"])
    for result in results:
        points = {mark.key: mark.points if mark.state is not State.NOT_JUDGED else "?" for mark in result.marks}
        cells = [result.name, result.points, *(points[criterion.key] for criterion in rubric.criteria)]
        writer.writerow([_cell(cell) for cell in (*cells, " ".join(result.unsteady), result.error)])
    return text.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    flat = escape_controls(value)
    return f"'{flat}" if flat.startswith(FORMULA_STARTS) else flat


def junit_xml(rubric: Rubric, results: Iterable[SubmissionResult]) -> str:
    """Return the class as JUnit's XML: a suite a submission, a case a criterion."""
    suites = ET.Element("testsuites", name=rubric.name)
    for result in results:
        suite = ET.SubElement(suites, "testsuite", name=result.name, time=f"{result.seconds:.1f}")
        for criterion, mark in zip(rubric.criteria, result.marks, strict=True):
            name = f"{criterion.key} {criterion.title} ({mark.points:g} of {criterion.points:g})"
            case = ET.SubElement(suite, "testcase", classname=result.name, name=name)
            text = verdict_text(criterion, mark, details=True)
            if mark.state in {State.NOT_TRIED, State.NOT_JUDGED}:
                ET.SubElement(case, "skipped", message=f"{mark.state}: {escape_controls(mark.saw)}")
            elif mark.state is not State.FULL:
                ET.SubElement(case, "failure", message=escape_controls(mark.saw) or str(mark.state)).text = text
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
