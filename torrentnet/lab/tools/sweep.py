"""Runs of a scenario at every point of a grid.

The figures of each run are written as soon as the run ends.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.errors import UsageError
from torrentnet.lab.paths import relative_to_home, write_atomically
from torrentnet.lab.scenario.plan.plan import Role
from torrentnet.lab.tools.distribution import distribution_bounds, uses_swarm_strategy
from torrentnet.lab.verdict.outcome import EXIT_CODES, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from torrentnet.lab.report.distribution_bounds import DistributionBounds
    from torrentnet.lab.scenario.plan.plan import Plan
    from torrentnet.lab.tools.distribution import Distribution
    from torrentnet.lab.verdict.outcome import Outcome

MAX_POINTS: Final = 1000
EXAMPLE: Final = "`--grid leechers=1,5,10`"
GRID_HINT: Final = f"write name=value,value: {EXAMPLE}"
CSV_FILE: Final = "sweep.csv"
JSON_FILE: Final = "sweep.json"
RESULT_COLUMNS: Final = (
    "run",
    "verdict",
    "leechers_done",
    "first_s",
    "last_s",
    "bound_client_server_s",
    "bound_p2p_s",
    "seeds_sent_bytes",
    "leechers_sent_bytes",
    "leechers_late",
    "record",
)
"""The columns after those of the parameters."""
LAB_OVERHEAD: Final = 8.0
"""Estimated seconds to create and remove a lab."""
NODE_OVERHEAD: Final = 0.6
"""Added for each node."""
DEFAULT_TIME_SHARE: Final = 0.5
"""Estimated share of its time limit that a scenario without known bounds takes."""
PROTOCOL_OVERHEAD: Final = 1.1
"""Estimated ratio of a measured time and its bound."""


# -- the grid -----------------------------------------------------------------------------------


def parse_grid(words: Iterable[str], settings: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Parse several ``--grid name=a,b,c`` into the values of each parameter.

    The parameters are in the order of the command line. Raises UsageError for a malformed word, a repeated name or
    value, a name that is in ``settings`` too, and a grid of more than MAX_POINTS points.
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


# -- points and rows ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One combination of values."""

    settings: Mapping[str, str]
    plan: Plan
    bounds: DistributionBounds | None

    @staticmethod
    def of(settings: Mapping[str, str], plan: Plan) -> SweepPoint:
        """Return the point with its bounds."""
        return SweepPoint(settings, plan, distribution_bounds(plan))

    @property
    def text(self) -> str:
        """``leechers=5 strategy=swarm``."""
        return " ".join(f"{name}={value}" for name, value in self.settings.items())

    @property
    def estimate(self) -> float:
        """Estimated seconds of one run."""
        duration = self.plan.time_limit * DEFAULT_TIME_SHARE
        if self.bounds is not None:
            swarm = any(uses_swarm_strategy(node) for node in self.plan.nodes if node.role is Role.GET)
            duration = min(duration, PROTOCOL_OVERHEAD * (self.bounds.p2p if swarm else self.bounds.client_server))
        return LAB_OVERHEAD + NODE_OVERHEAD * len(self.plan.nodes) + duration


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One run of one point."""

    point: SweepPoint
    run: int
    """From 1."""
    verdict: Verdict
    distribution: Distribution | None
    record: str
    """The run's directory."""

    def cells(self) -> dict[str, Any]:
        """Return the row for CSV and JSON; seconds count from when the distribution began."""
        found, bounds = self.distribution, self.point.bounds
        values = (
            self.run,
            str(self.verdict),
            len(found.done) if found else 0,
            _round(found.first if found else None),
            _round(found.last if found else None),
            _round(bounds.client_server if bounds else None),
            _round(bounds.p2p if bounds else None),
            found.seeds_sent if found else None,
            found.leechers_sent if found else None,
            found.late if found else None,
            self.record,
        )
        return {**self.point.settings, **dict(zip(RESULT_COLUMNS, values, strict=True))}

    def text(self) -> str:
        """Summarize the result in a few words."""
        if self.verdict is not Verdict.PASSED:
            return f"{str(self.verdict).upper()}, see {self.record}"
        found, bounds = self.distribution, self.point.bounds
        if found is None or found.last is None:
            return "passed"
        text = f"last leecher after {found.last:.1f} s"
        if bounds is not None:
            text += f", {found.last / bounds.p2p:.2f} times the P2P bound"
            text += f", {found.last / bounds.client_server:.2f} times the client-server bound"
        return text


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


@dataclass(slots=True)
class SweepTable:
    """The rows so far, written to a CSV and a JSON file after each row."""

    directory: Path
    home: Path
    """Directories of runs are shown relative to it."""
    about: Mapping[str, Any]
    """Fields of the JSON document beside the rows."""
    rows: list[SweepRow] = field(default_factory=list)

    def add(self, row: SweepRow) -> None:
        """Append a row and write both files. Raises OSError."""
        self.rows.append(row)
        # Somebody may have removed the directory meanwhile.
        self.directory.mkdir(parents=True, exist_ok=True)
        write_atomically(self.directory / CSV_FILE, format_csv([one.cells() for one in self.rows]))
        text = json.dumps(self.document(), indent=2, ensure_ascii=False)
        write_atomically(self.directory / JSON_FILE, text + "\n")

    def document(self) -> dict[str, Any]:
        """Return the rows as one document."""
        return {**self.about, "rows": [one.cells() for one in self.rows]}


def format_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format rows of the same columns as CSV; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def run_points(
    points: Sequence[SweepPoint],
    runs: int,
    play: Callable[[Plan], tuple[Outcome, Distribution | None]],
    table: SweepTable,
    print_line: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Iterable[SweepRow]:
    """Run every point ``runs`` times.

    All points run once, then all run again, so that a busy minute affects no point alone. ``play`` runs one lab from
    its first container to its last. What it raises ends the sweep; the rows are kept.
    """
    order = [(point, run) for run in range(1, runs + 1) for point in points]
    left = sum(point.estimate for point, _ in order)
    print_line(f"{len(points)} points, {runs} run{'s' if runs > 1 else ''} each: about {format_estimate(left)}")
    took = estimated = 0.0
    for number, (point, run) in enumerate(order, 1):
        began = clock()
        outcome, distribution = play(point.plan)
        took, estimated, left = took + clock() - began, estimated + point.estimate, left - point.estimate
        row = SweepRow(point, run, outcome.verdict, distribution, relative_to_home(outcome.directory, table.home))
        table.add(row)
        rest = f" ({format_estimate(left * took / estimated)} left)" if number < len(order) else ""
        print_line(f"{number:3} of {len(order)}  {point.text}: {row.text()}{rest}")
        yield row


def exit_status(verdicts: Iterable[Verdict]) -> int:
    """Return the exit status of several runs.

    It is 1 where one has failed, else the first status that is not 0.
    """
    found = {EXIT_CODES[verdict]: None for verdict in verdicts}
    if EXIT_CODES[Verdict.FAILED] in found:
        return EXIT_CODES[Verdict.FAILED]
    return next((status for status in found if status), EXIT_CODES[Verdict.PASSED])


def format_estimate(seconds: float) -> str:
    """Format a duration no more precisely than an estimate is."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{round(seconds / 60)} minutes"
