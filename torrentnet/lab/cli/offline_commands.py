"""Commands that need no lab, such as ``explain`` and ``doctor``.

The commands are ``scenarios``, ``validate``, ``explain``, ``doctor`` and ``image``. Each function returns an exit
status.

Tested by tests/unit/lab/cli/test_app.py.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console

from torrentnet.lab.cli.doctor import diagnose
from torrentnet.lab.cli.output import print_json, print_table, print_text
from torrentnet.lab.cli.progress import ProgressView, open_view
from torrentnet.lab.engines.selection import make_engine
from torrentnet.lab.errors import EngineError, ScenarioError, UsageError
from torrentnet.lab.installation import typed_command
from torrentnet.lab.network.capabilities import find_capabilities, required_qualities
from torrentnet.lab.paths import scenarios_folder
from torrentnet.lab.scenario.load import find_plan, list_scenarios, load_plan, parse_settings
from torrentnet.lab.tools import explain as explanation
from torrentnet.lab.tools.network_commands import MAX_NODES_SHOWN, network_commands
from torrentnet.runtime.process import EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torrentnet.lab.network.impairment import CapabilitySplit
    from torrentnet.lab.scenario.plan.plan import Plan
    from torrentnet.lab.scenario.programs.given import GivenPrograms


def scenarios(*, as_json: bool) -> int:
    """List the scenarios with their ``about`` lines."""
    found = list_scenarios(scenarios_folder())
    if as_json:
        print_json([{"name": name, "about": about, "file": str(path)} for name, about, path in found])
        return EXIT_OK
    print_table(("", ""), [(name, about) for name, about, _ in found])
    return EXIT_OK


def validate(
    files: Sequence[Path], *, as_json: bool, settings: Sequence[str] = (), programs: GivenPrograms | None = None
) -> int:
    """Show every problem of scenario files."""
    values = parse_settings(settings)
    rows: list[dict[str, object]] = []
    code = EXIT_OK
    for file in files:
        valid = True
        try:
            plan = load_plan(file, settings=values, programs=programs)
        except ScenarioError as error:
            code = EXIT_USAGE
            problems, text = [asdict(problem) for problem in error.problems], error.message
        except UsageError as error:  # a program of the command line does not fit this scenario
            code, valid = EXIT_USAGE, False
            problems, text = [], f"{file}: {error.message}\n    {error.hint}"
        else:
            problems = []
            text = f"{file}: {len(plan.nodes)} nodes, {len(plan.events)} events, {len(plan.expectations)} expectations"
            text += "" if plan.judged else ": a run is not judged; add `expect:`, or write `expect: none`"
        rows.append({"file": str(file), "valid": valid and not problems, "problems": problems})
        if not as_json:
            print(text)
    if as_json:
        print_json(rows)
    return code


def explain(
    scenario: str,
    *,
    engine_name: str,
    settings: Sequence[str],
    everything: bool,
    as_json: bool,
    programs: GivenPrograms | None = None,
) -> int:
    """Show what a scenario will do, with every command. Runs none of them."""
    plan = find_plan(scenario, scenarios_folder(), parse_settings(settings), programs)
    split, note = _capability_split(plan, engine_name)
    most = None if everything else MAX_NODES_SHOWN
    lines = list(explanation.explain(plan, network_commands(plan, split, max_nodes=most)))
    if as_json:
        print_json({"scenario": plan.name, "about": plan.about, "note": note or None, "lines": lines})
        return EXIT_OK
    for line in lines:
        print_text(line)
    if note:
        print_text(f"\n{note}")
    return EXIT_OK


def _capability_split(plan: Plan, engine_name: str) -> tuple[CapabilitySplit | None, str]:
    """Return how this machine provides the plan's link qualities.

    The split names who provides each quality. Where it is unknown, a note says why.
    """
    qualities = required_qualities(plan)
    if not qualities:
        return None, ""
    with contextlib.closing(make_engine(engine_name)) as engine:
        try:
            engine.check()
            engine.prepare(ProgressView(Console(stderr=True)).print_line)
            found = find_capabilities(engine, plan.seed)
            found.require(qualities)
        except EngineError as error:
            return None, f"{error.message}\nThe commands are those of a kernel that can do all of it (netem)."
    return found.split, ""


def doctor(engine_name: str, *, as_json: bool) -> int:
    """Show what this machine has of what a lab needs."""
    rows, others = diagnose(engine_name)
    missing = [row for row in rows if not row.ok and not row.optional]
    code = EXIT_UNAVAILABLE if missing else EXIT_OK
    if as_json:
        print_json([asdict(row) for row in (*rows, *others)])
        return code
    print_table(("", "what", "found"), [("ok" if row.ok else "--", row.what, row.found) for row in (*rows, *others)])
    for row in (*rows, *others):
        if not row.ok:
            needed = "only for scenarios that need it: " if row.optional else ""
            if row in others:
                needed = "only for the other engine: "
            print_text(f"\n{row.what}: {needed}{row.remedy}")
    ready = f"ready for `{typed_command('up', 'three_seeders')}`"
    print(f"\n{len(missing)} of {len(rows)} are missing" if missing else f"\n{ready}")
    return code


def image(engine_name: str, *, as_json: bool) -> int:
    """Build what every lab needs, where its sources have changed."""
    with open_view(as_json=as_json) as view, contextlib.closing(make_engine(engine_name)) as engine:
        engine.check()
        engine.prepare(view.print_line)
        found = engine.environment()["image"]
        view.print_line(f"{found} is up to date")
        if as_json:
            print_json({"image": found})
    return EXIT_OK
