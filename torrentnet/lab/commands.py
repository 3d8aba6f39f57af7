"""What the commands of ``torrentnet`` do. Each answers with an exit status; :mod:`torrentnet.lab.cli` has options."""

from __future__ import annotations

import difflib
import json
import os
import shlex
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from torrentnet.lab import report, state
from torrentnet.lab.engines import make_engine
from torrentnet.lab.engines.base import Mode
from torrentnet.lab.errors import EXIT_ENGINE, EXIT_OK, EXIT_USAGE, EngineError, LabError, ScenarioError, UsageError
from torrentnet.lab.interrupt import Interrupted, Interrupts
from torrentnet.lab.lab import Lab
from torrentnet.lab.leftovers import remove_orphans, take_down
from torrentnet.lab.outcome import EXIT_CODES, Verdict
from torrentnet.lab.scenario import list_scenarios, load_plan
from torrentnet.lab.view import View, make_view, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torrentnet.lab.engines.base import Engine
    from torrentnet.lab.outcome import Outcome
    from torrentnet.lab.plan import Plan

SUFFIXES = (".yaml", ".yml")
PIPE_WIDTH = 400


def scenarios_folder() -> Path:
    """Where the scenarios are that can be named without a path."""
    return state.root() / "scenarios"


def find_plan(scenario: str) -> Plan:
    """The plan of a scenario that a person names: by its name, or by the path of its file."""
    from pathlib import Path

    path = Path(scenario)
    if path.suffix in SUFFIXES or os.sep in scenario:
        if not path.is_file():
            raise UsageError(f"there is no file {scenario}", hint="`torrentnet scenarios` lists what there is")
        return load_plan(path)
    known = {name: found for name, _, found in list_scenarios(scenarios_folder())}
    if scenario not in known:
        close = difflib.get_close_matches(scenario, known, 1)
        meant = f"did you mean `{close[0]}`? " if close else ""
        raise UsageError(f"there is no scenario `{scenario}`", hint=f"{meant}`make scenarios` lists what there is")
    found = known[scenario]
    here = Path.cwd()
    return load_plan(found, str(found.relative_to(here)) if found.is_relative_to(here) else str(found))


# ── up, run, down ────────────────────────────────────────────────────────────────────────────────────────────


def play(scenario: str, mode: Mode, *, engine_name: str, runs: Path | None, as_json: bool) -> int:
    """Bring a scenario's lab up, let it happen, judge it; then remove it (``run``) or leave it (``up``)."""
    plan = find_plan(scenario)
    view = View(Console(stderr=True)) if as_json else make_view(Console())
    home = state.home()
    interrupts = Interrupts(view.say)
    with interrupts.installed():
        view.say(f"{plan.name}: {plan.about}")
        engine = make_engine(engine_name)
        try:
            # Before anything is written: without an engine there is nothing to record.
            engine.check()
        except BaseException:
            engine.close()
            raise
        if mode is Mode.UP:
            _take_down_first(engine_name, home, view)
        lab = Lab(plan, engine, mode=mode, home=home, runs=runs, view=view, interrupts=interrupts)
        hint, code = "", None
        try:
            with lab:
                lab.play()
                if mode is Mode.UP:
                    lab.keep()
        except Interrupted:
            code = EXIT_CODES[Verdict.INTERRUPTED]
        except LabError as error:
            if lab.ended is None or error.message != lab.ended.error:
                raise
            hint, code = error.hint, error.exit_code
        if lab.ended is None:
            # Interrupted before there was anything to tell.
            return EXIT_CODES[Verdict.INTERRUPTED]
        _tell(lab.ended, view, home, as_json=as_json, hint=hint)
        if code is None:
            if mode is Mode.UP and not as_json:
                _tell_how_to_attach(lab, view)
            code = lab.ended.exit_code
    return code


def _take_down_first(engine_name: str, home: Path, view: View) -> None:
    up = state.read_up(home)
    if up is None:
        return
    view.say(f"{up.scenario} is up already; taking it down first")
    engine = make_engine(up.engine or engine_name)
    try:
        engine.check()
        take_down(engine, home, view.say)
    finally:
        engine.close()


def _tell(outcome: Outcome, view: View, home: Path, *, as_json: bool, hint: str) -> None:
    if as_json:
        print(json.dumps(report.result(outcome), indent=2, ensure_ascii=False))
        return
    for line in report.verdict_lines(outcome, home, hint):
        view.say(line)


def _tell_how_to_attach(lab: Lab, view: View) -> None:
    peers = [node.name for node in lab.plan.nodes if node.name != "tracker"]
    peer = next(
        (node.name for node in reversed(lab.plan.nodes) if node.role == "get"), peers[-1] if peers else "tracker"
    )
    file = lab.plan.files[0].name if lab.plan.files else "NAME"
    view.say("")
    view.say("the network is up:")
    hints = (
        ("docker compose ps", "its nodes"),
        ("docker compose exec tracker request logs", "what was asked, and how it ended"),
        (f"docker compose exec tracker file_logs {shlex.quote(file)}", "who has which pieces"),
        (f"docker compose logs -f {peer}", "a node's events"),
        (f"make attach node={peer}", "a node's command line; `help` there"),
        ("make down", "removes it all"),
    )
    width = max(len(command) for command, _ in hints)
    for command, what in hints:
        view.say(f"  {command:<{width}}  {what}")


