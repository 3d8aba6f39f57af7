"""What the commands of ``torrentnet`` do. Each answers with an exit status; :mod:`torrentnet.lab.cli.app` has
options."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from torrentnet.lab.api import Lab
from torrentnet.lab.cli.output import print_json, print_table
from torrentnet.lab.cli.progress import ProgressView, make_progress_view, printable
from torrentnet.lab.engines import choose_engine, make_engine, preload_engines, require_engine
from torrentnet.lab.engines.types import Mode
from torrentnet.lab.errors import EXIT_ENGINE, EXIT_OK, EXIT_USAGE, EngineError, LabError, ScenarioError
from torrentnet.lab.home import lab_store
from torrentnet.lab.home.cleanup import remove_orphans, take_down
from torrentnet.lab.home.paths import lab_home
from torrentnet.lab.network.capabilities import find_capabilities, required_qualities
from torrentnet.lab.report import result
from torrentnet.lab.run.interrupts import Interrupted, InterruptHandler
from torrentnet.lab.scenario import list_scenarios
from torrentnet.lab.scenario.catalog import find_plan, parse_settings, read_plan, scenarios_folder
from torrentnet.lab.verdict.outcome import EXIT_CODES, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torrentnet.lab.network.impairment import CapabilitySplit
    from torrentnet.lab.scenario.plan import Plan
    from torrentnet.lab.verdict.outcome import Outcome

# ── up, run, down ────────────────────────────────────────────────────────────────────────────────────────────


def play(
    scenario: str, mode: Mode, *, engine_name: str, runs: Path | None, as_json: bool, settings: Sequence[str] = ()
) -> int:
    """Bring a scenario's lab up, let it happen, judge it; then remove it (``run``) or leave it (``up``)."""
    plan = find_plan(scenario, parse_settings(settings))
    view = ProgressView(Console(stderr=True)) if as_json else make_progress_view(Console())
    home = lab_home()
    interrupts = InterruptHandler(view.say)
    with interrupts.installed():
        view.say(f"{plan.name}: {plan.about}")
        with interrupts.shield(saying=""):
            preload_engines()
        choice = choose_engine(engine_name)
        view.say(str(choice))
        # Before anything is written: without an engine there is nothing to record.
        engine = require_engine(choice.engine)
        if mode is Mode.UP:
            _take_down_running_lab(engine_name, home, view)
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
        _print_outcome(lab.ended, view, home, as_json=as_json, hint=hint)
        if code is None:
            if mode is Mode.UP and not as_json:
                _print_next_steps(lab, view)
            code = lab.ended.exit_code
    return code


def _take_down_running_lab(engine_name: str, home: Path, view: ProgressView) -> None:
    up = lab_store.read_running_lab(home)
    if up is None:
        return
    view.say(f"{up.scenario} is up already; taking it down first")
    engine = make_engine(up.engine or engine_name)
    try:
        engine.check()
        take_down(engine, home, view.say)
    finally:
        engine.close()


def _print_outcome(outcome: Outcome, view: ProgressView, home: Path, *, as_json: bool, hint: str) -> None:
    if as_json:
        print_json(result.result_document(outcome))
        return
    for line in result.verdict_lines(outcome, home, hint):
        view.say(line)


def _print_next_steps(lab: Lab, view: ProgressView) -> None:
    peers = [node.name for node in lab.plan.nodes if node.name != "tracker"]
    peer = next(
        (node.name for node in reversed(lab.plan.nodes) if node.role == "get"), peers[-1] if peers else "tracker"
    )
    file = lab.plan.files[0].name if lab.plan.files else "NAME"
    view.say("")
    view.say("the network is up:")
    compose = lab.engine.has_compose
    hints = (
        ("docker compose ps" if compose else "make status", "its nodes"),
        (lab.engine.look("tracker", "request logs"), "what was asked, and how it ended"),
        (lab.engine.look("tracker", f"file_logs {shlex.quote(file)}"), "who has which pieces"),
        (f"docker compose logs -f {peer}" if compose else f"make logs node={peer}", "a node's events"),
        (f"make attach node={peer}", "a node's command line; `help` there"),
        ("make down", "removes it all"),
    )
    width = max(len(command) for command, _ in hints)
    for command, what in hints:
        view.say(f"  {command:<{width}}  {what}")


