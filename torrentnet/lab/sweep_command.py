"""``torrentnet sweep``: many labs, one after the other, and one sheet of figures."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from rich.console import Console

from torrentnet.lab import spreading, state
from torrentnet.lab.engines import choose, load
from torrentnet.lab.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EngineError, LabError, UsageError
from torrentnet.lab.find import find_plan, read_settings
from torrentnet.lab.grid import points, read_grid
from torrentnet.lab.interrupt import Interrupted, Interrupts
from torrentnet.lab.lab import Lab
from torrentnet.lab.outcome import Verdict
from torrentnet.lab.output import print_json
from torrentnet.lab.record import make_directory
from torrentnet.lab.sweep import CSV_FILE, JSON_FILE, MEASURED, Point, Sheet, sweep
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
    player = _Player(engine_name, home, runs, interrupts, view)
    with interrupts.installed():
        with interrupts.shield(saying=""):
            load()
        player.check()
        name = todo[0].plan.name
        directory = make_directory((runs or home / "runs") / "sweeps", name)
        about = {"scenario": name, "grid": {key: list(values) for key, values in grid.items()}, "settings": given}
        sheet = Sheet(directory, home, about)
        code = EXIT_OK
        try:
            for row in sweep(todo, repeat, player.play, sheet, view.say):
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


class _Player:
    """Runs one lab at a time."""

    def __init__(self, engine_name: str, home: Path, runs: Path | None, interrupts: Interrupts, view: View) -> None:
        self._engine_name = engine_name
        self._home = home
        self._runs = runs
        self._interrupts = interrupts
        self._view = view

    def check(self) -> None:
        """Say which engine it will be. Raises EngineError where there is none."""
        choice = choose(self._engine_name)
        self._engine_name = choice.engine.name
        with contextlib.closing(choice.engine):
            choice.engine.check()
            self._view.say(str(choice))
            choice.engine.prepare(self._view.say)

    def play(self, plan: Plan) -> tuple[Outcome, Spreading | None]:
        """One lab from its first container to its last. Raises EngineError where it could not be judged."""
        engine = choose(self._engine_name).engine
        try:
            # Before anything is written: without an engine there is nothing to record.
            engine.check()
        except BaseException:
            engine.close()
            raise
        lab = Lab(plan, engine, home=self._home, runs=self._runs, interrupts=self._interrupts)
        seen = None
        try:
            with lab:
                lab.play()
                seen = spreading.look(plan, lab.board, lab.faults.measure)
        except LabError as error:
            # A node that did not come up is a verdict; an engine that failed will not do better next time.
            if lab.ended is None or lab.ended.verdict is not Verdict.FAIL or isinstance(error, EngineError):
                raise
        assert lab.ended is not None
        return lab.ended, seen


def _short(path: Path, home: Path) -> str:
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)
