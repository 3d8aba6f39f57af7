"""Quantities as people write them in a scenario: ``500ms``, ``8MiB``, ``8mbit``. The unit is never left out.

The lab keeps its own reader of units: it knows the programs only by their command line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

MAX_DURATION = 24 * 3600.0
"""Seconds; no experiment and no time-out is longer than a day."""
MAX_SIZE = 64 * 2**30
"""Bytes of one file."""
MAX_RATE = 10**12
"""Bits a second."""

_QUANTITY = re.compile(r"([+-]?[0-9]{1,18}(?:\.[0-9]{1,9})?)(\s*)([A-Za-zµ/%]*)")
_CLOCK = re.compile(r"([0-9]{1,4}):([0-9]{2})(?::([0-9]{2}))?")

DURATIONS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
"""Milliseconds in each unit of time."""
SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
"""Bytes in each unit of size."""
RATES = {
    "bit": 1,
    "kbit": 10**3,
    "mbit": 10**6,
    "gbit": 10**9,
    **{f"{unit}/s": 8 * factor for unit, factor in SIZES.items()},
}
"""Bits a second in each unit of rate."""

_MEANT = {
    wrong: right
    for right, wrongs in {
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
    for wrong in wrongs.split()
}
"""What people write, in small letters, to what they mean; a unit in other letters needs no line here."""

DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$"
SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)?(B|KiB|MiB|GiB|KB|MB|GB)$"
SHARE_PATTERN = r"^[0-9]+(\.[0-9]+)?%$"
RATE_PATTERN = r"^[0-9]+(\.[0-9]+)?(bit|kbit|mbit|gbit|(B|KiB|MiB|GiB|KB|MB|GB)/s)$"


class UnitError(ValueError):
    """A text that is not the quantity it should be; ``text`` says what is wrong, ``hint`` what to write."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Rate:
    """An amount of data a second."""

    bits: int
    text: str
    """As the programs' command lines take it: ``8mbit``, ``1MiB/s``."""


def parse_duration(text: str) -> float:
    """Seconds, exact to the millisecond, from ``500ms``, ``2.5s``, ``1m``, ``1h``.

    Raises:
        UnitError: no unit, an unknown one, below zero, finer than a millisecond or longer than a day.
    """
    if clock := _CLOCK.fullmatch(text):
        first, second, third = (int(part) for part in clock.groups(default="0"))
        seconds = first * 60 + second if clock[3] is None else first * 3600 + second * 60 + third
        raise UnitError(f"`{text}` is no duration", f"write `{seconds}s`")
    milliseconds = _amount(text, DURATIONS, "duration", ("5s", "500ms"))
    if milliseconds != milliseconds.to_integral_value():
        raise UnitError(f"`{text}` is finer than a millisecond", "write whole milliseconds, such as `20ms`")
    if milliseconds > MAX_DURATION * 1000:
        raise UnitError(f"`{text}` is longer than a day")
    return float(milliseconds / 1000)


def format_duration(seconds: float) -> str:
    """``0.5`` as ``500ms``, ``2.5`` as ``2500ms``, ``60`` as ``1m``; every program reads these."""
    milliseconds = round(seconds * 1000)
    if milliseconds % 1000:
        return f"{milliseconds}ms"
    whole = milliseconds // 1000
    return f"{whole // 60}m" if whole and whole % 60 == 0 else f"{whole}s"


