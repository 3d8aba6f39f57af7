"""Durations, sizes and rates as a person writes them, to numbers and back.

Every number carries its unit: a bare ``5`` is refused, because nobody can see whether it means milliseconds or minutes.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

MAX_DURATION: Final = 366 * 24 * 3600
"""Longest duration that is taken; above it a wait can no longer be told from a slip of the pen."""
MAX_SIZE: Final = 2**63 - 1
"""Largest size in bytes that a file system, SQLite and a signed 64 bit field of the wire can all carry."""
MAX_TEXT: Final = 40
"""Characters of input that an error message repeats."""

DURATION_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
"""Milliseconds in each unit of duration."""
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
"""Bits a second in each unit of rate that is not a size a second."""
_FOLDED_SIZE_UNITS: Final = {unit.lower(): factor for unit, factor in SIZE_UNITS.items()}

_NUMBER: Final = r"[0-9]{1,19}(?:\.[0-9]{1,9})?"
_BARE: Final = re.compile(_NUMBER)
_PART: Final = re.compile(rf"({_NUMBER})(ms|s|m|h)")
_DURATION: Final = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h))+")
_QUANTITY: Final = re.compile(rf"({_NUMBER})[ ]?([A-Za-z]+)")

_DURATION_HELP: Final = "the units are ms, s, m and h, as in 500ms, 2s or 1m30s"
_SIZE_HELP: Final = "the units are B, KiB, MiB, GiB, KB, MB and GB, as in 256KiB or 8MiB"
_RATE_HELP: Final = "the units are bit, kbit, mbit, gbit or a size per second, as in 8mbit or 1MiB/s"


def parse_duration(text: str) -> float:
    """Seconds in *text*: ``500ms``, ``2s``, ``1.5s``, ``1m``, ``1m30s``.

    Raises ValueError with a sentence for the user when the unit is missing or unknown, the number is negative or no
    number, or the duration is longer than :data:`MAX_DURATION`.
    """
    text = text.strip()
    if _BARE.fullmatch(text):
        raise ValueError(f"{_shown(text)} has no unit: {_DURATION_HELP}")
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{_shown(text)} is not a duration: {_DURATION_HELP}")
    parts = _PART.findall(text)
    factors = [DURATION_UNITS[unit] for _, unit in parts]
    if factors != sorted(set(factors), reverse=True):
        raise ValueError(f"{_shown(text)} is not a duration: each unit once, the largest first, as in 1m30s")
    seconds = float(sum(Fraction(number) * DURATION_UNITS[unit] for number, unit in parts) / 1000)
    if seconds > MAX_DURATION:
        raise ValueError(f"{_shown(text)} is too long: at most {format_duration(MAX_DURATION)}")
    return seconds


def parse_size(text: str) -> int:
    """Bytes in *text*: ``64B``, ``256KiB``, ``8MiB``, ``1.5GiB``, ``10MB``. Units are taken in any case.

    Raises ValueError with a sentence for the user; among others when the result is no whole number of bytes.
    """
    text = text.strip()
    if _BARE.fullmatch(text):
        raise ValueError(f"{_shown(text)} has no unit: {_SIZE_HELP}")
    found = _QUANTITY.fullmatch(text)
    factor = _FOLDED_SIZE_UNITS.get(found[2].lower()) if found else None
    if found is None or factor is None:
        raise ValueError(f"{_shown(text)} is not a size: {_SIZE_HELP}")
    size = Fraction(found[1]) * factor
    if size.denominator != 1:
        raise ValueError(f"{_shown(text)} is not a whole number of bytes")
    if size > MAX_SIZE:
        raise ValueError(f"{_shown(text)} is too large: at most {MAX_SIZE}B")
    return int(size)


def parse_rate(text: str) -> int:
    """Bytes per second in *text*: ``8mbit``, ``64kbit`` (decimal, a second, as tc has them) or ``1MiB/s``.

    Rounded down to whole bytes. Raises ValueError with a sentence for the user; a rate below one byte a second is
    refused, for it would never move anything.
    """
    text = text.strip()
    if _BARE.fullmatch(text):
        raise ValueError(f"{_shown(text)} has no unit: {_RATE_HELP}")
    quantity, per_second = (text[:-2], True) if text.endswith("/s") else (text, False)
    found = _QUANTITY.fullmatch(quantity)
    if found is None:
        raise ValueError(f"{_shown(text)} is not a rate: {_RATE_HELP}")
    unit = found[2].lower()
    if unit in BIT_RATE_UNITS:
        rate = Fraction(found[1]) * BIT_RATE_UNITS[unit] / 8
    elif unit in _FOLDED_SIZE_UNITS and per_second:
        rate = Fraction(found[1]) * _FOLDED_SIZE_UNITS[unit]
    elif unit in _FOLDED_SIZE_UNITS:
        raise ValueError(f"{_shown(text)} is a size, not a rate: write {_shown(text + '/s', quoted=False)}")
    else:
        raise ValueError(f"{_shown(text)} is not a rate: {_RATE_HELP}")
    if rate < 1:
        raise ValueError(f"{_shown(text)} is too slow: a rate is at least one byte a second (8bit)")
    if rate > MAX_SIZE:
        raise ValueError(f"{_shown(text)} is too fast: at most {MAX_SIZE}B/s")
    return int(rate)


def format_size(size: int) -> str:
    """*size* bytes for a person: ``1 B``, ``1.5 KiB``, ``8 MiB``; one decimal at most."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        # What would be shown as 1024.0 belongs to the next unit.
        if abs(round(value, 1)) < 1024:
            return f"{_trimmed(value)} {unit}"
        value /= 1024
    return f"{_trimmed(value)} TiB"


def format_rate(rate: float) -> str:
    """*rate* bytes per second for a person: ``1.5 MiB/s``."""
    return f"{format_size(int(rate))}/s"


def format_duration(seconds: float) -> str:
    """*seconds* for a person, in a form that :func:`parse_duration` takes: ``500ms``, ``1.5s``, ``2m5s``, ``1h2m``."""
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


def _shown(text: str, *, quoted: bool = True) -> str:
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT - 1] + "…"
    return repr(text) if quoted else text
