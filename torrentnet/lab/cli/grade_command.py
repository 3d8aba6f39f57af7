"""``torrentnet grade``: a rubric, a class of submissions, and a matrix of marks.

Tested by tests/unit/lab/cli/test_app.py and tests/integration/test_grade.py.
"""

from __future__ import annotations

import datetime
import json
import os
from typing import TYPE_CHECKING, Final

from torrentnet.lab.cli.output import print_json
from torrentnet.lab.cli.progress import open_view
from torrentnet.lab.engines.selection import choose_engine, preload_engines
from torrentnet.lab.errors import UsageError
from torrentnet.lab.paths import lab_home, relative_to_home, rubrics_folder, write_atomically
from torrentnet.lab.run.interrupts import Interrupted, InterruptHandler
from torrentnet.lab.tools.grade.attempts import AttemptRunner
from torrentnet.lab.tools.grade.class_run import ClassRun
from torrentnet.lab.tools.grade.documents import class_csv, class_document, gradescope, junit_xml
from torrentnet.lab.tools.grade.load_rubric import find_rubric, load_rubric
from torrentnet.lab.tools.grade.pages import matrix_page, submission_page
from torrentnet.lab.tools.grade.preparation import Preparation, PreparedSubmission
from torrentnet.lab.tools.grade.results import ResultStore
from torrentnet.lab.tools.grade.submissions import REFERENCE, name_submissions
from torrentnet.runtime.process import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torrentnet.lab.tools.grade.results import SubmissionResult
    from torrentnet.lab.tools.grade.rubric import Rubric

MAX_JOBS: Final = 64
MATRIX: Final = "index.html"


def grade(
    rubric_name: str,
    paths: Sequence[str],
    *,
    out: Path,
    jobs: int | None,
    seed: int,
    require: float | None,
    final: bool,
    engine_name: str,
    trust: bool,
    as_json: bool,
) -> int:
    """Grade submissions by a rubric; return the exit status."""
    if jobs is not None and not 1 <= jobs <= MAX_JOBS:
        raise UsageError(f"`--jobs {jobs}` is not between 1 and {MAX_JOBS}")
    rubric = load_rubric(find_rubric(rubric_name, rubrics_folder()))
    submissions = name_submissions(paths)
    home = lab_home()
    store = ResultStore(out)
    with open_view(as_json=as_json, live=False) as view:
        interrupts = InterruptHandler(view.print_line)
        with interrupts.installed():
            with interrupts.shield(message=""):
                preload_engines(engine_name)
            choice = choose_engine(engine_name)
            view.print_line(str(choice))
            choice.engine.close()
            runner = AttemptRunner(choice.engine.name, trust)
            everything = {**submissions, **({REFERENCE: str(rubric.reference)} if rubric.reference else {})}

            preparation = Preparation(rubric, runner, seed)

            def prepare(name: str) -> PreparedSubmission:
                return preparation.prepare(name, everything[name], out / "attempts" / name)

            klass = ClassRun(rubric, store, prepare, jobs or os.cpu_count() or 1, view.print_line, runner.stop)
            code = EXIT_OK
            try:
                klass.run(list(submissions), REFERENCE if rubric.reference else None)
            except Interrupted:
                view.print_line("interrupted; what is graded is kept, and the same command goes on from there")
                code = EXIT_INTERRUPTED
            finally:
                with interrupts.shield():
                    results = [klass.results[name] for name in submissions if name in klass.results]
                    if results:
                        _write(rubric, results, submissions, out, details=not final)
                        view.print_line(f"matrix: {relative_to_home((out / MATRIX).resolve(), home)}")
    if as_json and results:
        print_json(class_document(rubric, results))
    if code == EXIT_OK and require is not None and any(result.points < require for result in results):
        return EXIT_FAILED
    return code


def _write(
    rubric: Rubric, results: Sequence[SubmissionResult], submissions: Mapping[str, str], out: Path, *, details: bool
) -> None:
    """Write the matrix, the pages, and the documents for other programs.

    Raises OSError.
    """
    written = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    ordered = sorted(results, key=lambda result: result.name.lower())
    pages = {result.name: f"{result.name}/index.html" for result in ordered}
    for result in ordered:
        folder = out / result.name
        page = submission_page(rubric, result, submissions[result.name], details=details)
        write_atomically(folder / "index.html", page)
        scores = gradescope(rubric, result, details=details)
        write_atomically(folder / "results.json", json.dumps(scores, indent=1, ensure_ascii=False) + "\n")
    write_atomically(out / "class.csv", class_csv(rubric, ordered))
    write_atomically(out / "junit.xml", junit_xml(rubric, ordered))
    document = json.dumps(class_document(rubric, ordered), indent=1, ensure_ascii=False)
    write_atomically(out / "class.json", document + "\n")
    write_atomically(out / MATRIX, matrix_page(rubric, ordered, pages, written, details=details))
