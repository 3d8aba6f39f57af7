"""What a run's record shows: consoles, bytes between pairs, datagrams.

Everything that a node printed is hostile: it is cut, its control characters are escaped, and the page escapes the rest.

Tested by tests/unit/lab/tools/grade/test_pages.py.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.report.write_page import PAGE_FILE
from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MAX_LOG: Final = 16 * 1024
"""Bytes of a node's output on a page."""
MAX_DATAGRAMS: Final = 100
MAX_EVENTS: Final = 64 * 2**20
"""Bytes of a run's events that are read."""


@dataclass(frozen=True, slots=True)
class PrintedOutput:
    """The end of what a node printed."""

    node: str
    text: str
    cut: bool


@dataclass(frozen=True, slots=True)
class PairTraffic:
    """Payload that one node sent to another one."""

    sender: str
    receiver: str
    sent: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one run shows."""

    number: int
    about: str
    command: str
    """Plays the experiment again."""
    logs: tuple[PrintedOutput, ...]
    pairs: tuple[PairTraffic, ...]
    datagrams: tuple[str, ...]
    report: str = ""
    """Path of the run's report; empty where there is none."""


def read_evidence(number: int, about: str, command: str, record: Path) -> Evidence:
    """Return what a record shows; what cannot be read is left out."""
    logs = tuple(output for path in sorted((record / "logs").glob("*.log")) if (output := _output(path)) is not None)
    events = list(_events(record / "events.jsonl"))
    page = record / PAGE_FILE
    report = str(page) if page.is_file() else ""
    return Evidence(number, about, command, logs, _pairs(events), _datagrams(events), report)


def _output(path: Path) -> PrintedOutput | None:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - MAX_LOG))
            text = file.read(MAX_LOG).decode("utf-8", "replace")
    except OSError:
        return None
    lines = text.splitlines()
    cut = size > MAX_LOG
    return PrintedOutput(path.stem, "\n".join(escape_controls(line) for line in lines[cut:]), cut) if lines else None


@dataclass(frozen=True, slots=True)
class _Row:
    """An event of a node, as the record has it: other nodes go by their names."""

    node: str
    name: str
    time: float | None
    """Seconds after t = 0."""
    fields: dict[str, Any]


def _events(path: Path) -> Iterator[_Row]:
    with contextlib.suppress(OSError), path.open("rb") as file:
        for line in file.read(MAX_EVENTS).splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                row = json.loads(line)
                yield _Row(str(row["node"]), str(row["event"]), row.get("t"), dict(row["fields"]))


def _pairs(events: Iterable[_Row]) -> tuple[PairTraffic, ...]:
    last: dict[tuple[str, str], int] = {}
    for event in events:
        if event.name == "pair":
            with contextlib.suppress(KeyError, ValueError):
                pair = (event.node, str(event.fields["peer"]))
                last[pair] = max(last.get(pair, 0), int(event.fields["sent"]))
    return tuple(PairTraffic(sender, receiver, sent) for (sender, receiver), sent in sorted(last.items()) if sent)


def _datagrams(events: Iterable[_Row]) -> tuple[str, ...]:
    lines = []
    for event in events:
        fields = event.fields
        if event.name == "sighted" and fields.get("direction") == "out":
            time = "" if event.time is None else f"{event.time} s"
            way = f"{fields.get('from')} -> {fields.get('to')}"
            named = f"names {fields['nodes']}" if fields.get("nodes") else ""
            parts = (time, way, f"{fields.get('bytes')} bytes", named)
            lines.append(escape_controls("  ".join(part for part in parts if part)))
    return tuple(lines[:MAX_DATAGRAMS])
