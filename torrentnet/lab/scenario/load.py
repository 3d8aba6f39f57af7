"""The two things that the rest of the lab wants from scenario files: a plan, and a list of what there is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.lab.errors import ScenarioError
from torrentnet.lab.scenario.language.draft import read_draft
from torrentnet.lab.scenario.language.parameters import substitute_parameters
from torrentnet.lab.scenario.language.yaml_parser import read_document
from torrentnet.lab.scenario.resolve.scenario import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.scenario.plan import Plan

SUFFIXES = (".yaml", ".yml")


def load_plan(path: Path | str, shown_as: str = "", *, settings: Mapping[str, str] | None = None) -> Plan:
    """Read a scenario file and resolve it.

    Args:
        path: the file.
        shown_as: its name in messages and in the plan's ``where``; as given in ``path`` by default.
        settings: values for the scenario's parameters, by name, in place of their defaults.

    Raises:
        ScenarioError: the file cannot be used; it carries everything that is wrong with it.
    """
    path = Path(path)
    document, problems = read_document(path, shown_as)
    document, unset, values = substitute_parameters(document, settings or {})
    problems += unset
    draft, wrong = read_draft(document)
    problems += wrong
    plan = resolve(draft, path, problems, values) if draft is not None else None
    if problems or plan is None:
        # One mistake in a repeated event is met at each repetition.
        raise ScenarioError(list(dict.fromkeys(problems)))
    return plan


def list_scenarios(folder: Path | str) -> list[tuple[str, str, Path]]:
    """Name, ``about`` line and path of every scenario file in a folder, by name.

    A file that cannot be used is listed with what is wrong with it instead of its ``about`` line. A folder that is not
    there holds none.
    """
    found: list[tuple[str, str, Path]] = []
    folder = Path(folder)
    if not folder.is_dir():
        return found
    for path in sorted(folder.iterdir()):
        if path.suffix not in SUFFIXES or not path.is_file():
            continue
        try:
            about = load_plan(path).about
        except ScenarioError as error:
            count = len(error.problems)
            first = error.problems[0]
            about = f"(cannot be used: {count} problem{'s' if count > 1 else ''}; line {first.line}: {first.text})"
        found.append((path.stem, about, path))
    return found
