"""Intervals of numbers as people write them: ``5``, ``at least 5``, ``at most 8MiB``, ``4 to 6``.

Tested by tests/unit/lab/scenario/resolve/test_expectations.py.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import WithJsonSchema

from torrentnet.lab.scenario.language.errors import InvalidValueError
from torrentnet.lab.scenario.language.models.values import text_validator
from torrentnet.lab.scenario.language.units import SIZE_PATTERN, format_size, parse_size
from torrentnet.lab.scenario.plan import Interval

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_NUMBER: Final = 10**9
_INTERVAL: Final = re.compile(r"(?:(?P<word>at least|at most)\s+)?(?P<first>\S+)(?:\s+to\s+(?P<last>\S+))?")


def parse_interval(text: str, parse: Callable[[str], int]) -> Interval:
    """Parse an interval whose numbers ``parse`` reads.

    Raises InvalidValueError for any other text, and what ``parse`` raises.
    """
    match = _INTERVAL.fullmatch(" ".join(text.split()))
    if match is None or (match["word"] and match["last"]):
        raise InvalidValueError(
            f"`{text}` is not an amount", "write a number, `at least ...`, `at most ...`, or `... to ...`"
        )
    first = parse(match["first"])
    if match["word"]:
        return Interval(least=first) if match["word"] == "at least" else Interval(most=first)
    last = parse(match["last"]) if match["last"] else first
    if last < first:
        raise InvalidValueError(f"`{text}` ends before it begins", f"write `{match['last']} to {match['first']}`")
    return Interval(first, last)


def format_interval(interval: Interval, show: Callable[[int], str] = str) -> str:
    """Return an interval as it is written."""
    if interval.least is None:
        return f"at most {show(interval.most or 0)}"
    if interval.most is None:
        return f"at least {show(interval.least)}"
    if interval.least == interval.most:
        return show(interval.least)
    return f"{show(interval.least)} to {show(interval.most)}"


def format_byte_interval(interval: Interval) -> str:
    """Return an interval of bytes as it is written."""
    return format_interval(interval, format_size)


def _parse_count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise InvalidValueError(f"`{text}` is not a whole number", "write `5`, `at least 5`, `at most 5` or `4 to 6`")
    if int(text) > MAX_NUMBER:
        raise InvalidValueError(f"{text} is more than {MAX_NUMBER}")
    return int(text)


def _pattern(number: str) -> str:
    return rf"^((at least |at most )?{number}|{number} to {number})$"


CountInterval = Annotated[
    Interval,
    text_validator(lambda text: parse_interval(text, _parse_count), "a number"),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _pattern("[0-9]+")}]},
    ),
]
ByteInterval = Annotated[
    Interval,
    text_validator(lambda text: parse_interval(text, parse_size), "a size"),
    WithJsonSchema({"type": "string", "pattern": _pattern(SIZE_PATTERN), "examples": ["at most 10MiB"]}),
]
