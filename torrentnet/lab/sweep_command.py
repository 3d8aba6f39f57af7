"""``torrentnet sweep``: many labs, one after the other, and one sheet of figures."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from rich.console import Console

from torrentnet.lab import state
from torrentnet.lab.engines import choose, load
from torrentnet.lab.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, UsageError
from torrentnet.lab.find import find_plan, read_settings
from torrentnet.lab.grid import points, read_grid
from torrentnet.lab.interrupt import Interrupted, Interrupts
from torrentnet.lab.outcome import Verdict
from torrentnet.lab.output import print_json
from torrentnet.lab.record import make_directory
from torrentnet.lab.sweep import CSV_FILE, JSON_FILE, MEASURED, Point, Sheet, sweep
from torrentnet.lab.sweep_play import play_once
from torrentnet.lab.view import View

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torrentnet.lab.outcome import Outcome
    from torrentnet.lab.plan import Plan
    from torrentnet.lab.spreading import Spreading

MOST_RUNS = 100


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
    given = read_settings(settings)
    grid = read_grid(grid_words, given)
    if not 1 <= repeat <= MOST_RUNS:
        raise UsageError(f"`--repeat {repeat}`: 1 to {MOST_RUNS} make sense")
    if taken := [name for name in grid if name in MEASURED]:
        raise UsageError(f"`{taken[0]}` is a column of the figures", hint="give the scenario's parameter another name")
    todo = [Point.of(values, find_plan(scenario, {**given, **values})) for values in points(grid)]
    home = state.home()
    view = View(Console(stderr=as_json))
    interrupts = Interrupts(view.say)
    with interrupts.installed():
        with interrupts.shield(saying=""):
            load()
        engine = _check(engine_name, view)
        name = todo[0].plan.name
        directory = make_directory((runs or home / "runs") / "sweeps", name)
        about = {"scenario": name, "grid": {key: list(values) for key, values in grid.items()}, "settings": given}
        sheet = Sheet(directory, home, about)
        code = EXIT_OK

        def play(plan: Plan) -> tuple[Outcome, Spreading | None]:
            return play_once(plan, engine, home=home, runs=runs, interrupts=interrupts)

        try:
            for row in sweep(todo, repeat, play, sheet, view.say):
                if row.verdict is not Verdict.PASS:
                    code = EXIT_FAILED
        except Interrupted:
            view.say("interrupted; what has been measured stays")
            code = EXIT_INTERRUPTED
        finally:
            with interrupts.shield():
                if sheet.rows:
                    view.say(f"figures: {_short(directory / CSV_FILE, home)}")
                else:
                    directory.rmdir()
    if as_json and sheet.rows:
        print_json(json.loads((directory / JSON_FILE).read_text(encoding="utf-8")))
    return code


def _check(engine_name: str, view: View) -> str:
    """Say which engine it will be; answers with its name. Raises EngineError where there is none."""
    choice = choose(engine_name)
    with contextlib.closing(choice.engine):
        choice.engine.check()
        view.say(str(choice))
        choice.engine.prepare(view.say)
    return choice.engine.name


def _short(path: Path, home: Path) -> str:
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)
