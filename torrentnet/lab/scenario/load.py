"""From a scenario file to its plan."""

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


def load_plan(path: Path | str, shown_as: str = "", *, settings: Mapping[str, str] | None = None) -> Plan:
    """Read a scenario file and resolve it.

    ``shown_as`` is the file's name in messages and in the plan's ``where``, ``path`` by default. ``settings`` replace
    the defaults of the scenario's parameters, by name. Raises ScenarioError with every problem of the file.
    """
    path = Path(path)
    document, problems = read_document(path, shown_as)
    document, unset, values = substitute_parameters(document, settings or {})
    problems += unset
    draft, wrong = read_draft(document)
    problems += wrong
    plan = resolve(draft, path, problems, values) if draft is not None else None
    if problems or plan is None:
        # A mistake in a repeated event is found at each repetition.
        raise ScenarioError(list(dict.fromkeys(problems)))
    return plan
