"""What can still be judged of items that could not be read: the names in them.

An event with a wrong time may have a wrong name too, and who mends the one should not meet the other afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.document import MappingNode, ScalarNode, to_plain_data
from torrentnet.lab.scenario.language.selectors import SelectorError, parse_selector

if TYPE_CHECKING:
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.resolve.context import ResolveContext

_SELECTORS = {
    "timeline": ("kill", "stop", "pause", "restart", "start", "isolate", "node"),
    "expect": ("node", "forgets"),
    "links": ("from", "to"),
}
_SIDES = {"timeline": ("partition",), "links": ("between",)}
_WAYS = {"timeline": ("partition", "isolate", "impair")}
_FILES = ("share", "get")


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
            if entry.key in _WAYS.get(section, ()):
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
            _check_file(context, place, entry.value)


def _check_file(context: ResolveContext, loc: KeyPath, written: ScalarNode) -> None:
    if written.text and loc not in context.draft.document.broken:
        context.check_file(loc, written.text)


def _check_nodes(context: ResolveContext, loc: KeyPath, written: object) -> None:
    if any(broken[: len(loc)] == loc for broken in context.draft.document.broken):
        return  # told already, when the parameters were put in place
    try:
        selector = parse_selector(written)
    except SelectorError:
        return  # told already, when the item was read
    context.select(selector, loc)
