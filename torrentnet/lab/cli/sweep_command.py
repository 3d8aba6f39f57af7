"""``torrentnet sweep``: many labs, one after the other, and one table of figures.

Tested by tests/unit/lab/cli/test_app.py and tests/integration/test_sweep.py.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

from torrentnet.lab.cli.output import print_json
from torrentnet.lab.cli.progress import open_view
from torrentnet.lab.engines.selection import choose_engine, preload_engines
from torrentnet.lab.errors import UsageError
from torrentnet.lab.paths import lab_home, relative_to_home, scenarios_folder
from torrentnet.lab.report.sweep_page import write_sweep_page
from torrentnet.lab.report.write_page import add_page
from torrentnet.lab.run.interrupts import Interrupted, InterruptHandler
from torrentnet.lab.run.recorder import make_dated_directory
from torrentnet.lab.scenario.load import find_plan, parse_settings
from torrentnet.lab.tools.single_run import run_scenario
from torrentnet.lab.tools.sweep import (
    CSV_FILE,
    RESULT_COLUMNS,
    SweepPoint,
    SweepTable,
    exit_status,
    grid_points,
    parse_grid,
    run_points,
)
from torrentnet.runtime.process import EXIT_INTERRUPTED, EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torrentnet.lab.run.view import LabView
    from torrentnet.lab.scenario.plan.plan import Plan
    from torrentnet.lab.scenario.programs.given import GivenPrograms
    from torrentnet.lab.tools.distribution import Distribution
    from torrentnet.lab.verdict.outcome import Outcome

MAX_RUNS: Final = 100


def run_sweep(
    scenario: str,
    grid_words: Sequence[str],
    *,
    repeat: int,
    settings: Sequence[str],
    engine_name: str,
    runs: Path | None,
    as_json: bool,
    programs: GivenPrograms | None = None,
    trust: bool = False,
    report: bool = True,
) -> int:
    """Run a scenario at every point of a grid; return the exit status.

    All input is checked before the first run.
    """
    values = parse_settings(settings)
    grid = parse_grid(grid_words, values)
    if not 1 <= repeat <= MAX_RUNS:
        raise UsageError(f"`--repeat {repeat}` is not between 1 and {MAX_RUNS}")
    if clash := next((name for name in grid if name in RESULT_COLUMNS), None):
        raise UsageError(f"`{clash}` is a column of the figures", hint="give the scenario's parameter another name")
    points = [
        SweepPoint.of(point, find_plan(scenario, scenarios_folder(), {**values, **point}, programs))
        for point in grid_points(grid)
    ]
    home = lab_home()
    with open_view(as_json=as_json, live=False) as view:
        interrupts = InterruptHandler(view.print_line)
        with interrupts.installed():
            with interrupts.shield(message=""):
                preload_engines(engine_name)
            engine = _prepare_engine(engine_name, view)
            name = points[0].plan.name
            directory = make_dated_directory((runs or home / "runs") / "sweeps", name)
            about = {"scenario": name, "grid": {key: list(column) for key, column in grid.items()}, "settings": values}
            table = SweepTable(directory, home, about)
            code = EXIT_OK

            def play(plan: Plan) -> tuple[Outcome, Distribution | None]:
                found = run_scenario(plan, engine, home=home, runs=runs, interrupts=interrupts, trust=trust)
                if report:
                    with interrupts.shield(message=""):
                        add_page(found[0].directory, home, view.print_line, quiet=True)
                return found

            try:
                rows = run_points(points, repeat, play, table, view.print_line)
                code = exit_status([row.verdict for row in rows])
            except Interrupted:
                view.print_line("interrupted; the rows so far are kept")
                code = EXIT_INTERRUPTED
            finally:
                with interrupts.shield():
                    if table.rows and report:
                        add_page(directory, home, view.print_line, write=partial(write_sweep_page, home=home))
                    if table.rows:
                        view.print_line(f"figures: {relative_to_home(directory / CSV_FILE, home)}")
                    else:
                        with contextlib.suppress(OSError):
                            directory.rmdir()
    if as_json and table.rows:
        print_json(table.document())
    return code


def _prepare_engine(engine_name: str, view: LabView) -> str:
    """Choose an engine and prepare it; return its name.

    Raises EngineError where there is no engine.
    """
    choice = choose_engine(engine_name)
    with contextlib.closing(choice.engine):
        choice.engine.check()
        view.print_line(str(choice))
        choice.engine.prepare(view.print_line)
    return choice.engine.name
