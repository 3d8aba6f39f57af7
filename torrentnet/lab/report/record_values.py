"""Values of a record, which may be of any kind.

Another program or an older version may have written them.

Tested by tests/unit/lab/report/test_run_document.py.
"""

from __future__ import annotations

import contextlib
import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Document: TypeAlias = "dict[str, Any]"
"""A JSON object."""

MAX_TIME: Final = 2**31 - 1
"""Milliseconds that a document's columns hold: some 24 days."""


def epoch_seconds(text: object) -> float:
    """Return a record's time in UTC as seconds since the epoch; 0 for anything else."""
    if isinstance(text, str):
        with contextlib.suppress(ValueError):
            found = datetime.fromisoformat(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return 0.0


def finite(value: object) -> float | None:
    """Return a number that is one; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and math.isfinite(value):
        return float(value)
    return None


def whole_number(value: object) -> int:
    """Return a whole number that is not negative, and 0 for anything else.

    A field is text, or a number in a newer record.
    """
    if (number := finite(value)) is not None:
        return int(min(max(0.0, number), 2.0**53))
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else 0


def clamped_ms(ms: float) -> int:
    """Return milliseconds as a whole number that fits into a document's column."""
    return round(max(-MAX_TIME, min(MAX_TIME, ms)))


def milliseconds(seconds: object) -> int | None:
    """Return a record's seconds as whole milliseconds; None for anything else."""
    number = finite(seconds)
    return None if number is None else clamped_ms(number * 1000)


def objects(value: object) -> list[Document]:
    """Return the objects of a list; empty for anything else."""
    return [one for one in listed(value) if isinstance(one, dict)]


def object_of(value: object) -> Document:
    """Return an object; empty for anything else."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:
    """Return a list; empty for anything else."""
    return value if isinstance(value, list) else []


def parse_json(text: str) -> object:
    """Return what a text holds; None for what is no JSON."""
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def read_object(path: Path) -> Document:
    """Return a file's JSON object; empty for a file that is missing or something else."""
    try:
        return object_of(parse_json(path.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return {}
