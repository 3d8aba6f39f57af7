"""A grid over a scenario's parameters: each combination of values is one point.

Tested by tests/unit/lab/tools/test_sweep.py and tests/unit/lab/cli/test_app.py.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_POINTS: Final = 1000
EXAMPLE: Final = "`--grid leechers=1,5,10`"
GRID_HINT: Final = f"write name=value,value: {EXAMPLE}"


def parse_grid(words: Iterable[str], settings: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Parse several ``--grid name=a,b,c`` into the values of each parameter, in the order of the command line.

    Raises UsageError for a malformed word, a repeated name or value, a name that is in ``settings`` too, and a grid
    of more than MAX_POINTS points.
    """
    grid: dict[str, tuple[str, ...]] = {}
    for word in words:
        name, equals, listed = (part.strip() for part in word.partition("="))
        values = tuple(value.strip() for value in listed.split(","))
        if not (equals and name and all(values)):
            raise UsageError(f"`--grid {word}` is not a parameter with values", hint=GRID_HINT)
        if name in grid:
            raise UsageError(f"`{name}` is in the grid twice", hint=f"list all of its values in one: {EXAMPLE}")
        if name in settings:
            raise UsageError(f"`{name}` is both set and in the grid", hint="remove one of them")
        if twice := [value for index, value in enumerate(values) if value in values[:index]]:
            raise UsageError(f"`--grid {word}` has the value {twice[0]} twice", hint="`--repeat` runs a point again")
        grid[name] = values
    if not grid:
        raise UsageError("a sweep needs a grid", hint=GRID_HINT)
    count = math.prod(len(values) for values in grid.values())
    if count > MAX_POINTS:
        raise UsageError(f"the grid has {count} points, more than {MAX_POINTS}", hint="remove some values")
    return grid


def grid_points(grid: Mapping[str, tuple[str, ...]]) -> list[dict[str, str]]:
    """Return every combination of values; the last parameter changes first."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
