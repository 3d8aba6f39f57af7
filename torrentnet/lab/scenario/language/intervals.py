"""Numbers that are asked for, as people write them: ``5``, ``at least 5``, ``at most 8MiB``, ``4 to 6``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import WithJsonSchema

from torrentnet.lab.scenario.language.models.values import text_validator
from torrentnet.lab.scenario.language.units import UnitError, format_size, parse_size
from torrentnet.lab.scenario.plan import Interval

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_NUMBER = 10**9
_BOUND = re.compile(r"(?:(?P<word>at least|at most)\s+)?(?P<first>\S+)(?:\s+to\s+(?P<last>\S+))?")


def parse_interval(text: str, parse: Callable[[str], int]) -> Interval:
    """A bound whose numbers ``parse`` reads.

    Raises:
        UnitError: it is none, or what ``parse`` raises.
    """
    match = _BOUND.fullmatch(" ".join(text.split()))
    if match is None or (match["word"] and match["last"]):
        raise UnitError(f"`{text}` is no amount", "write a number, `at least ...`, `at most ...`, or `... to ...`")
    first = parse(match["first"])
    if match["word"]:
        return Interval(least=first) if match["word"] == "at least" else Interval(most=first)
    last = parse(match["last"]) if match["last"] else first
    if last < first:
        raise UnitError(f"`{text}` runs backwards", f"write `{match['last']} to {match['first']}`")
    return Interval(first, last)


def format_interval(bound: Interval, show: Callable[[int], str] = str) -> str:
    """As it was written."""
    if bound.least is None:
        return f"at most {show(bound.most or 0)}"
    if bound.most is None:
        return f"at least {show(bound.least)}"
    return show(bound.least) if bound.least == bound.most else f"{show(bound.least)} to {show(bound.most)}"


def format_byte_interval(bound: Interval) -> str:
    """The same for bytes."""
    return format_interval(bound, format_size)


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise UnitError(f"`{text}` is no whole number", "write `5`, `at least 5`, `at most 5` or `4 to 6`")
    if int(text) > MAX_NUMBER:
        raise UnitError(f"{text} is more than {MAX_NUMBER}")
    return int(text)


_WHOLE = r"[0-9]+"
_BYTES = r"[0-9]+(\.[0-9]+)?(B|KiB|MiB|GiB|KB|MB|GB)"


def _pattern(number: str) -> str:
    return rf"^((at least |at most )?{number}|{number} to {number})$"


CountInterval = Annotated[
    Interval,
    text_validator(lambda text: parse_interval(text, _number), "a number"),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _pattern(_WHOLE)}]},
    ),
]
ByteInterval = Annotated[
    Interval,
    text_validator(lambda text: parse_interval(text, parse_size), "a size"),
    WithJsonSchema({"type": "string", "pattern": _pattern(_BYTES), "examples": ["at most 10MiB"]}),
]
