"""Several measurements of one thing: the median, and how far they were apart."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the median and the most of several runs."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of some values. Raises ValueError for none."""
        kept = sorted(values)
        if not kept:
            raise ValueError("nothing was measured")
        return cls(kept[0], statistics.median(kept), kept[-1])

    def show(self, digits: int = 3) -> str:
        """``median (least-most)``, each with ``digits`` significant digits."""
        median, least, most = (format_number(value, digits) for value in (self.median, self.least, self.most))
        return f"{median} ({least}-{most})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return ours over theirs, run by run.

    Both are measured in turns, so that a slow minute affects both. Raises ValueError where the two are not of one
    length, or empty.
    """
    return Spread.of(one / other for one, other in zip(ours, theirs, strict=True))


def format_number(value: float, digits: int = 3) -> str:
    """Return a number with some significant digits and without an exponent.

    Examples: 0.123, 12.3, 123, 1234.
    """
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e" in text else text


def with_prefix(value: float) -> str:
    """Return a large number with a prefix: ``37.2 k``, ``1.2 M``."""
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor:
            return f"{format_number(value / factor)} {prefix}"
    return format_number(value)


def format_mib(count: float) -> str:
    """Return bytes as text in MiB."""
    return f"{format_number(count / 1048576)} MiB"
