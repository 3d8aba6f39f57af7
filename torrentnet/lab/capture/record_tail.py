"""The events of a run's record, as they are written, and the plan's links."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAB: Final = "lab"
"""In place of a node's name."""
READ_SIZE: Final = 1 << 20
MAX_LINE: Final = 1 << 22
SECOND: Final = 1_000_000_000
MILLISECOND: Final = 1_000_000


class RecordedEvent(NamedTuple):
    """One line of ``events.jsonl``."""

    time: int
    """Nanoseconds since the epoch: the end of the millisecond that the record names.

    An event follows the packets that have caused it.
    """
    node: str
    name: str
    fields: dict[str, Any]
    zero: int | None
    """The time t = 0; None before it."""


class RecordTail:
    """Reads ``events.jsonl`` to its present end, again and again."""

    def __init__(self, record: Path) -> None:
        self._path = record / "events.jsonl"
        self._descriptor = -1
        self._rest = b""

    def read(self) -> Iterator[RecordedEvent]:
        """Yield the events that have been written since the last call.

        A line that is none is left out.
        """
        if self._descriptor < 0:
            try:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return
        while data := os.read(self._descriptor, READ_SIZE):
            *lines, self._rest = (self._rest + data).split(b"\n")
            if len(self._rest) > MAX_LINE:
                self._rest = b""
            for line in lines:
                if (event := _parse(line)) is not None:
                    yield event

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _parse(line: bytes) -> RecordedEvent | None:
    try:
        row = json.loads(line)
        moment = datetime.fromisoformat(str(row["time"]).replace("Z", "+00:00"))
        time = round(moment.timestamp() * 1000) * MILLISECOND
        zero = None if row.get("t") is None else time - round(float(row["t"]) * SECOND)
        fields = row.get("fields") or {}
        if not isinstance(fields, dict):
            return None
        return RecordedEvent(time + MILLISECOND - 1, str(row["node"]), str(row["event"]), fields, zero)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def planned_links(record: Path) -> list[dict[str, Any]]:
    """Return the scenario's links as ``plan.json`` has them.

    There are none where there is no such file.
    """
    try:
        links = json.loads((record / "plan.json").read_text(encoding="utf-8"))["links"]
        return [link for link in links if isinstance(link, dict) and isinstance(link.get("pairs"), list)]
    except (OSError, ValueError, KeyError, TypeError):
        return []
