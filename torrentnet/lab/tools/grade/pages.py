"""The class matrix and a page for each submission: HTML files that open anywhere.

They have no script, load nothing, and forbid both. Tested by tests/unit/lab/tools/grade/test_pages.py.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from torrentnet.lab.report.html_templates import template_environment
from torrentnet.lab.tools.grade.evidence import read_evidence
from torrentnet.lab.tools.grade.marks import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Environment

    from torrentnet.lab.tools.grade.evidence import Evidence
    from torrentnet.lab.tools.grade.results import SubmissionResult
    from torrentnet.lab.tools.grade.rubric import Rubric

TEMPLATES: Final = Path(__file__).parent / "templates"
SIGNS: Final = {
    State.FULL: "✓",
    State.PART: "◐",
    State.NONE: "✗",
    State.NOT_TRIED: "–",
    State.NOT_JUDGED: "?",
}


def _environment() -> Environment:
    environment = template_environment(TEMPLATES)
    environment.filters["sign"] = lambda state: SIGNS[State(state)]
    environment.filters["css"] = lambda state: str(state) if state in ("full", "part", "none") else "other"
    environment.globals["style"] = Markup((TEMPLATES / "style.css").read_text("utf-8"))
    return environment


def matrix_page(
    rubric: Rubric,
    results: Sequence[SubmissionResult],
    pages: Mapping[str, str],
    written: str,
    *,
    details: bool,
) -> str:
    """Return the matrix of a class; ``pages`` has the path of each submission's page."""
    template = _environment().get_template("matrix.html")
    return template.render(rubric=rubric, results=results, pages=pages, written=written, details=details)


def submission_page(rubric: Rubric, result: SubmissionResult, submission: str, *, details: bool) -> str:
    """Return a submission's page, with the evidence where points were lost."""
    experiments = {experiment.name: experiment for experiment in rubric.experiments}
    words = f"--tracker {shlex.quote(submission)} --peers {shlex.quote(submission)} --for-any"
    runs: dict[str, Evidence] = {}
    rows = []
    for criterion, mark in zip(rubric.criteria, result.marks, strict=True):
        run = None
        if details and mark.state is not State.FULL and mark.record:
            if mark.record not in runs:
                scenario = Path(mark.record).parents[2] / f"{criterion.experiment}.yaml"
                command = f"torrentnet run {shlex.quote(str(scenario))} {words}"
                about = experiments[criterion.experiment].about
                runs[mark.record] = read_evidence(len(runs) + 1, about, command, Path(mark.record))
            run = runs[mark.record].number
        rows.append({"criterion": criterion, "mark": mark, "run": run})
    template = _environment().get_template("submission.html")
    return template.render(rubric=rubric, result=result, rows=rows, runs=list(runs.values()), details=details)
