"""Durations, sizes and rates as people write them, to numbers and back.

Every quantity carries its unit: nobody can see whether a bare ``5`` means milliseconds or minutes. The command lines
and the scenario language share the tables, the parser of one quantity and its messages; each has limits of its own.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

DURATION_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
"""Milliseconds in each unit of time."""
SIZE_UNITS: Final = {
    "B": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
"""Bytes in each unit of size."""
BIT_RATE_UNITS: Final = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
"""Bits a second in each unit of rate that is not a size a second; decimal, as in tc."""
RATE_UNITS: Final = {**BIT_RATE_UNITS, **{f"{unit}/s": 8 * factor for unit, factor in SIZE_UNITS.items()}}
"""Bits a second in each unit of rate."""

MAX_DURATION: Final = 366 * 24 * 3600
"""Seconds of the longest duration; a longer one is most likely a mistake."""
MAX_SIZE: Final = 2**63 - 1
"""Bytes of the largest size: what file systems, SQLite and a signed 64-bit field can all hold."""
MAX_SHOWN: Final = 40
"""Characters of the input that a message repeats."""

_NUMBER: Final = r"[0-9]{1,18}(?:\.[0-9]{1,9})?"
_QUANTITY: Final = re.compile(rf"([+-]?{_NUMBER})(\s*)([A-Za-zµ/%]*)")
_PART: Final = re.compile(rf"({_NUMBER})(ms|s|m|h)")
_COMPOUND: Final = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h)){{2,}}")
_MEANT: Final = {
    wrong: right
    for right, all_wrong in {
        "s": "sec secs second seconds",
        "m": "min mins minute minutes",
        "ms": "msec millis milliseconds",
        "h": "hour hours",
        "B": "bytes byte",
        "KiB": "k ki",
        "MiB": "m mi",
        "GiB": "g gi",
        "kbit": "kbps kbit/s kb",
        "mbit": "mbps mbit/s mb",
        "gbit": "gbps gbit/s gb",
    }.items()
    for wrong in all_wrong.split()
}
"""What people write, in small letters, to what they mean; a unit in the wrong case needs no entry."""


class UnitError(ValueError):
    """Error of a text that is not the quantity that it should be.

    ``text`` says what is wrong, ``hint`` what to write.
    """

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(f"{text}; {hint}" if hint else text)
        self.text = text
        self.hint = hint


def parse_quantity(text: str, units: Mapping[str, int], kind: str, examples: tuple[str, str]) -> Fraction:
    """Return a number times its unit's factor.

    ``kind`` (``size``) and ``examples`` (``8MiB``, ``100B``) are for messages. Raises :class:`UnitError` when the unit
    is missing, unknown, or separated by a space, and for a number with a sign.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise UnitError(
            f"{shown(text)} is not a {kind}", f"write a number and a unit, such as `{examples[0]}` or `{examples[1]}`"
        )
    number, space, unit = match.groups()
    names = ", ".join(f"`{name}`" for name in units)
    listed = f"the units of a {kind} are {names}" if len(units) > 1 else f"the unit of a {kind} is {names}"
    if number[0] == "-" and not unit:
        raise UnitError(f"{shown(text)} is negative", f"write a {kind}, such as `{examples[0]}` or `{examples[1]}`")
    if not unit:
        fitting = " or ".join(dict.fromkeys(f"`{number}{example.lstrip('0123456789.')}`" for example in examples))
        raise UnitError(f"{shown(text)} has no unit", f"write {fitting}" + (f"; {listed}" if len(units) > 1 else ""))
    if unit not in units:
        meant = " or ".join(f"`{number}{name}`" for name in _closest_units(unit, units))
        raise UnitError(f"`{unit}` is not a unit of a {kind}", f"did you mean {meant}?" if meant else listed)
    if space:
        raise UnitError(f"{shown(text)} has a space before its unit", f"write `{number}{unit}`")
    if number[0] in "+-":
        hint = f"write `{number[1:]}{unit}`" if number[0] == "+" else f"a {kind} is never negative"
        raise UnitError(f"{shown(text)} has a sign", hint)
    return Fraction(number) * units[unit]


def _closest_units(unit: str, units: Mapping[str, int]) -> list[str]:
    """Return the units that somebody may have meant.

    There are two where bits and bytes cannot be told apart: ``mb`` is either, but ``MB`` is bytes.
    """
    if f"{unit}/s" in units:
        return [f"{unit}/s"]
    by_case = {name.lower(): name for name in units}
    lower = unit.lower()
    if lower in by_case:
        return [by_case[lower]]
    candidates = (_MEANT.get(lower, ""), by_case.get(f"{lower}/s", ""))
    return [name for name in candidates if name in units]


