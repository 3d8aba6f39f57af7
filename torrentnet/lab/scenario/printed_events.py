"""The events that nodes can print, and mistakes in the search for one.

A misspelt name or field would wait in vain; with ``times: 0`` it would even hold. Names, fields and values are checked
against the table of events, for the programs that the nodes run.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.plan.plan import NodeProgram, Role
from torrentnet.runtime.event_table import ADAPTER, EVENTS, LAB, NUMBERS, PEER, SHAPER, TRACKER
from torrentnet.runtime.suggestions import closest
from torrentnet.runtime.units import UnitError, parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torrentnet.lab.scenario.plan.plan import NodePlan
    from torrentnet.runtime.event_table import EventField

_OPENTRACKER_PRINTS: Final = frozenset({"listening", "closing", "error", "said"})
_NODE_EVENTS: Final = tuple(name for name, spec in EVENTS.items() if spec.emitters != (LAB,))
_TITLES: Final = {
    TRACKER: "our own tracker",
    PEER: "our own peers",
    ADAPTER: "other projects' clients",
    SHAPER: "any node",
}
_COMMANDS: Final = {"get": "peers that `get` a file", "share": "peers that `share` a file"}
_ADDRESS: Final = re.compile(r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
_NAMED_ADDRESS: Final = re.compile(r"[a-z][a-z0-9-]*:[0-9]{1,5}")
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]+")
_WORD: Final = re.compile(r"[a-z]+(?:_[a-z]+)*")
_SIMILARITY: Final = 0.8
"""Of a word of a log line to the name of an event for which it is mistaken (difflib's ratio)."""


@dataclass(frozen=True, slots=True)
class EventMistake:
    """What is wrong with the name or with one field of a wanted event."""

    key: str
    """``event``, or the field's key."""
    text: str
    hint: str


def find_event_mistake(
    name: str, fields: Mapping[str, str], nodes: Sequence[NodePlan], *, absent: bool = False
) -> EventMistake | None:
    """Return what is wrong with an event that nodes are to print, or None.

    Each of the nodes is expected to print the event. With ``absent`` none of them is: one that could print the event is
    enough.
    """
    spec = EVENTS.get(name)
    if spec is None:
        close = closest(name, _NODE_EVENTS)
        return EventMistake("event", f"unknown event `{name}`", _meant(close) or "docs/events.md lists all events")
    if spec.emitters == (LAB,):
        hint = "the lab writes it to `events.jsonl`; docs/events.md says what each program prints"
        return EventMistake("event", f"no node prints `{name}`", hint)
    silent = [node for node in nodes if not prints(node, name)]
    if silent and not (absent and len(silent) < len(nodes)):
        writers = [_COMMANDS[spec.command]] if spec.command and PEER in spec.emitters else []
        writers += [_TITLES[emitter] for emitter in spec.emitters if emitter != PEER or not spec.command]
        hint = f"written by: {', '.join(dict.fromkeys(writers))}"
        foreign = silent[0].foreign
        if foreign is not None:
            text = f"`{silent[0].name}` runs `{foreign.name}`, of which the lab never observes `{name}`"
            return EventMistake("event", text, f"{hint}; for what `{foreign.name}` prints write `log: TEXT`")
        return EventMistake("event", f"`{silent[0].name}` never prints `{name}`", hint)
    writing = [_emitter(node) for node in nodes if node not in silent]
    for key, value in fields.items():
        if mistake := _check_field(name, key, value, writing, absent=absent):
            return mistake
    return None


def find_text_mistake(text: str, nodes: Sequence[NodePlan]) -> EventMistake | None:
    """Return what is wrong with a text that nodes must not print, or None.

    A text is free, so that only two mistakes can be found: a misspelt name of an event, and the name of an event that
    none of the nodes prints.
    """
    if not _WORD.fullmatch(text) or any(node.program is NodeProgram.FOREIGN for node in nodes):
        return None
    if text in EVENTS:
        return find_event_mistake(text, {}, nodes, absent=True) if "_" in text else None
    known = [*_NODE_EVENTS, *(field.key for event in _NODE_EVENTS for field in EVENTS[event].fields)]
    if any(text in word for word in known):
        return None
    close = next(iter(difflib.get_close_matches(text, _NODE_EVENTS, n=1, cutoff=_SIMILARITY)), None)
    return EventMistake("event", f"unknown event `{text}`", _meant(close)) if close else None


def _meant(close: str | None) -> str:
    return f"did you mean `{close}`?" if close else ""


def _emitter(node: NodePlan) -> str:
    if node.program is not NodeProgram.OURS:
        return ADAPTER
    return TRACKER if node.role is Role.TRACKER else PEER


def prints(node: NodePlan, name: str) -> bool:
    """Return whether a node's program may write an event of the table."""
    spec, emitter = EVENTS[name], _emitter(node)
    if SHAPER in spec.emitters:
        return True
    if node.program is NodeProgram.OPENTRACKER:
        return name in _OPENTRACKER_PRINTS
    return emitter in spec.emitters and (emitter != PEER or spec.command in {"", node.role.value})


def _check_field(
    event: str, key: str, value: str, emitters: Sequence[str], *, absent: bool = False
) -> EventMistake | None:
    spec = EVENTS[event]
    field = next((field for field in spec.fields if field.key == key), None)
    if field is None:
        known = [field.key for field in spec.fields]
        fields = f"it has {', '.join(f'`{name}`' for name in known)}" if known else "it has no fields"
        return EventMistake(key, f"`{event}` has no field `{key}`", _meant(closest(key, known)) or fields)
    lacking = [emitter for emitter in emitters if SHAPER not in spec.emitters and key not in spec.field_keys(emitter)]
    if lacking and not (absent and len(lacking) < len(emitters)):
        owners = " and ".join(_TITLES[emitter] for emitter in field.emitters)
        text = f"`{event}` of {_TITLES[lacking[0]]} has no field `{key}`"
        return EventMistake(key, text, f"that is a field of {owners}")
    if field.unit == "IP:PORT" and ADAPTER in emitters and _NAMED_ADDRESS.fullmatch(value):
        return None  # where the lab knows the node, its name is in the place of its address
    wrong = _check_value(field, value)
    return EventMistake(key, *wrong) if wrong is not None else None


def _check_value(field: EventField, value: str) -> tuple[str, str] | None:
    """Return why no line can have that value, and what to write."""
    if field.values and value not in field.values:
        return f"`{field.key}` is never `{value}`", "it can be " + ", ".join(f"`{word}`" for word in field.values)
    if field.unit in NUMBERS and not (value.isascii() and value.isdigit()):
        number = _number(field.unit, value)
        hint = f"write `{number}`" if number is not None else "write digits only, such as `5`"
        unit = f" of {field.unit}" if field.unit in {"bytes", "ms"} else ""
        return f"`{field.key}` is a whole number{unit}, and never `{value}`", hint
    if field.unit == "IP:PORT" and not _ADDRESS.fullmatch(value):
        return f"`{field.key}` is an address and a port, and never `{value}`", "for example `198.18.0.5:6881`"
    if field.unit == "hexadecimal" and not _HEXADECIMAL.fullmatch(value):
        return f"`{field.key}` is hexadecimal, in small letters, and never `{value}`", ""
    return None


def _number(unit: str, value: str) -> int | None:
    try:
        if unit == "bytes":
            return parse_size(value)
        if unit == "ms":
            return round(parse_duration(value) * 1000)
        if unit == "percent" and value.endswith("%") and value[:-1].isdigit():
            return int(value[:-1])
    except UnitError:
        pass
    return None
