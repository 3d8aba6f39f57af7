"""From what a person calls a scenario to its plan."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.lab.errors import UsageError
from torrentnet.lab.home.paths import checkout_root
from torrentnet.lab.scenario import list_scenarios, load_plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torrentnet.lab.scenario.plan import Plan

SUFFIXES = (".yaml", ".yml")


def scenarios_folder() -> Path:
    """Where the scenarios are that can be named without a path."""
    return checkout_root() / "scenarios"


def find_plan(scenario: str | Path, settings: Mapping[str, str] | None = None) -> Plan:
    """The plan of a scenario that a person names: by its name, or by the path of its file.

    ``settings`` are values for the scenario's parameters, as a person writes them.
    Raises UsageError where there is no such scenario, ScenarioError where it cannot be used.
    """
    path = Path(scenario)
    if isinstance(scenario, Path) or path.suffix in SUFFIXES or os.sep in scenario:
        if not path.is_file():
            raise UsageError(f"there is no file {scenario}", hint="`torrentnet scenarios` lists what there is")
        return read_plan(path, settings)
    known = {name: found for name, _, found in list_scenarios(scenarios_folder())}
    if scenario not in known:
        close = difflib.get_close_matches(scenario, known, 1)
        meant = f"did you mean `{close[0]}`? " if close else ""
        raise UsageError(f"there is no scenario `{scenario}`", hint=f"{meant}`make scenarios` lists what there is")
    found = known[scenario]
    here = Path.cwd()
    shown = str(found.relative_to(here)) if found.is_relative_to(here) else str(found)
    return read_plan(found, settings, shown)


def read_plan(path: Path, settings: Mapping[str, str] | None = None, shown_as: str = "") -> Plan:
    """The plan of a file. Raises ScenarioError where it cannot be used, also for settings that it does not have."""
    return load_plan(path, shown_as, settings=settings)


def parse_settings(words: Iterable[str]) -> dict[str, str]:
    """What several ``--set name=value`` say.

    Raises UsageError for what is no ``name=value`` and for a name that is set twice.
    """
    settings: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise UsageError(f"`--set {word}` sets nothing", hint="it is written name=value: `--set leechers=50`")
        if name.strip() in settings:
            raise UsageError(f"`{name.strip()}` is set twice", hint="take one of them out")
        settings[name.strip()] = value.strip()
    return settings
