"""A grid over a scenario's parameters: every combination of some values is one point."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from torrentnet.lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_POINTS = 1000
GRID_HINT = "it is written name=value,value: `--grid leechers=1,5,10`"


def parse_grid(words: Iterable[str], settings: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What several ``--grid name=a,b,c`` say: values by parameter, in the order of the command line.

    Raises UsageError for what is no such word, for a name or a value that is there twice, for a name that ``settings``
    gives too, and for more points than anybody waits for.
    """
    grid: dict[str, tuple[str, ...]] = {}
    for word in words:
        name, equals, listed = (part.strip() for part in word.partition("="))
        values = tuple(value.strip() for value in listed.split(","))
        if not (equals and name and all(values)):
            raise UsageError(f"`--grid {word}` is no parameter with its values", hint=GRID_HINT)
        if name in grid:
            raise UsageError(f"`{name}` is in the grid twice", hint="all of its values go into one: " + GRID_HINT)
        if name in settings:
            raise UsageError(f"`{name}` is set and in the grid", hint="take one of them out")
        if twice := [value for index, value in enumerate(values) if value in values[:index]]:
            raise UsageError(
                f"`--grid {word}`: the value {twice[0]} is there twice", hint="`--repeat` runs a point again"
            )
        grid[name] = values
    if not grid:
        raise UsageError("a sweep needs a grid", hint=GRID_HINT)
    count = math.prod(len(values) for values in grid.values())
    if count > MAX_POINTS:
        raise UsageError(f"the grid has {count} points, more than {MAX_POINTS}", hint="take some values out")
    return grid


def grid_points(grid: Mapping[str, tuple[str, ...]]) -> list[dict[str, str]]:
    """Every combination; the last parameter changes first."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