def show_duration(seconds: float) -> str:
    """For people: ``2.5s`` rather than ``2500ms``."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds < 1000 and milliseconds else f"{milliseconds / 1000:g}s"


def parse_size(text: str) -> int:
    """Bytes from ``8MiB``, ``256KiB``, ``1000B``, ``5MB``.

    Raises:
        UnitError: no unit, an unknown one, no whole number of bytes, or more than :data:`MAX_SIZE`.
    """
    size = _amount(text, SIZES, "size", ("8MiB", "100B"))
    if size != size.to_integral_value():
        raise UnitError(f"`{text}` is no whole number of bytes")
    if size > MAX_SIZE:
        raise UnitError(f"`{text}` is more than {MAX_SIZE // 2**30}GiB, the most a file may have here")
    return int(size)


def format_size(size: int) -> str:
    """Bytes in the largest binary unit that leaves a whole number: ``262144`` as ``256KiB``."""
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % SIZES[unit] == 0:
            return f"{size // SIZES[unit]}{unit}"
    return f"{size}B"


def parse_rate(text: str) -> Rate:
    """A rate from ``8mbit``, ``64kbit`` or ``1MiB/s``.

    Raises:
        UnitError: no unit, an unknown one, less than a byte a second, or more than :data:`MAX_RATE`.
    """
    bits = _amount(text, RATES, "rate", ("8mbit", "1MiB/s"))
    if bits < 8:
        raise UnitError(f"`{text}` would let nothing through", "at least `8bit`; leave it out for no limit")
    if bits != bits.to_integral_value():
        raise UnitError(f"`{text}` is no whole number of bits")
    if bits > MAX_RATE:
        raise UnitError(f"`{text}` is more than a terabit a second")
    if "." not in text:
        return Rate(int(bits), text)
    return Rate(int(bits), f"{int(bits) // 1000}kbit" if bits % 1000 == 0 else f"{int(bits)}bit")


def show_rate(bits: float) -> str:
    """For people and for the language: ``8000000`` as ``8mbit``."""
    for unit in ("gbit", "mbit", "kbit"):
        if bits >= RATES[unit]:
            return f"{bits / RATES[unit]:g}{unit}"
    return f"{bits:g}bit"


def parse_share(text: str) -> float:
    """A share, 0 to 1, from ``5%`` or ``0.5%``.

    Raises:
        UnitError: no per cent sign, or more than all.
    """
    if re.fullmatch(r"0?\.[0-9]{1,9}", text):
        raise UnitError(f"`{text}` has no unit", f"write `{show_share(float(text))}`")
    if text.startswith("-"):
        raise UnitError(f"`{text}` is less than nothing", "a share is from `0%` to `100%`")
    percent = _amount(text, {"%": 1}, "share", ("5%", "0.5%"))
    if percent > 100:
        raise UnitError(f"`{text}` is more than all", "a share is at most `100%`")
    return float(percent / 100)


def show_share(share: float) -> str:
    """``0.05`` as ``5%``."""
    return f"{share * 100:.6g}%"


def _amount(text: str, units: dict[str, int], kind: str, examples: tuple[str, str]) -> Decimal:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise UnitError(
            f"`{text}` is no {kind}", f"write a number and a unit, such as `{examples[0]}` or `{examples[1]}`"
        )
    number, blank, unit = match.groups()
    names = ", ".join(f"`{name}`" for name in units)
    listed = f"units of a {kind}: {names}"
    if not unit:
        fitting = " or ".join(dict.fromkeys(f"`{number}{example.lstrip('0123456789.')}`" for example in examples))
        raise UnitError(f"`{text}` has no unit", f"write {fitting}; {listed}" if len(units) > 1 else f"write {fitting}")
    if unit not in units:
        lower = {name.lower(): name for name in units}
        meant = lower.get(unit.lower()) or _meant(unit, units)
        hint = f"did you mean `{number}{meant}`?" if meant else listed
        raise UnitError(f"`{unit}` is no unit of a {kind}", hint)
    if blank:
        raise UnitError(f"`{text}` has a blank before its unit", f"write `{number}{unit}`")
    if number[0] in "+-":
        raise UnitError(
            f"`{text}` has a sign", f"write `{number[1:]}{unit}`" if number[0] == "+" else "nothing here runs backwards"
        )
    return Decimal(number) * units[unit]


def _meant(unit: str, units: dict[str, int]) -> str | None:
    meant = _MEANT.get(unit.lower())
    return meant if meant in units else None
