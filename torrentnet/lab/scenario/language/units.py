"""Quantities as people write them in a scenario: ``500ms``, ``8MiB``, ``8mbit``. The unit is never left out.

The units are those of :mod:`torrentnet.runtime.units`. A scenario is stricter than a command line (``1m30s`` and
``8mib`` are refused), and every error has a hint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.errors import InvalidValueError
from torrentnet.runtime import units

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from fractions import Fraction

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
    """Return the seconds, exact to the millisecond, of ``500ms``, ``2.5s``, ``1m`` or ``1h``.

    Raises InvalidValueError without a unit, with an unknown one, below zero, finer than a millisecond, or for more than
    a day.
    """
    if clock := _CLOCK.fullmatch(text):
        first, second, third = (int(part) for part in clock.groups(default="0"))
        seconds = first * 60 + second if clock[3] is None else first * 3600 + second * 60 + third
        raise InvalidValueError(f"`{text}` is not a duration", f"write `{seconds}s`")
    milliseconds = _parse_quantity(text, units.DURATION_UNITS, "duration", ("5s", "500ms"))
    if milliseconds.denominator != 1:
        raise InvalidValueError(f"`{text}` is finer than a millisecond", "write whole milliseconds, such as `20ms`")
    if milliseconds > MAX_DURATION * 1000:
        raise InvalidValueError(f"`{text}` is longer than a day")
    return float(milliseconds / 1000)


def format_duration(seconds: float) -> str:
    """Return ``500ms`` for 0.5, ``2.5s`` for 2.5: exact to the millisecond, for people and for every program."""
    milliseconds = round(seconds * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    return f"{Decimal(milliseconds) / 1000:f}s"


def parse_size(text: str) -> int:
    """Return the bytes of ``8MiB``, ``256KiB``, ``1000B`` or ``5MB``.

    Raises InvalidValueError without a unit, with an unknown one, for a fraction of a byte, or for more than
    :data:`MAX_SIZE`.
    """
    size = _parse_quantity(text, SIZE_UNITS, "size", ("8MiB", "100B"))
    if size.denominator != 1:
        raise InvalidValueError(f"`{text}` is not a whole number of bytes")
    if size > MAX_SIZE:
        raise InvalidValueError(f"`{text}` is too large", f"a file has at most {MAX_SIZE // 2**30}GiB")
    return int(size)


def format_size(size: int) -> str:
    """Return bytes in the largest binary unit that leaves a whole number: ``256KiB`` for 262144."""
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % SIZE_UNITS[unit] == 0:
            return f"{size // SIZE_UNITS[unit]}{unit}"
    return f"{size}B"


def parse_rate(text: str) -> Rate:
    """Return the rate of ``8mbit``, ``64kbit`` or ``1MiB/s``.

    Raises InvalidValueError without a unit, with an unknown one, for less than a byte a second, or for more than
    :data:`MAX_RATE`.
    """
    bits = _parse_quantity(text, RATE_UNITS, "rate", ("8mbit", "1MiB/s"))
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
    percent = _parse_quantity(text, {"%": 1}, "share", ("5%", "0.5%"))
    if percent > 100:
        raise InvalidValueError(f"`{text}` is more than everything", "a share is from `0%` to `100%`")
    return float(percent / 100)


def format_share(share: float) -> str:
    """Return ``5%`` for 0.05."""
    return f"{share * 100:.6g}%"


def _parse_quantity(text: str, factors: Mapping[str, int], kind: str, examples: tuple[str, str]) -> Fraction:
    try:
        return units.parse_quantity(text, factors, kind, examples)
    except units.UnitError as error:
        raise InvalidValueError(error.text, error.hint) from None
