"""What can still be judged of items that could not be read: the names in them.

An event with a wrong time may have a wrong name too, and who mends the one should not meet the other afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.scenario.document import Mapping, Scalar, plain
from torrentnet.lab.scenario.selectors import SelectorError, parse_selector
from torrentnet.lab.scenario.timeline import VERBS

if TYPE_CHECKING:
    from torrentnet.lab.scenario.document import Loc
    from torrentnet.lab.scenario.resolve import Context

_SELECTORS = {"timeline": tuple(VERBS), "expect": ("node", "forgets")}
_FILES = ("share", "get")


def check_unread(context: Context) -> None:
    """Record the names in set-aside items that refer to nothing."""
    for loc in sorted(context.draft.aside, key=str):
        _, item = context.draft.document.find(loc)
        if len(loc) < 2 or not isinstance(item, Mapping):
            continue
        for entry in item.entries:
            place: Loc = (*loc, entry.key)
            if entry.key in _SELECTORS.get(str(loc[0]), ()):
                _check_nodes(context, place, plain(entry.value))
            elif loc[0] == "nodes" and entry.key in _FILES and isinstance(entry.value, Scalar) and entry.value.text:
                context.file_known(place, entry.value.text)


def _check_nodes(context: Context, loc: Loc, written: object) -> None:
    try:
        selector = parse_selector(written)
    except SelectorError:
        return  # told already, when the item was read
    context.select(selector, loc)