def parse_duration(text: str) -> float:
    """Return the seconds in ``500ms``, ``2s``, ``1.5s``, ``1m`` or ``1m30s``.

    Raises :class:`UnitError` for any other text, and for more than :data:`MAX_DURATION`.
    """
    text = text.strip()
    if _COMPOUND.fullmatch(text):
        parts = _PART.findall(text)
        factors = [DURATION_UNITS[unit] for _, unit in parts]
        if factors != sorted(set(factors), reverse=True):
            raise UnitError(f"{shown(text)} is not a duration", "write each unit once, the largest first: `1m30s`")
        milliseconds = sum(Fraction(number) * DURATION_UNITS[unit] for number, unit in parts)
    else:
        milliseconds = parse_quantity(_typed(text, DURATION_UNITS), DURATION_UNITS, "duration", ("5s", "500ms"))
    if milliseconds > MAX_DURATION * 1000:
        raise UnitError(f"{shown(text)} is too long", f"write at most `{format_duration(MAX_DURATION)}`")
    return float(milliseconds / 1000)


def parse_size(text: str) -> int:
    """Return the number of bytes in a size such as ``256KiB``.

    Other examples are ``64B``, ``8MiB``, ``1.5GiB`` and ``10MB``. Units may be in any case. Raises :class:`UnitError`
    for any other text, for a fraction of a byte, and for more than :data:`MAX_SIZE`.
    """
    size = parse_quantity(_typed(text, SIZE_UNITS), SIZE_UNITS, "size", ("8MiB", "100B"))
    if size.denominator != 1:
        raise UnitError(f"{shown(text)} is not a whole number of bytes")
    if size > MAX_SIZE:
        raise UnitError(f"{shown(text)} is too large", f"write at most `{MAX_SIZE}B`")
    return int(size)


def parse_rate(text: str) -> int:
    """Return the bytes a second in a rate such as ``8mbit``, rounded down.

    Other examples are ``64kbit`` and ``1MiB/s``. Units may be in any case. Raises :class:`UnitError` for any other
    text, for less than a byte a second, and for more than :data:`MAX_SIZE`.
    """
    rate = parse_quantity(_typed(text, RATE_UNITS), RATE_UNITS, "rate", ("8mbit", "1MiB/s")) / 8
    if rate < 1:
        raise UnitError(f"{shown(text)} is too slow", "write at least `8bit`, one byte a second")
    if rate > MAX_SIZE:
        raise UnitError(f"{shown(text)} is too fast", f"write at most `{MAX_SIZE}B/s`")
    return int(rate)


def _typed(text: str, units: Mapping[str, int]) -> str:
    """Return a quantity from a command line in its normal spelling.

    The unit gets the right case, and blanks are removed.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        return text.strip()
    number, _, unit = match.groups()
    return number + next((name for name in units if name.lower() == unit.lower()), unit)


def format_size(size: int) -> str:
    """Return bytes for a person: ``1 B``, ``1.5 KiB``, ``8 MiB``; one decimal at most."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        # What would be shown as 1024.0 belongs to the next unit.
        if abs(round(value, 1)) < 1024:
            return f"{_trimmed(value)} {unit}"
        value /= 1024
    return f"{_trimmed(value)} TiB"


def format_rate(rate: float) -> str:
    """Return bytes a second for a person: ``1.5 MiB/s``."""
    return f"{format_size(int(rate))}/s"


def format_duration(seconds: float) -> str:
    """Return seconds in a form for people, such as ``2m5s``.

    Other examples are ``500ms``, ``1.5s`` and ``1h2m``. :func:`parse_duration` reads this form.
    """
    milliseconds = round(seconds * 1000)
    if milliseconds < 0:
        return f"-{format_duration(-seconds)}"
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    if milliseconds < 59_950:
        return f"{_trimmed(milliseconds / 1000)}s"
    whole = round(milliseconds / 1000)
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    hours, rest = divmod(round(milliseconds / 60_000), 60)
    return f"{hours}h{rest}m" if rest else f"{hours}h"


def _trimmed(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def shown(text: str) -> str:
    """Return an input as messages quote it.

    It is in backquotes, on one line, and cut to :data:`MAX_SHOWN` characters.
    """
    cut = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
    return f"`{cut if cut.isprintable() else cut.encode('unicode_escape').decode('ascii')}`"
