"""Validation of a document by the models, item by item.

Pydantic returns no model where one value is wrong. So that all problems can be reported at once, the items with wrong
values are set aside and the rest is parsed again. References to an item that was set aside are not checked.

Tested by tests/unit/lab/scenario/test_wrong.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from torrentnet.lab.scenario.language.document import Document, KeyPath, empty_values, to_plain_data
from torrentnet.lab.scenario.language.key_rules import check_key_rules
from torrentnet.lab.scenario.language.messages import ITEM_SECTIONS, missing_value, strip_tags, translate_error
from torrentnet.lab.scenario.language.models.scenario import ScenarioModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic_core import ErrorDetails

    from torrentnet.lab.errors import Problem


@dataclass(frozen=True, slots=True)
class Draft:
    """The readable part of a scenario."""

    document: Document
    scenario: ScenarioModel
    positions: Mapping[str, Sequence[int]]
    """List section -> the index in the file of each item of the model."""
    aside: frozenset[KeyPath]
    """The items, and the single values at the top, that could not be parsed."""

    def unread(self, section: str) -> frozenset[str]:
        """Return the names of a section's items that could not be parsed."""
        return frozenset(str(loc[1]) for loc in self.aside if loc[0] == section and len(loc) > 1)


def read_draft(document: Document) -> tuple[Draft | None, list[Problem]]:
    """Return the parsed models, and the problems of single values and items.

    The models have whatever could be parsed. The draft is None where nothing useful could be parsed.
    """
    empty = set(empty_values(document.root))
    problems = list(check_key_rules(document))
    data = to_plain_data(document.root)
    aside = {_unit(loc) for loc in empty | document.unresolved}
    for error in _errors(data):
        loc = strip_tags(error["loc"])
        aside.add(_unit(loc))
        # An unknown key without a value is unknown first of all.
        if (loc not in empty or error["type"] == "extra_forbidden") and not document.is_unresolved(loc):
            problems.extend(translate_error(error, document))
    # A key that has no meaning needs no value either.
    reported = {(problem.line, problem.column) for problem in problems}
    for loc in sorted(empty, key=str):
        missing = missing_value(loc, document)
        if (missing.line, missing.column) not in reported:
            problems.append(missing)
    positions = _set_aside(data, aside)
    if _errors(data):
        return None, problems
    return Draft(document, ScenarioModel.model_validate(data), positions, frozenset(aside)), problems


def _errors(data: dict[str, Any]) -> list[ErrorDetails]:
    try:
        ScenarioModel.model_validate(data)
    except ValidationError as error:
        return error.errors(include_url=False, include_input=False)
    return []


def _unit(loc: KeyPath) -> KeyPath:
    """Return the place that is set aside when ``loc`` is wrong.

    It is the item, or the key at the top of the file.
    """
    return loc[:2] if loc[0] in ITEM_SECTIONS else loc[:1]


def _set_aside(data: dict[str, Any], aside: set[KeyPath]) -> dict[str, list[int]]:
    """Remove items from ``data``, and return the indices of what remains.

    The indices are those of the remaining events, expectations and links.
    """
    for loc in aside:
        if len(loc) == 1:
            data.pop(str(loc[0]), None)
    positions: dict[str, list[int]] = {}
    for section in ("timeline", "expect", "links"):
        items = data.get(section, [])
        if isinstance(items, str):
            items = []  # `expect: none`
        positions[section] = [index for index in range(len(items)) if (section, index) not in aside]
        data[section] = [items[index] for index in positions[section]]
    for section in ("files", "programs", "nodes"):
        data[section] = {key: item for key, item in data.get(section, {}).items() if (section, key) not in aside}
    return positions
