"""Loading of scenario files by name or path, and the list of a folder's scenarios."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import ScenarioError, UsageError
from torrentnet.lab.installation import typed_command
from torrentnet.runtime.suggestions import closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torrentnet.lab.scenario.plan.plan import Plan
    from torrentnet.lab.scenario.programs.given import GivenPrograms

SUFFIXES: Final = (".yaml", ".yml")


def find_plan(
    scenario: str | Path,
    folder: Path,
    settings: Mapping[str, str] | None = None,
    programs: GivenPrograms | None = None,
) -> Plan:
    """Load a scenario by its name in ``folder``, or by the path of its file.

    ``settings`` are values for the scenario's parameters, by name; ``programs`` are what the command line names beside
    the scenario's own. Raises UsageError where there is no such scenario,
    ScenarioError where the file has errors.
    """
    path = Path(scenario)
    if path.suffix in SUFFIXES and path.name == str(scenario) and not path.is_file() and (folder / path.name).is_file():
        scenario = path.stem
        path = Path(scenario)
    if isinstance(scenario, Path) or path.suffix in SUFFIXES or os.sep in scenario:
        if not path.is_file():
            raise UsageError(f"there is no file {scenario}", hint="`torrentnet scenarios` lists what there is")
        return load_plan(path, settings=settings, programs=programs)
    known = {found.stem: found for found in _scenario_files(folder)}
    if scenario not in known:
        close = closest(scenario, known)
        meant = f"did you mean `{close}`? " if close else ""
        raise UsageError(
            f"there is no scenario `{scenario}`", hint=f"{meant}`{typed_command('scenarios')}` lists what there is"
        )
    found, here = known[scenario], Path.cwd()
    shown = str(found.relative_to(here)) if found.is_relative_to(here) else ""
    return load_plan(found, shown, settings=settings, programs=programs)


def list_scenarios(folder: Path) -> list[tuple[str, str, Path]]:
    """Return name, ``about`` line and path of every scenario of a folder, by name.

    For a file with errors the first problem takes the place of the ``about`` line. A folder that does not exist has no
    scenarios.
    """
    return [(path.stem, _about(path), path) for path in _scenario_files(folder)]


def _scenario_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())


def _about(path: Path) -> str:
    try:
        return load_plan(path).about
    except ScenarioError as error:
        count, first = len(error.problems), error.problems[0]
        return f"(cannot be used: {count} problem{'s' if count > 1 else ''}; line {first.line}: {first.text})"


def parse_settings(words: Iterable[str]) -> dict[str, str]:
    """Parse several ``--set name=value``.

    Raises UsageError for any other form and for a name that is set twice.
    """
    settings: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise UsageError(f"`--set {word}` sets nothing", hint="write name=value: `--set leechers=50`")
        if name.strip() in settings:
            raise UsageError(f"`{name.strip()}` is set twice", hint="remove one of them")
        settings[name.strip()] = value.strip()
    return settings


def load_plan(
    path: Path | str,
    shown_as: str = "",
    *,
    settings: Mapping[str, str] | None = None,
    programs: GivenPrograms | None = None,
) -> Plan:
    """Read a scenario file and resolve it.

    ``shown_as`` is the file's name in messages and in the plan's ``where``, ``path`` by default. ``settings`` replace
    the defaults of the scenario's parameters, by name; ``programs`` are what the command line names beside the
    scenario's own. Raises ScenarioError with every problem of the file, UsageError where a program of the command line
    cannot be used.
    """
    from torrentnet.lab.scenario.language.excerpt import with_excerpts
    from torrentnet.lab.scenario.language.yaml_parser import read_text

    path = Path(path)
    file = shown_as or str(path)
    text = read_text(path, file)
    try:
        return resolve_text(text, file, path, settings or {}, programs)
    except ScenarioError as error:
        # The problems of a program's own file have the lines of that one.
        raise ScenarioError(with_excerpts(error.problems, text, file)) from None


def resolve_text(
    text: str, file: str, path: Path, settings: Mapping[str, str], programs: GivenPrograms | None = None
) -> Plan:
    """Resolve the text of a scenario file, as :func:`load_plan` does.

    The problems of the ScenarioError have no excerpts.
    """
    # The language's models take a quarter of a second to import: `status`, `logs` and `down` do without.
    from torrentnet.lab.scenario.language.draft import read_draft
    from torrentnet.lab.scenario.language.parameters import substitute_parameters
    from torrentnet.lab.scenario.language.yaml_parser import parse_document
    from torrentnet.lab.scenario.resolve.scenario import resolve

    document, problems = parse_document(text, file)
    document, unset, values = substitute_parameters(document, settings)
    problems += unset
    draft, wrong = read_draft(document)
    problems += wrong
    plan = resolve(draft, path, problems, values, programs) if draft is not None else None
    if problems or plan is None:
        # A mistake in a repeated event is found at each repetition.
        raise ScenarioError(list(dict.fromkeys(problems)))
    return plan