def down(engine_name: str) -> int:
    """Remove the lab that is up here, and what dead labs left behind."""
    home = state.home()
    view = make_view(Console())
    interrupts = Interrupts(view.say)
    with interrupts.installed(), interrupts.shield():
        up = state.read_up(home)
        engine = make_engine(up.engine if up else engine_name)
        try:
            engine.check()
            if up:
                view.say(f"removing {up.scenario}")
            taken = take_down(engine, home, view.say)
            remove_orphans(engine, home, view.say)
        finally:
            engine.close()
        if taken is None:
            view.say("no lab is up here")
    return EXIT_OK


# ── looking at scenarios and at the machine ──────────────────────────────────────────────────────────────────


def scenarios(*, as_json: bool) -> int:
    """List the scenarios with their ``about`` lines."""
    found = list_scenarios(scenarios_folder())
    if as_json:
        print(json.dumps([{"name": name, "about": about, "file": str(path)} for name, about, path in found], indent=2))
        return EXIT_OK
    width = max((len(name) for name, _, _ in found), default=0)
    console = Console()
    for name, about, _ in found:
        console.print(Text(f"{name:<{width}}  {about}"), soft_wrap=not console.is_terminal)
    return EXIT_OK


def validate(files: Sequence[Path], *, as_json: bool) -> int:
    """Read scenario files and say everything that is wrong with them."""
    rows = []
    code = EXIT_OK
    for file in files:
        try:
            plan = load_plan(file)
        except ScenarioError as error:
            code = EXIT_USAGE
            rows.append(
                {"file": str(file), "valid": False, "problems": [asdict(problem) for problem in error.problems]}
            )
            if not as_json:
                print(error.message)
        else:
            rows.append({"file": str(file), "valid": True, "problems": []})
            if not as_json:
                print(
                    f"{file}: {len(plan.nodes)} nodes, {len(plan.events)} events, {len(plan.expectations)} expectations"
                )
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    return code


def doctor(engine_name: str, *, as_json: bool) -> int:
    """Show what this machine has of what a lab needs."""
    from torrentnet.lab.doctor import findings

    engine = make_engine(engine_name)
    try:
        rows = findings(engine)
    finally:
        engine.close()
    code = EXIT_OK if all(row.ok for row in rows) else EXIT_ENGINE
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return code
    _print_table(("", "what", "found"), [("ok" if row.ok else "--", row.what, row.found) for row in rows])
    missing = [row for row in rows if not row.ok]
    for row in missing:
        print(f"\n{row.what}: {row.remedy}")
    print(
        "\nready for `make up scenario=three_seeders`"
        if not missing
        else f"\n{len(missing)} of {len(rows)} are missing"
    )
    return code


def image(engine_name: str) -> int:
    """Make ready what all labs need."""
    view = make_view(Console())
    engine = make_engine(engine_name)
    try:
        engine.check()
        engine.prepare(view.say)
        view.say(f"{engine.environment()['image']} is up to date")
    finally:
        engine.close()
    return EXIT_OK


# ── the lab that is up ───────────────────────────────────────────────────────────────────────────────────────


def _adopted() -> tuple[state.UpLab, Engine]:
    up = state.read_up(state.home())
    if up is None:
        raise UsageError("no lab is up here", hint="`make up scenario=three_seeders` brings one up")
    engine = make_engine(up.engine)
    try:
        engine.check()
        engine.adopt(up.project)
    except BaseException:
        engine.close()
        raise
    return up, engine


def _known(engine: Engine, node: str) -> str:
    if node not in engine.places:
        close = difflib.get_close_matches(node, engine.places, 1)
        meant = f"did you mean `{close[0]}`? " if close else ""
        raise UsageError(f"there is no node `{node}`", hint=f"{meant}there are: {', '.join(sorted(engine.places))}")
    return node


def attach(node: str, words: Sequence[str]) -> int:
    """Give the terminal to a node's command line; with words, give it that one command."""
    _, engine = _adopted()
    try:
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        argv = engine.attach_command(_known(engine, node), ["console", *words], terminal=terminal)
    finally:
        engine.close()
    return _become(argv)


def logs(nodes: Sequence[str], *, follow: bool) -> int:
    """Print what nodes said."""
    _, engine = _adopted()
    try:
        argv = engine.logs_command([_known(engine, node) for node in nodes], follow=follow)
    finally:
        engine.close()
    return _become(argv)


def _become(argv: Sequence[str]) -> int:
    """Give this process to a command: the terminal, its signals and the exit status are then the command's own."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvp(argv[0], list(argv))
    except OSError as error:
        raise EngineError(f"{argv[0]} cannot be run: {error.strerror}") from error


def status(*, as_json: bool) -> int:
    """Show the nodes of the lab that is up."""
    up, engine = _adopted()
    try:
        rows = [
            {"node": node, "address": place.address, "state": str(engine.state(node))}
            for node, place in sorted(engine.places.items(), key=lambda item: _natural(item[0]))
        ]
    finally:
        engine.close()
    if as_json:
        print(json.dumps({**asdict(up), "nodes": rows}, indent=2))
        return EXIT_OK
    print(f"{up.scenario} is up as {up.project}, record: {up.record}")
    _print_table(("node", "address", "state"), [(row["node"], row["address"], row["state"]) for row in rows])
    return EXIT_OK


def _natural(name: str) -> tuple[bool, str, int]:
    """The tracker first, then by name and number: ``leecher-10`` comes after ``leecher-9``."""
    group, _, number = name.rpartition("-")
    return (name != "tracker", group or name, int(number) if number.isdigit() else 0)


def _print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    terminal = sys.stdout.isatty()
    # In a pipe there is no width to keep to.
    console = Console() if terminal else Console(width=PIPE_WIDTH)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    if terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
