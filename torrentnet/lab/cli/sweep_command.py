"""``torrentnet sweep``: many labs, one after the other, and one sheet of figures."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from rich.console import Console

from torrentnet.lab.cli.output import print_json
from torrentnet.lab.cli.progress import ProgressView
from torrentnet.lab.engines import choose_engine, preload_engines
from torrentnet.lab.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, UsageError
from torrentnet.lab.home.paths import lab_home
from torrentnet.lab.run.interrupts import Interrupted, InterruptHandler
from torrentnet.lab.run.recorder import make_dated_directory
from torrentnet.lab.scenario.catalog import find_plan, parse_settings
from torrentnet.lab.tools.grid import grid_points, parse_grid
from torrentnet.lab.tools.single_run import run_scenario
from torrentnet.lab.tools.sweep import CSV_FILE, JSON_FILE, RESULT_COLUMNS, SweepPoint, SweepTable, run_points
from torrentnet.lab.verdict.outcome import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torrentnet.lab.scenario.plan import Plan
    from torrentnet.lab.tools.distribution import Distribution
    from torrentnet.lab.verdict.outcome import Outcome

MAX_RUNS = 100


def run_sweep(
    scenario: str,
    grid_words: Sequence[str],
    *,
    repeat: int,
    settings: Sequence[str],
    engine_name: str,
    runs: Path | None,
    as_json: bool,
) -> int:
    """Run a scenario over a grid; answers with the exit status. Everything is read before anything is run."""
    given = parse_settings(settings)
    grid = parse_grid(grid_words, given)
    if not 1 <= repeat <= MAX_RUNS:
        raise UsageError(f"`--repeat {repeat}`: 1 to {MAX_RUNS} make sense")
    if taken := [name for name in grid if name in RESULT_COLUMNS]:
        raise UsageError(f"`{taken[0]}` is a column of the figures", hint="give the scenario's parameter another name")
    todo = [SweepPoint.of(values, find_plan(scenario, {**given, **values})) for values in grid_points(grid)]
    home = lab_home()
    view = ProgressView(Console(stderr=as_json))
    interrupts = InterruptHandler(view.say)
    with interrupts.installed():
        with interrupts.shield(saying=""):
            preload_engines()
        engine = _prepare_engine(engine_name, view)
        name = todo[0].plan.name
        directory = make_dated_directory((runs or home / "runs") / "sweeps", name)
        about = {"scenario": name, "grid": {key: list(values) for key, values in grid.items()}, "settings": given}
        sheet = SweepTable(directory, home, about)
        code = EXIT_OK

        def play(plan: Plan) -> tuple[Outcome, Distribution | None]:
            return run_scenario(plan, engine, home=home, runs=runs, interrupts=interrupts)

        try:
            for row in run_points(todo, repeat, play, sheet, view.say):
                if row.verdict is not Verdict.PASS:
                    code = EXIT_FAILED
        except Interrupted:
            view.say("interrupted; what has been measured stays")
            code = EXIT_INTERRUPTED
        finally:
            with interrupts.shield():
                if sheet.rows:
                    view.say(f"figures: {_relative(directory / CSV_FILE, home)}")
                else:
                    directory.rmdir()
    if as_json and sheet.rows:
        print_json(json.loads((directory / JSON_FILE).read_text(encoding="utf-8")))
    return code


def _prepare_engine(engine_name: str, view: ProgressView) -> str:
    """Say which engine it will be; answers with its name. Raises EngineError where there is none."""
    choice = choose_engine(engine_name)
    with contextlib.closing(choice.engine):
        choice.engine.check()
        view.say(str(choice))
        choice.engine.prepare(view.say)
    return choice.engine.name


def _relative(path: Path, home: Path) -> str:
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)
