"""The event lines that nodes print, as the lab reads them.

``2026-11-23T12:29:11.123Z picked peer=seeder-2 address=198.18.0.4:6881 among=3``: the time in UTC, an event's name,
then ``key=value`` in logfmt. A value is bare, or a JSON string where it holds a blank, a quote or an equals sign. A
line that does not read like this is no event but text. The programs in the nodes are not trusted: lines are bounded and
nothing here raises.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_FIELDS = 64
LINE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<name>[a-z_]{1,64})(?P<rest>(?: .*)?)", re.DOTALL
)
FIELD = re.compile(r' (?P<key>[A-Za-z_][A-Za-z0-9_]*)=(?:(?P<bare>[^\s"=]*)|(?P<quoted>"(?:[^"\\]|\\.)*"))(?= |$)')


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a node said has happened."""

    node: str
    time: float
    """Seconds since the epoch, on the engine's clock."""
    name: str
    fields: Mapping[str, str] = field(default_factory=dict)

    def matches(self, **wanted: str) -> bool:
        """Whether every field named has that value."""
        return all(self.fields.get(key) == value for key, value in wanted.items())

    def number(self, key: str) -> int | None:
        """A field as a whole number; None where it is missing or none."""
        text = self.fields.get(key, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def parse(node: str, time: float, text: str) -> Event | None:
    """Read one line; None where it is no event line."""
    line = LINE.fullmatch(text)
    if line is None:
        return None
    rest = line["rest"]
    fields: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = FIELD.match(rest, position)
        if match is None or len(fields) == MAX_FIELDS:
            return None
        if match["quoted"] is None:
            fields[match["key"]] = match["bare"]
        else:
            try:
                fields[match["key"]] = str(json.loads(match["quoted"]))
            except ValueError:
                return None
        position = match.end()
    return Event(node, time, line["name"], fields)


def show_time(seconds: float) -> str:
    """A time as the event lines write it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
