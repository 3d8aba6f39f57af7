"""The single values of the language: quantities, names and intervals.

Examples are ``500ms`` and ``8MiB`` for quantities, and ``at least 5`` for intervals. The units are those of
:mod:`torrentnet.runtime.units` and are never left out. A scenario is stricter than a command line (``1m30s`` and
``8mib`` are refused), and every error has a hint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.plan.expectations import Interval
from torrentnet.runtime import units
from torrentnet.wire.errors import InvalidNameError
from torrentnet.wire.names import check_file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class InvalidValueError(units.UnitError):
    """A text that is not a value of its kind.

    ``text`` says what is wrong, ``hint`` what to write.
    """

    def __init__(self, text: str, hint: str = "", item: int | None = None) -> None:
        super().__init__(text, hint)
        self.item = item
        """Index of the wrong item, where the value is a list."""


MAX_DURATION: Final = 24 * 3600.0
"""Seconds; no experiment and no time-out is longer than a day."""
MAX_SIZE: Final = 64 * 2**30
"""Bytes of one file."""
MAX_RATE: Final = 10**12
"""Bits a second."""

SIZE_UNITS: Final = {unit: factor for unit, factor in units.SIZE_UNITS.items() if factor <= MAX_SIZE}
"""Bytes in each unit of size."""
RATE_UNITS: Final = {**units.BIT_RATE_UNITS, **{f"{unit}/s": 8 * factor for unit, factor in SIZE_UNITS.items()}}
"""Bits a second in each unit of rate."""

_CLOCK: Final = re.compile(r"([0-9]{1,4}):([0-9]{2})(?::([0-9]{2}))?")


def _pattern(names: Iterable[str]) -> str:
    return rf"[0-9]+(\.[0-9]+)?({'|'.join(names)})"


DURATION_PATTERN: Final = _pattern(units.DURATION_UNITS)
SIZE_PATTERN: Final = _pattern(SIZE_UNITS)
SHARE_PATTERN: Final = _pattern(["%"])
RATE_PATTERN: Final = _pattern(RATE_UNITS)


@dataclass(frozen=True, slots=True)
class Rate:
    """An amount of data a second."""

    bits: int
    text: str
    """As the programs' command lines take it: ``8mbit``, ``1MiB/s``."""


def parse_duration(text: str) -> float:
    """Return the seconds of a duration: ``500ms``, ``2.5s``, ``1m`` or ``1h``.

    The result is exact to the millisecond. Raises InvalidValueError without a unit, with an unknown one, below zero,
    finer than a millisecond, or for more than a day.
    """
    if clock := _CLOCK.fullmatch(text):
        first, second, third = (int(part) for part in clock.groups(default="0"))
        seconds = first * 60 + second if clock[3] is None else first * 3600 + second * 60 + third
        raise InvalidValueError(f"`{text}` is not a duration", f"write `{seconds}s`")
    milliseconds = units.parse_quantity(text, units.DURATION_UNITS, "duration", ("5s", "500ms"))
    if milliseconds.denominator != 1:
        raise InvalidValueError(f"`{text}` is finer than a millisecond", "write whole milliseconds, such as `20ms`")
    if milliseconds > MAX_DURATION * 1000:
        raise InvalidValueError(f"`{text}` is longer than a day")
    return float(milliseconds / 1000)


