"""The figure of the textbook's two curves and of this network's two strategies.

``make figure`` draws where the results of the two strategies lie on the curves.

Kurose and Ross draw the least time in which N peers can receive a file, from a server alone and from each other. The
scenario ``textbook`` is run over a grid of both; ``single`` belongs on the first curve, ``swarm`` on the second.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import ROOT, plots
from bench.spread import Spread
from torrentnet.lab.cli.sweep_command import run_sweep
from torrentnet.lab.errors import LabError, UsageError
from torrentnet.lab.paths import lab_home, scenarios_folder, write_atomically
from torrentnet.lab.run.interrupts import Interrupted
from torrentnet.lab.scenario.language.scalars import parse_rate
from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.tools.distribution import distribution_bounds
from torrentnet.runtime.process import EXIT_FAILED, EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SCENARIO = "textbook"
NAME = "figure"
WIDTH, HEIGHT = 7.4, 4.4
"""Inches."""
AXIS_MARGIN = 1.12
"""The axes are so much longer than the last point needs."""


@dataclass(frozen=True, slots=True)
class FigureSize:
    """How much is measured."""

    leechers: tuple[int, ...]
    repeat: int
    settings: Mapping[str, str]


FULL = FigureSize((1, 5, 10, 20, 30), 3, {"size": "15MB", "bound": "5m"})
QUICK = FigureSize((1, 5, 10), 1, {"size": "5MB", "bound": "5m"})


@dataclass(frozen=True, slots=True)
class StrategyStyle:
    """How one strategy is drawn; in black and white, line and mark tell them apart."""

    name: str
    label: str
    curve: str
    colour: str
    line: str
    mark: str


STRATEGIES = (
    StrategyStyle("single", "measured, strategy single", "client-server: N F / us", plots.COLOURS[1], "--", "s"),
    StrategyStyle(
        "swarm", "measured, strategy swarm", "P2P: max(F / us, N F / (us + N u))", plots.COLOURS[0], "-", "o"
    ),
)
Measured = dict[str, dict[int, list[float]]]
"""Seconds until the last leecher had the file: by strategy and number of leechers, one a run."""


def main(words: Sequence[str] | None = None) -> int:
    """The command; answers with its exit status."""
    parser = argparse.ArgumentParser(prog="make figure", description="Measure and draw the textbook's figure.")
    parser.add_argument("--quick", action="store_true", help="a small file, few leechers, one run; drawn below runs/")
    parser.add_argument("--runs", type=int, metavar="N", help=f"runs of each point (default {FULL.repeat})")
    parser.add_argument("--again", action="store_true", help="draw docs/figure.csv again, without measuring")
    parser.add_argument("--engine", default="auto", help="what runs the nodes")
    options = parser.parse_args(words)
    size = QUICK if options.quick else FULL
    folder = lab_home() / "runs" / NAME if options.quick else ROOT / "docs"
    try:
        if options.again:
            return _draw(read_rows(folder / f"{NAME}.csv"), size, folder)
        return _measure(size, options.runs or size.repeat, options.engine, folder)
    except LabError as error:
        print(f"make figure: {error.message}" + (f"\n    {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    except Interrupted as interrupted:
        return 128 + interrupted.signal


def _measure(size: FigureSize, repeat: int, engine: str, folder: Path) -> int:
    grid = (f"leechers={','.join(map(str, size.leechers))}", f"strategy={','.join(one.name for one in STRATEGIES)}")
    settings = [f"{name}={value}" for name, value in size.settings.items()]
    code = run_sweep(SCENARIO, grid, repeat=repeat, settings=settings, engine_name=engine, runs=None, as_json=False)
    if code not in {EXIT_OK, EXIT_FAILED}:
        return code
    sheet = json.loads(
        (lab_home() / "runs" / "sweeps" / SCENARIO / "latest" / "sweep.json").read_text(encoding="utf-8")
    )
    # Where a run was recorded says nothing to who has the picture.
    rows = [{name: cell for name, cell in row.items() if name != "record"} for row in sheet["rows"]]
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / f"{NAME}.csv", text.getvalue())
    return max(code, _draw(read_rows(folder / f"{NAME}.csv"), size, folder))


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a sweep. Raises UsageError where there are none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise UsageError(f"{path} is not there", hint="`make figure` measures first") from None


def measured_of(rows: Sequence[Mapping[str, str]]) -> Measured:
    """The rows by what they are drawn as; runs that failed have no time."""
    found: Measured = {}
    for row in rows:
        if row["verdict"] == "passed" and row["last_s"]:
            by_leechers = found.setdefault(row["strategy"], {})
            by_leechers.setdefault(int(row["leechers"]), []).append(float(row["last_s"]))
    return found


def _draw(rows: Sequence[Mapping[str, str]], size: FigureSize, folder: Path) -> int:
    measured = measured_of(rows)
    if not measured:
        print("make figure: no run has passed, so there is nothing to draw", file=sys.stderr)
        return EXIT_FAILED
    for line in table(rows, measured):
        print(line)
    plots.save(draw_figure(measured, size), folder, NAME)
    print(f"drawn: {folder / NAME}.png, .svg and .csv")
    failed = sum(row["verdict"] != "passed" for row in rows)
    if failed:
        print(f"make figure: {failed} of {len(rows)} runs have failed and are not in the picture", file=sys.stderr)
    return EXIT_FAILED if failed else EXIT_OK


def table(rows: Sequence[Mapping[str, str]], measured: Measured) -> list[str]:
    """What was measured over the bound that it belongs to."""
    bounds = {
        (strategy.name, int(row["leechers"])): float(row[column])
        for row in rows
        for strategy, column in zip(STRATEGIES, ("bound_client_server_s", "bound_p2p_s"), strict=True)
    }
    lines = []
    for strategy in STRATEGIES:
        for leechers, seconds in sorted(measured.get(strategy.name, {}).items()):
            spread, bound = Spread.of(seconds), bounds[strategy.name, leechers]
            ratio = Spread.of(one / bound for one in seconds)
            lines.append(
                f"{strategy.name:8}{leechers:4} leechers  {spread.median:7.1f} s  bound {bound:6.1f} s  {ratio.show()}"
            )
    return lines


def draw_figure(measured: Measured, size: FigureSize) -> Any:
    """The picture."""
    most = max(leechers for runs in measured.values() for leechers in runs)
    path = scenarios_folder() / f"{SCENARIO}.yaml"
    settings = [{**size.settings, "leechers": str(count)} for count in range(1, most + 3)]
    plans = {count: load_plan(path, settings=one) for count, one in enumerate(settings, 1)}
    found = {count: distribution_bounds(plan) for count, plan in plans.items()}
    curves = {count: bounds for count, bounds in found.items() if bounds is not None}
    drawn, axes = plots.figure(WIDTH, HEIGHT)
    for strategy in STRATEGIES:
        at = [bounds.p2p if strategy.name == "swarm" else bounds.client_server for bounds in curves.values()]
        axes.plot(list(curves), at, strategy.line, color=strategy.colour, linewidth=1.6, label=strategy.curve)
        spreads = {count: Spread.of(seconds) for count, seconds in sorted(measured.get(strategy.name, {}).items())}
        if spreads:
            plots.points(
                axes,
                spreads,
                fmt=strategy.mark,
                markersize=7,
                markerfacecolor="white",
                markeredgewidth=1.6,
                color=strategy.colour,
                capsize=4,
                elinewidth=1.2,
                label=strategy.label,
            )
    parameters = dict(plans[1].parameters)
    unit = curves[1].client_server * parse_rate(parameters["seed_rate"]).bits / parse_rate(parameters["rate"]).bits
    axes.set_xlim(0, most + 2)
    top = AXIS_MARGIN * max(max(seconds) for runs in measured.values() for seconds in runs.values())
    axes.set_ylim(0, top)
    axes.set_xlabel("leechers, N")
    axes.set_ylabel("seconds until the last leecher has the file")
    axes.set_title(
        f"F = {_parse_leechers(parameters['size'])}, each leecher sends u = {_parse_leechers(parameters['rate'])}, "
        f"the seed us = {_parse_leechers(parameters['seed_rate'])}",
        fontsize=10,
        loc="left",
    )
    right = axes.secondary_yaxis("right", functions=(lambda value: value / unit, lambda value: value * unit))
    right.set_ylabel("in units of F / u")
    right.spines["right"].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    return drawn


def _parse_leechers(value: str) -> str:
    for short, long in (("mbit", " Mbit/s"), ("MB", " MB"), ("KiB", " KiB")):
        value = value.replace(short, long)
    return value


if __name__ == "__main__":
    sys.exit(main())
