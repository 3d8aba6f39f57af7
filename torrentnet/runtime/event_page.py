"""Generator of docs/events.md from the table of events.

Run ``python3 -m torrentnet.runtime.event_page > docs/events.md``.

Tested by tests/unit/runtime/test_event_table.py.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.event_table import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.runtime.event_table import EventField, EventSpec

_INTRODUCTION: Final = """\
# Events

Every program writes what happens to it as lines on its standard output. People read them with
`docker compose logs -f`, and the lab reads the same lines. A line is [logfmt](https://brandur.org/logfmt): the time in
UTC, the event's name, then `key=value` pairs:

```
2026-11-23T12:29:11.123Z picked peer=seeder-2 address=198.18.0.4:6881 among=3
```

A value is bare when it holds no blank, no `"` and no `=`, and every character is printable. Any other value is a JSON
string (RFC 8259, section 7) in which unprintable characters are escaped. A line of any other form is plain text.

A run's record has the events of all nodes in `events.jsonl`, one JSON object a line: `time`, `node`, `event`, `fields`
and, from t = 0 on, `t` in seconds. `t` counts on a clock that is never set, and the rows are in its order; `time` is
the time of day then, in UTC. There, fields with a unit such as bytes or ms are numbers, those with `true or false` are
truth values, and all others are texts. The events that the lab itself writes are only there, with `lab` as the node;
their values are JSON. [record.md](record.md) describes the other files of a record. A scenario's `log:` check can name
every event of a node, with every field.

This page is generated from `torrentnet/runtime/event_table.py`; change the table, then run
`python3 -m torrentnet.runtime.event_page > docs/events.md`.

## All events
"""


def render_page() -> str:
    """Return docs/events.md as text."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    yield from _table(
        ("event", "written by", "meaning"),
        ((f"[`{spec.name}`](#{spec.name})", ", ".join(spec.emitters), spec.meaning) for spec in EVENTS.values()),
    )
    for spec in EVENTS.values():
        yield ""
        yield from _section(spec)


def _section(spec: EventSpec) -> Iterator[str]:
    yield f"## {spec.name}"
    yield ""
    yield spec.meaning
    yield ""
    level = "" if spec.level == "info" else f" Level: {spec.level}."
    readers = f" Read by: {', '.join(spec.readers)}." if spec.readers else ""
    yield f"Written by: {', '.join(spec.emitters)}.{readers}{level}"
    if spec.fields:
        yield ""
        yield from _table(
            ("field", "unit", "meaning"),
            ((f"`{field.key}`", field.unit, _meaning(field, spec)) for field in spec.fields),
        )


def _meaning(field: EventField, spec: EventSpec) -> str:
    by = [emitter for emitter in spec.emitters if emitter in field.emitters]
    notes = [f"{' and '.join(by)} only"] if by and len(by) < len(spec.emitters) else []
    notes += ["may be missing"] if field.optional else []
    return f"{field.meaning} ({', '.join(notes)})" if notes else field.meaning


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    sys.stdout.write(render_page())