def format_duration(seconds: float) -> str:
    """Return the text of a duration: ``500ms`` for 0.5, ``2.5s`` for 2.5.

    It is exact to the millisecond, and can be read by people and by every program.
    """
    milliseconds = round(seconds * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    return f"{Decimal(milliseconds) / 1000:f}s"


def parse_size(text: str) -> int:
    """Return the bytes of ``8MiB``, ``256KiB``, ``1000B`` or ``5MB``.

    Raises InvalidValueError without a unit, with an unknown one, for a fraction of a byte, or for more than
    :data:`MAX_SIZE`.
    """
    size = units.parse_quantity(text, SIZE_UNITS, "size", ("8MiB", "100B"))
    if size.denominator != 1:
        raise InvalidValueError(f"`{text}` is not a whole number of bytes")
    if size > MAX_SIZE:
        raise InvalidValueError(f"`{text}` is too large", f"a file has at most {MAX_SIZE // 2**30}GiB")
    return int(size)


def format_size(size: int) -> str:
    """Return the text of a size in bytes: ``256KiB`` for 262144.

    The unit is the largest binary one that leaves a whole number.
    """
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % SIZE_UNITS[unit] == 0:
            return f"{size // SIZE_UNITS[unit]}{unit}"
    return f"{size}B"


def parse_rate(text: str) -> Rate:
    """Return the rate of ``8mbit``, ``64kbit`` or ``1MiB/s``.

    Raises InvalidValueError without a unit, with an unknown one, for less than a byte a second, or for more than
    :data:`MAX_RATE`.
    """
    bits = units.parse_quantity(text, RATE_UNITS, "rate", ("8mbit", "1MiB/s"))
    if bits < 8:
        raise InvalidValueError(f"`{text}` is too slow", "write at least `8bit`, or leave it out for no limit")
    if bits.denominator != 1:
        raise InvalidValueError(f"`{text}` is not a whole number of bits")
    if bits > MAX_RATE:
        raise InvalidValueError(f"`{text}` is more than a terabit a second")
    if "." not in text:
        return Rate(int(bits), text)
    return Rate(int(bits), f"{int(bits) // 1000}kbit" if bits % 1000 == 0 else f"{int(bits)}bit")


def format_rate(bits: float) -> str:
    """Return ``8mbit`` for 8000000."""
    for unit in ("gbit", "mbit", "kbit"):
        if bits >= RATE_UNITS[unit]:
            return f"{bits / RATE_UNITS[unit]:g}{unit}"
    return f"{bits:g}bit"


def parse_share(text: str) -> float:
    """Return the share, 0 to 1, of ``5%`` or ``0.5%``.

    Raises InvalidValueError without a per cent sign, or for more than all.
    """
    if re.fullmatch(r"0?\.[0-9]{1,9}", text):
        raise InvalidValueError(f"`{text}` has no unit", f"write `{format_share(float(text))}`")
    if text.startswith("-"):
        raise InvalidValueError(f"`{text}` is less than nothing", "a share is from `0%` to `100%`")
    percent = units.parse_quantity(text, {"%": 1}, "share", ("5%", "0.5%"))
    if percent > 100:
        raise InvalidValueError(f"`{text}` is more than everything", "a share is from `0%` to `100%`")
    return float(percent / 100)


def format_share(share: float) -> str:
    """Return ``5%`` for 0.05."""
    return f"{share * 100:.6g}%"


NODE_NAME: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
SCENARIO_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


def parse_scenario_name(text: str) -> str:
    """Check the name of a scenario, and return it.

    The scenario's labs and run directories have this name, too. Raises InvalidValueError.
    """
    if not SCENARIO_NAME.fullmatch(text):
        raise InvalidValueError(
            f"`{text}` cannot be the name of a scenario",
            "use lower-case letters, digits and `_`, a letter first, at most 40 in all: `killed_seed`",
        )
    return text


def parse_node_name(text: str) -> str:
    """Check the name of a node or a group, and return it.

    It is also a host name and a Compose service. Raises InvalidValueError.
    """
    return _parse_name(text, "a node", "at most 40 in all: `seeder`")


def parse_event_name(text: str) -> str:
    """Return the name of an event of the timeline. Raises InvalidValueError."""
    return _parse_name(text, "an event", "at most 40 in all: `cable-cut`")


def _parse_name(text: str, owner: str, example: str) -> str:
    if not NODE_NAME.fullmatch(text):
        raise InvalidValueError(
            f"`{text}` cannot be the name of {owner}",
            f"use lower-case letters, digits and `-`, a letter first, {example}",
        )
    if text in {"all", "rest"}:
        raise InvalidValueError(f"`{text}` is a word of the language", "choose another name")
    return text


def parse_file_name(text: str) -> str:
    """Check the name of a file, and return it.

    It is not a path, and nothing that a command line takes for an option. Raises InvalidValueError for any other text,
    by the rule of :func:`~torrentnet.wire.names.check_file_name`.
    """
    if "/" in text or "\\" in text:
        raise InvalidValueError(
            f"`{text}` is a path", "a file has a name without `/` and `\\`; `source:` says where its content is"
        )
    if text.startswith("-"):
        raise InvalidValueError(
            f"`{text}` would be taken for an option of the command line", "begin the name with another character"
        )
    try:
        return check_file_name(text)
    except InvalidNameError as error:
        raise InvalidValueError(error.message, error.hint) from None


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
    """Return an interval as a scenario writes it: ``at least 5``, ``4 to 6``."""
    if interval.least is None:
        return f"at most {show(interval.most or 0)}"
    if interval.most is None:
        return f"at least {show(interval.least)}"
    if interval.least == interval.most:
        return show(interval.least)
    return f"{show(interval.least)} to {show(interval.most)}"


def parse_count(text: str) -> int:
    """Return a whole number. Raises InvalidValueError."""
    if re.fullmatch(r"-[0-9]+", text):
        raise InvalidValueError(f"`{text[:40]}` is negative", "write `0` or more")
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise InvalidValueError(f"`{text}` is not a whole number", "write `5`, `at least 5`, `at most 5` or `4 to 6`")
    if int(text) > MAX_NUMBER:
        raise InvalidValueError(f"{text} is more than {MAX_NUMBER}")
    return int(text)
