"""A chart of a sweep as static SVG: one parameter is the axis, another the lines.

Tested by tests/unit/lab/report/test_sweep_page.py.
"""

from __future__ import annotations

import math
import re
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape

from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WIDTH: Final = 360
HEIGHT: Final = 220
LEFT: Final = 40
RIGHT: Final = 12
TOP: Final = 12
BOTTOM: Final = 40
STYLES: Final = 4
"""Line styles of report.css; each differs in colour and in its dashes."""
_QUANTITY: Final = re.compile(r"(-?\d+(?:\.\d+)?)([A-Za-z/%]*)")


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart."""

    name: str
    points: Mapping[str, Sequence[float]]
    """Value of the parameter along the axis -> what was measured there, in seconds; a run each."""
    style: int | None
    """Number of the line's style; None for a bound, which is drawn thin and without dots."""


def chart(title: str, axis: str, values: Sequence[str], series: Sequence[Series]) -> Markup:
    """Return a chart of seconds over the values of a parameter.

    The line goes through the medians, and each run is a dot.
    """
    places = _places(values)
    most = max((number for line in series for numbers in line.points.values() for number in numbers), default=0.0)
    top = _round_up(most or 1.0)

    def x(value: str) -> float:
        return LEFT + places[value] * (WIDTH - LEFT - RIGHT)

    def y(seconds: float) -> float:
        return HEIGHT - BOTTOM - seconds / top * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{_text(title)}">']
    for step in range(5):
        seconds = top * step / 4
        parts.append(f'<path class="rp-grid" d="M{LEFT} {y(seconds):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y(seconds) + 4:.1f}" text-anchor="end">{seconds:g}</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 2}">s</text>')
    parts.append(f'<path class="rp-axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    last = -math.inf
    for value in values:
        label = value if len(value) <= 10 else f"{value[:9]}…"
        half = 3.2 * len(label)
        if x(value) - half > last:
            parts.append(
                f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{_text(label)}</text>'
            )
            last = x(value) + half
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{_text(axis)}</text>')
    for line in series:
        css = "rp-bound" if line.style is None else f"rp-s{line.style % STYLES}"
        middle = [(x(value), y(statistics.median(line.points[value]))) for value in values if line.points.get(value)]
        path = "L".join(f"{at:.1f} {high:.1f}" for at, high in middle)
        parts.append(f'<path class="{css}" d="M{path}"><title>{_text(line.name)}</title></path>' if path else "")
        if line.style is not None:
            parts += [
                f'<circle class="{css} rp-dot" cx="{x(value):.1f}" cy="{y(seconds):.1f}" r="3">'
                f"<title>{_text(line.name)}, {_text(axis)} {_text(value)}: {seconds:.2f} s</title></circle>"
                for value in values
                for seconds in line.points.get(value, ())
            ]
    return Markup("".join([*parts, "</svg>"]))


def key(style: int | None) -> Markup:
    """Return the sample of a line for a legend."""
    css = "rp-bound" if style is None else f"rp-s{style % STYLES}"
    return Markup(f'<svg class="rp-key" viewBox="0 0 34 8" aria-hidden="true"><path class="{css}" d="M1 4H33"/></svg>')


def _places(values: Sequence[str]) -> dict[str, float]:
    """Return where each value is, from 0 to 1.

    It is to scale where all are numbers of one unit.
    """
    found = [_QUANTITY.fullmatch(value) for value in values]
    numbers = [float(one[1]) for one in found if one is not None]
    units = {one[2] for one in found if one is not None}
    spread = max(numbers, default=0.0) - min(numbers, default=0.0)
    if len(numbers) == len(values) and len(units) == 1 and spread > 0:
        return {value: (number - min(numbers)) / spread for value, number in zip(values, numbers, strict=True)}
    return {value: (place + 0.5) / len(values) for place, value in enumerate(values)}


def _round_up(number: float) -> float:
    """Return the next number that divides well into four."""
    size = 10.0 ** math.floor(math.log10(number))
    return next((step * size for step in (1, 2, 4, 6, 8) if step * size >= number), 10 * size)


def _text(text: str) -> str:
    return str(escape(escape_controls(text)))


def pairs_of(names: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield every choice of a parameter for the axis and another one for the lines."""
    if len(names) == 1:
        yield names[0], None
    for axis in names:
        for lines in names:
            if lines != axis:
                yield axis, lines
