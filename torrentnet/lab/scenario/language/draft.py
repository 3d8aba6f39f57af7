"""From a document to the models, keeping what is right when something is wrong.

Pydantic gives no model where one value is bad. So that everything can be said at once, the items with bad values are
set aside and the rest is read again; what refers to an item that was set aside is then not judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from torrentnet.lab.scenario.language.document import Document, KeyPath, empty_values, to_plain_data
from torrentnet.lab.scenario.language.key_rules import check_key_rules
from torrentnet.lab.scenario.language.messages import ITEM_SECTIONS, strip_tags, translate_error
from torrentnet.lab.scenario.language.models.scenario import ScenarioModel

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from torrentnet.lab.errors import Problem


@dataclass(frozen=True, slots=True)
class Draft:
    """What could be read of a scenario."""

    document: Document
    scenario: ScenarioModel
    timeline: tuple[int, ...]
    """For each event of the model its index in the file."""
    expect: tuple[int, ...]
    """For each expectation of the model its index in the file."""
    links: tuple[int, ...]
    """For each link of the model its index in the file."""
    aside: frozenset[KeyPath]
    """The items, and the single values at the top, that could not be read."""

    def unread(self, section: str) -> frozenset[str]:
        """The names of a section's items that could not be read."""
        return frozenset(str(loc[1]) for loc in self.aside if loc[0] == section and len(loc) > 1)


def read_draft(document: Document) -> tuple[Draft | None, list[Problem]]:
    """The models as far as they can be read, and everything that is wrong with single values and items.

    Returns:
        The draft, or None where there is nothing to go on with, and the problems.
    """
    empty = set(empty_values(document.root))
    problems = [
        document.problem(loc, "nothing stands here", "write a value or take it out") for loc in sorted(empty, key=str)
    ]
    problems.extend(check_key_rules(document))
    data = to_plain_data(document.root)
    aside = {_unit(loc) for loc in empty | document.broken}
    for error in _errors(data):
        loc = strip_tags(error["loc"])
        aside.add(_unit(loc))
        if loc not in empty and not _broken(loc, document):
            problems.extend(translate_error(error, document))
    kept = _set_aside(data, aside)
    if _errors(data):
        return None, problems
    return Draft(document, ScenarioModel.model_validate(data), *kept, frozenset(aside)), problems


def _errors(data: dict[str, Any]) -> list[ErrorDetails]:
    try:
        ScenarioModel.model_validate(data)
    except ValidationError as error:
        return error.errors(include_url=False, include_input=False)
    return []


def _unit(loc: KeyPath) -> KeyPath:
    """What has to be set aside when ``loc`` is wrong: the item around it, or the key at the top."""
    return loc[:2] if loc[0] in ITEM_SECTIONS else loc[:1]


def _broken(loc: KeyPath, document: Document) -> bool:
    """Whether what is wrong there has been told already: a list is judged as a whole."""
    return any(broken[: len(loc)] == loc for broken in document.broken)


def _set_aside(data: dict[str, Any], aside: set[KeyPath]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Take the items out of ``data``; the indices that stay in the timeline, the expectations and the links."""
    for loc in aside:
        if len(loc) == 1:
            data.pop(str(loc[0]), None)
    kept: list[tuple[int, ...]] = []
    for section in ("timeline", "expect", "links"):
        items = data.get(section, [])
        kept.append(tuple(index for index in range(len(items)) if (section, index) not in aside))
        data[section] = [items[index] for index in kept[-1]]
    for section in ("files", "nodes"):
        data[section] = {key: item for key, item in data.get(section, {}).items() if (section, key) not in aside}
    return kept[0], kept[1], kept[2]
