"""The names in items that could not be parsed.

An event with a wrong time may have a wrong name too, and whoever mends the one should not meet the other afterwards.

Tested by tests/unit/lab/scenario/test_wrong.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.document import MappingNode, ScalarNode, to_plain_data
from torrentnet.lab.scenario.language.errors import InvalidValueError
from torrentnet.lab.scenario.language.selectors import parse_selector

if TYPE_CHECKING:
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.resolve.context import ResolveContext

_SELECTORS: Final = {
    "timeline": ("kill", "stop", "pause", "restart", "start", "isolate", "node"),
    "expect": ("node", "forgets"),
    "links": ("from", "to"),
}
_SIDES: Final = {"timeline": ("partition",), "links": ("between",)}
_DIRECTIONS: Final = {"timeline": ("partition", "isolate", "impair")}
_FILES: Final = ("share", "get")


def check_unread(context: ResolveContext) -> None:
    """Record the names in set-aside items that refer to nothing."""
    for loc in sorted(context.draft.aside, key=str):
        _, item = context.draft.document.find(loc)
        if len(loc) == 2 and isinstance(item, MappingNode):
            _check_item(context, str(loc[0]), loc, item)


def _check_item(context: ResolveContext, section: str, loc: KeyPath, item: MappingNode) -> None:
    for entry in item.entries:
        place: KeyPath = (*loc, entry.key)
        if isinstance(entry.value, MappingNode):
            if entry.key in _DIRECTIONS.get(section, ()):
                _check_item(context, "links", place, entry.value)
        elif entry.key in _SELECTORS.get(section, ()):
            _check_nodes(context, place, to_plain_data(entry.value))
        elif entry.key in _SIDES.get(section, ()):
            sides = to_plain_data(entry.value)
            if isinstance(sides, list):
                for index, side in enumerate(sides):
                    _check_nodes(context, (*place, index), side)
            else:
                _check_nodes(context, place, sides)
        elif section == "nodes" and entry.key in _FILES and isinstance(entry.value, ScalarNode):
            text = entry.value.text
            if text and not context.draft.document.is_unresolved(place):
                context.check_file(place, text)


def _check_nodes(context: ResolveContext, loc: KeyPath, written: object) -> None:
    if context.draft.document.is_unresolved(loc):
        return  # reported with the parameters
    try:
        selector = parse_selector(written)
    except InvalidValueError:
        return  # reported with the item
    context.select(selector, loc)
