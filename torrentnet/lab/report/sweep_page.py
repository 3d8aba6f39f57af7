"""The page of a sweep: small multiples and every run.

Any two parameters are the axes. The page is static: no script at all.
"""

from __future__ import annotations

import itertools
import os
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from torrentnet.lab.errors import UsageError
from torrentnet.lab.paths import write_atomically
from torrentnet.lab.report.html_templates import content_policy, template_environment
from torrentnet.lab.report.page import style_sheet
from torrentnet.lab.report.record_values import finite, listed, object_of, objects, read_object
from torrentnet.lab.report.sweep_chart import Series, chart, key, pairs_of
from torrentnet.lab.report.write_page import PAGE_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torrentnet.lab.report.record_values import Document

SWEEP_FILE: Final = "sweep.json"
MAX_CHARTS: Final = 60
"""Charts of one choice of axes."""
MAX_VIEWS: Final = 12
"""Choices of axes; four parameters have so many."""
BOUNDS: Final = {"bound_client_server_s": "least time, only seeds send", "bound_p2p_s": "least time, all send"}


def write_sweep_page(directory: Path, home: Path, target: Path | None = None) -> Path:
    """Write the page of a sweep from its ``sweep.json``, and return its path.

    Raises UsageError for a directory that has none, and OSError.
    """
    sweep = read_object(directory / SWEEP_FILE)
    if not sweep:
        raise UsageError(f"{directory / SWEEP_FILE} is no sweep's table", hint="name a directory below runs/sweeps/")
    target = target or directory / PAGE_FILE
    write_atomically(target, sweep_page(sweep, home, target.parent))
    return target


def sweep_page(sweep: Mapping[str, Any], home: Path, folder: Path) -> str:
    """Return the page of a sweep, which is going to lie in ``folder``."""
    grid = {
        str(name): [str(value) for value in listed(values)] for name, values in object_of(sweep.get("grid")).items()
    }
    rows = objects(sweep.get("rows"))
    sheets = [style_sheet("report.css")]
    views = [_view(grid, rows, axis, lines) for axis, lines in itertools.islice(pairs_of(list(grid)), MAX_VIEWS)]
    passed = sum(row.get("verdict") == "passed" for row in rows)
    return (
        template_environment()
        .get_template("sweep.html")
        .render(
            policy=Markup(content_policy([], sheets)),
            sheets=[Markup(sheet) for sheet in sheets],
            scenario=str(sweep.get("scenario", "")),
            headline=f"{passed} of {len(rows)} runs passed",
            all_passed=passed == len(rows),
            settings=object_of(sweep.get("settings")),
            names=list(grid),
            views=views,
            left_out=max(0, len(list(pairs_of(list(grid)))) - MAX_VIEWS),
            rows=[_table_row(row, list(grid), home, folder) for row in rows],
        )
    )


def _view(grid: Mapping[str, Sequence[str]], rows: Sequence[Document], axis: str, lines: str | None) -> Document:
    """Return the charts with two parameters as axes.

    There is a chart for each choice of the others.
    """
    others = [name for name in grid if name not in {axis, lines}]
    charts = []
    combinations = list(itertools.product(*(grid[name] for name in others)))
    for values in combinations[:MAX_CHARTS]:
        fixed = dict(zip(others, values, strict=True))
        here = [row for row in rows if all(str(row.get(name)) == value for name, value in fixed.items())]
        names = grid[lines] if lines else [""]
        series = [
            Series(f"{lines} {name}" if lines else "measured", _points(here, axis, "last_s", lines, name), style)
            for style, name in enumerate(names)
        ]
        drawn = [*_bounds(here, axis, lines, names), *series]
        title = ", ".join(f"{name} {value}" for name, value in fixed.items())
        charts.append(
            {
                "title": title,
                "svg": chart(f"{title or axis}: seconds until the last leecher has the file", axis, grid[axis], drawn),
                "table": _cells(here, grid, axis, lines),
            }
        )
    legend = [
        (key(style), f"{lines} {name}" if lines else "measured")
        for style, name in enumerate(grid[lines] if lines else [""])
    ]
    return {
        "title": f"{axis} along the axis" + (f", {lines} as lines" if lines else ""),
        "axis": axis,
        "lines": lines,
        "ticks": grid[axis],
        "charts": charts,
        "legend": legend,
        "bounds": [text for column, text in BOUNDS.items() if any(finite(row.get(column)) for row in rows)],
        "bound_key": key(None),
        "left_out": max(0, len(combinations) - MAX_CHARTS),
    }


def _points(
    rows: Iterable[Document], axis: str, column: str, lines: str | None = None, name: str = ""
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        seconds = finite(row.get(column))
        if seconds is not None and (lines is None or str(row.get(lines)) == name):
            found.setdefault(str(row.get(axis)), []).append(seconds)
    return found


def _bounds(rows: Sequence[Document], axis: str, lines: str | None, names: Sequence[str]) -> list[Series]:
    """Return the textbook's bounds, each curve once."""
    found: dict[str, Series] = {}
    for column, text in BOUNDS.items():
        for name in names:
            points = _points(rows, axis, column, lines, name)
            if points:
                found.setdefault(
                    repr(sorted((value, max(at)) for value, at in points.items())), Series(text, points, None)
                )
    return list(found.values())


def _cells(rows: Sequence[Document], grid: Mapping[str, Sequence[str]], axis: str, lines: str | None) -> list[Document]:
    """Return the same as a table: a row a line, a cell a value of the axis."""
    found = []
    for name in grid[lines] if lines else [""]:
        of_line = [row for row in rows if lines is None or str(row.get(lines)) == name]
        cells = [_cell([row for row in of_line if str(row.get(axis)) == value]) for value in grid[axis]]
        found.append({"name": name, "cells": cells})
    return found


def _cell(rows: Sequence[Document]) -> str:
    if not rows:
        return "not run"
    seconds = [number for row in rows if (number := finite(row.get("last_s"))) is not None]
    passed = sum(row.get("verdict") == "passed" for row in rows)
    text = f"{statistics.median(seconds):.2f} s" if seconds else "no time"
    return text if passed == len(rows) else f"{text}, {passed} of {len(rows)} passed"


def _table_row(row: Document, names: Sequence[str], home: Path, folder: Path) -> Document:
    last, bound = finite(row.get("last_s")), finite(row.get("bound_p2p_s"))
    page = home / str(row.get("record", "")) / PAGE_FILE
    return {
        "values": [str(row.get(name, "")) for name in names],
        "run": row.get("run"),
        "verdict": str(row.get("verdict", "")),
        "times": [
            "" if (seconds := finite(row.get(column))) is None else f"{seconds:.2f}"
            for column in ("first_s", "last_s", *reversed(BOUNDS))
        ],
        "ratio": f"{last / bound:.2f}" if last and bound else "",
        "record": str(row.get("record", "")),
        "link": Path(os.path.relpath(page, folder)).as_posix() if page.is_file() else "",
    }