def down(engine_name: str, *, as_json: bool) -> int:
    """Remove the lab that is up here, and what dead labs left behind."""
    home = lab_home()
    view = ProgressView(Console(stderr=True)) if as_json else make_progress_view(Console())
    interrupts = InterruptHandler(view.say)
    with interrupts.installed(), interrupts.shield():
        up = lab_store.read_running_lab(home)
        engine = make_engine(up.engine if up else engine_name)
        try:
            engine.check()
            if up:
                view.say(f"removing {up.scenario}")
            taken = take_down(engine, home, view.say)
            orphans = remove_orphans(engine, home, view.say)
        finally:
            engine.close()
        if taken is None:
            view.say("no lab is up here")
        if as_json:
            print_json({"removed": asdict(taken) if taken else None, "orphans": orphans})
    return EXIT_OK


# ── looking at scenarios and at the machine ──────────────────────────────────────────────────────────────────


def scenarios(*, as_json: bool) -> int:
    """List the scenarios with their ``about`` lines."""
    found = list_scenarios(scenarios_folder())
    if as_json:
        print_json([{"name": name, "about": about, "file": str(path)} for name, about, path in found])
        return EXIT_OK
    width = max((len(name) for name, _, _ in found), default=0)
    console = Console()
    for name, about, _ in found:
        console.print(Text(f"{name:<{width}}  {about}"), soft_wrap=not console.is_terminal)
    return EXIT_OK


def validate(files: Sequence[Path], *, as_json: bool, settings: Sequence[str] = ()) -> int:
    """Read scenario files and say everything that is wrong with them."""
    given = parse_settings(settings)
    rows = []
    code = EXIT_OK
    for file in files:
        try:
            plan = read_plan(file, given)
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
        print_json(rows)
    return code


def explain(scenario: str, *, engine_name: str, settings: Sequence[str], everything: bool, as_json: bool) -> int:
    """Tell what a scenario will do, with the commands that do it. Runs nothing of it."""
    from torrentnet.lab.tools import explain as telling

    plan = find_plan(scenario, parse_settings(settings))
    division, note = _capability_split(plan, engine_name)
    most = None if everything else telling.NODES_SHOWN
    lines = list(telling.explain(plan, telling.network_commands(plan, division, most=most)))
    if as_json:
        print_json({"scenario": plan.name, "about": plan.about, "note": note or None, "lines": lines})
        return EXIT_OK
    for line in lines:
        print(printable(line))
    if note:
        print(f"\n{printable(note)}")
    return EXIT_OK


def _capability_split(plan: Plan, engine_name: str) -> tuple[CapabilitySplit | None, str]:
    """Who does which quality here, as far as the scenario asks for any; and what to say where that is not known."""
    asked = required_qualities(plan)
    if not asked:
        return None, ""
    engine = make_engine(engine_name)
    try:
        engine.check()
        engine.prepare(ProgressView(Console(stderr=True)).say)
        offer = find_capabilities(engine, plan.seed)
        offer.require(asked)
    except EngineError as error:
        return None, f"{error.message}\nThe commands are those of a kernel that can do all of it (netem)."
    finally:
        engine.close()
    return offer.division, ""


def doctor(engine_name: str, *, as_json: bool) -> int:
    """Show what this machine has of what a lab needs."""
    from torrentnet.lab.cli.doctor import examine

    rows, others = examine(engine_name)
    missing = [row for row in rows if not row.ok and not row.optional]
    code = EXIT_ENGINE if missing else EXIT_OK
    if as_json:
        print_json([asdict(row) for row in (*rows, *others)])
        return code
    print_table(("", "what", "found"), [("ok" if row.ok else "--", row.what, row.found) for row in (*rows, *others)])
    for row in (*rows, *others):
        if not row.ok:
            needed = "only for scenarios that ask for it: " if row.optional else ""
            if row in others:
                needed = "only for the other engine: "
            print(f"\n{row.what}: {needed}{row.remedy}")
    print(
        "\nready for `make up scenario=three_seeders`"
        if not missing
        else f"\n{len(missing)} of {len(rows)} are missing"
    )
    return code


def image(engine_name: str, *, as_json: bool) -> int:
    """Make ready what all labs need."""
    view = ProgressView(Console(stderr=True)) if as_json else make_progress_view(Console())
    engine = make_engine(engine_name)
    try:
        engine.check()
        engine.prepare(view.say)
        found = engine.environment()["image"]
        view.say(f"{found} is up to date")
        if as_json:
            print_json({"image": found})
    finally:
        engine.close()
    return EXIT_OK
