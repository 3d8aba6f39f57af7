"""Events as entries of a journal: what Wireshark lists between the packets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.capture.pcapng import journal_block
from torrentnet.lab.capture.record_tail import LAB, SECOND
from torrentnet.runtime.events import format_field
from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARS: Final = 400
"""Characters of an event's text."""
PROGRAM: Final = "torrentnet"
NOTICE, WARNING = "5", "4"
LEFT_OUT: Final = {"arrived"}
"""Fields that are too long to be read."""
_TEXTS: Final = {"zero": "the tracker and the first seeds are up: t = 0"}


def event_text(node: str, name: str, fields: Mapping[str, Any]) -> str:
    """Return what a person reads of an event; empty for one that says nothing new."""
    if node == LAB and name == "applied":
        if fields.get("error"):
            return _cut(f"failed: {fields['error']}")
        return _applied(fields) if "text" in fields else ""
    if node == LAB and name == "begun" and "text" in fields:
        return _cut(str(fields["text"]))
    if node == LAB and name == "node":
        return _cut(f"{fields.get('of', '?')} is {fields.get('state', '?')}")
    if node == LAB and name in _TEXTS:
        return _TEXTS[name]
    shown = (f" {key}={format_field(_value(value))}" for key, value in fields.items() if key not in LEFT_OUT)
    return _cut(name + "".join(shown))


def _applied(fields: Mapping[str, Any]) -> str:
    """Return what has come into force, or has ended.

    That it began has been told already.
    """
    if fields.get("ends") is not None:
        return _cut(f"lifted now: {str(fields['text']).removeprefix('end of ')}")
    return _cut(f"in force now: {fields['text']}") if fields.get("pairs") else ""


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def event_block(time: int, node: str, name: str, text: str, zero: int | None) -> bytes:
    """Return an event's block; ``zero`` is the time t = 0, None where it is not known."""
    after = "" if zero is None else f"t = {(time - zero) / SECOND:.3f} s  "
    return journal_block(
        time,
        {
            "_HOSTNAME": escape_controls(node),
            "SYSLOG_IDENTIFIER": PROGRAM,
            "PRIORITY": WARNING if node == LAB else NOTICE,
            "MESSAGE": f"{after}{escape_controls(node)}: {text}",
            "TORRENTNET_EVENT": escape_controls(name),
        },
    )


def _cut(text: str) -> str:
    text = escape_controls(text)
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 1]}…"
