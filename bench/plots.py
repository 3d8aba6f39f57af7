"""Plots, all in one style: SVG for the page, PNG for readers that cannot show SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

COLOURS = ("#1f5fa8", "#e08a1e", "#4c9a52", "#9a5fb4", "#8a8a8a", "#c2453f")
"""Ours first; they differ in brightness too, for those who see no red or green."""
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "svg.hashsalt": "torrentnet",
    "svg.fonttype": "none",
}


def figure(width: float = 7.0, height: float = 3.5) -> tuple[Any, Any]:
    """Return a figure of a size in inches, and its axes. :func:`save` writes it."""
    # Here, because it takes a second and is wanted by few who import this package.
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update(_STYLE)
    from matplotlib import pyplot

    drawn, axes = pyplot.subplots(figsize=(width, height), layout="constrained")
    return drawn, axes


def save(drawn: Any, directory: Path, name: str) -> Path:
    """Write a plot as ``<name>.svg`` and ``<name>.png``; return the path of the SVG.

    The page shows the SVG.
    """
    from matplotlib import pyplot

    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.svg"
    # Without the date, so that the same figures give the same file.
    drawn.savefig(path, metadata={"Date": None})
    drawn.savefig(directory / f"{name}.png", dpi=130)
    pyplot.close(drawn)
    return path


def points(axes: Any, measured: Mapping[int, Spread], **style: Any) -> None:
    """Draw a series of medians, each with its minimum and maximum.

    The keys of ``measured`` are places on the axis. ``style`` is passed to Matplotlib.
    """
    medians = [spread.median for spread in measured.values()]
    axes.errorbar(list(measured), medians, yerr=_error_bars(measured.values()), **style)


def bars(
    directory: Path, name: str, unit: str, groups: Sequence[str], values: Mapping[str, Sequence[Sequence[float]]]
) -> Path:
    """Draw a group of bars for each of ``groups``, with one bar for each program.

    A bar shows the median, with the minimum and the maximum.

    ``values`` contains for each program, for each group, the results of its runs.
    """
    drawn, axes = figure()
    width = 0.8 / max(len(values), 1)
    for index, (program, measured) in enumerate(values.items()):
        spreads = [Spread.of(runs) for runs in measured]
        at = [group + (index - (len(values) - 1) / 2) * width for group in range(len(groups))]
        axes.bar(
            at,
            [one.median for one in spreads],
            width * 0.92,
            yerr=_error_bars(spreads),
            capsize=2,
            label=program,
            color=COLOURS[index % len(COLOURS)],
            error_kw={"linewidth": 0.8},
        )
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylabel(unit)
    axes.grid(visible=False, axis="x")
    axes.legend(frameon=False, ncols=min(len(values), 4), loc="upper center", bbox_to_anchor=(0.5, 1.17))
    return save(drawn, directory, name)


def _error_bars(spreads: Iterable[Spread]) -> list[list[float]]:
    """Return how far the error bars of the medians reach down, and up."""
    spreads = list(spreads)
    return [[one.median - one.least for one in spreads], [one.most - one.median for one in spreads]]
