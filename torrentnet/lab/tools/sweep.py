"""A scenario run over a grid of its parameters, each point several times: rows of figures, written as they come."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torrentnet.lab.home.paths import write_atomically
from torrentnet.lab.scenario.plan import Role
from torrentnet.lab.tools.distribution_bounds import distribution_bounds, uses_swarm_strategy
from torrentnet.lab.verdict.outcome import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from torrentnet.lab.scenario.plan import Plan
    from torrentnet.lab.tools.distribution import Distribution
    from torrentnet.lab.tools.distribution_bounds import DistributionBounds
    from torrentnet.lab.verdict.outcome import Outcome

CSV_FILE, JSON_FILE = "sweep.csv", "sweep.json"
RESULT_COLUMNS = (
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
"""The columns after the parameters'."""
LAB_OVERHEAD, NODE_OVERHEAD = 8.0, 0.6
"""What a lab, and each of its nodes, takes to come and to go; for the estimate before the first one."""
DEFAULT_TIME_SHARE = 0.5
"""How much of its time limit a scenario takes whose bounds are not known."""
PROTOCOL_OVERHEAD = 1.1
"""What measured times are longer than the bounds, about."""


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One combination of values."""

    settings: Mapping[str, str]
    plan: Plan
    bounds: DistributionBounds | None

    @staticmethod
    def of(settings: Mapping[str, str], plan: Plan) -> SweepPoint:
        """With its bounds."""
        return SweepPoint(settings, plan, distribution_bounds(plan))

    @property
    def text(self) -> str:
        """``leechers=5 strategy=swarm``."""
        return " ".join(f"{name}={value}" for name, value in self.settings.items())

    @property
    def guess(self) -> float:
        """Seconds that one run will take, about."""
        takes = self.plan.time_limit * DEFAULT_TIME_SHARE
        if self.bounds is not None:
            swarm = any(uses_swarm_strategy(node) for node in self.plan.nodes if node.role is Role.GET)
            takes = min(takes, PROTOCOL_OVERHEAD * (self.bounds.p2p if swarm else self.bounds.client_server))
        return LAB_OVERHEAD + NODE_OVERHEAD * len(self.plan.nodes) + takes


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One run of one point."""

    point: SweepPoint
    run: int
    """From 1."""
    verdict: Verdict
    spreading: Distribution | None
    record: str
    """The run's directory."""

    def cells(self) -> dict[str, Any]:
        """The row as CSV and JSON have it; seconds count from when the leechers could begin."""
        seen, bounds = self.spreading, self.point.bounds
        values = (
            self.run,
            str(self.verdict),
            len(seen.done) if seen else 0,
            _round(seen.first if seen else None),
            _round(seen.last if seen else None),
            _round(bounds.client_server if bounds else None),
            _round(bounds.p2p if bounds else None),
            seen.seeds_sent if seen else None,
            seen.leechers_sent if seen else None,
            seen.early if seen else None,
            self.record,
        )
        return {**self.point.settings, **dict(zip(RESULT_COLUMNS, values, strict=True))}

    def text(self) -> str:
        """For a person: how it went, in a few words."""
        if self.verdict is not Verdict.PASS:
            return f"{str(self.verdict).upper()}, see {self.record}"
        seen, bounds = self.spreading, self.point.bounds
        if seen is None or seen.last is None:
            return "passed"
        said = f"last leecher after {seen.last:.1f} s"
        if bounds is not None:
            said += f", {seen.last / bounds.p2p:.2f} times the P2P bound"
            said += f", {seen.last / bounds.client_server:.2f} times the client-server bound"
        return said


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


@dataclass(slots=True)
class SweepTable:
    """The rows so far, in two files that are whole at every moment."""

    directory: Path
    home: Path
    """What the runs' directories are named from."""
    about: Mapping[str, Any]
    """What JSON says beside the rows."""
    rows: list[SweepRow] = field(default_factory=list)

    def add(self, row: SweepRow) -> None:
        """Write the row down."""
        self.rows.append(row)
        cells = [one.cells() for one in self.rows]
        write_atomically(self.directory / CSV_FILE, format_csv(cells))
        document = json.dumps({**self.about, "rows": cells}, indent=2, ensure_ascii=False)
        write_atomically(self.directory / JSON_FILE, document + "\n")


def format_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same columns as CSV; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def run_points(
    points: Sequence[SweepPoint],
    runs: int,
    play: Callable[[Plan], tuple[Outcome, Distribution | None]],
    sheet: SweepTable,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Iterable[SweepRow]:
    """Run every point ``runs`` times: all once, then all again, so that a busy machine spoils no point alone.

    ``play`` runs one lab from its first container to its last. What it raises ends the sweep; the rows stay.
    """
    order = [(point, run) for run in range(1, runs + 1) for point in points]
    left = sum(point.guess for point, _ in order)
    say(f"{len(points)} points, {runs} run{'s' if runs > 1 else ''} each: about {format_estimate(left)}")
    took = guessed = 0.0
    for number, (point, run) in enumerate(order, 1):
        began = clock()
        outcome, spreading = play(point.plan)
        took, guessed, left = took + clock() - began, guessed + point.guess, left - point.guess
        row = SweepRow(point, run, outcome.verdict, spreading, _relative(outcome.directory, sheet.home))
        sheet.add(row)
        rest = f" ({format_estimate(left * took / guessed)} left)" if number < len(order) else ""
        say(f"{number:3} of {len(order)}  {point.text}: {row.text()}{rest}")
        yield row


def _relative(path: Path, home: Path) -> str:
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)


def format_estimate(seconds: float) -> str:
    """``about`` so long, in words that promise no more than they can keep."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{round(seconds / 60)} minutes"
