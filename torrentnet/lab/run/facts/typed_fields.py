"""The fields of a node's event as JSON: numbers as numbers, truth values as such.

The table of events says which fields these are. A value of any other form stays a text: a node may print anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.runtime.event_table import EVENTS, NUMBERS, TRUE_OR_FALSE

if TYPE_CHECKING:
    from torrentnet.runtime.events import Event

_WORDS: Final = {"true": True, "false": False}
_WHOLE: Final = {
    name: frozenset(field.key for field in spec.fields if field.unit in NUMBERS) for name, spec in EVENTS.items()
}
_TRUTH: Final = {
    name: frozenset(field.key for field in spec.fields if field.unit == TRUE_OR_FALSE) for name, spec in EVENTS.items()
}
_NONE: Final[frozenset[str]] = frozenset()


def typed_fields(event: Event) -> dict[str, object]:
    """Return the fields of an event with their types."""
    fields: dict[str, object] = dict(event.fields)
    for key in _WHOLE.get(event.name, _NONE):
        if (number := event.number(key)) is not None:
            fields[key] = number
    for key in _TRUTH.get(event.name, _NONE):
        fields |= {key: _WORDS[event.fields[key]]} if event.fields.get(key) in _WORDS else {}
    return fields
