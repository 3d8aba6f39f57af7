"""A scenario run over a grid of its parameters, each point several times: rows of figures, written as they come."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torrentnet.lab.bounds import bounds_of, is_swarm
from torrentnet.lab.outcome import Verdict
from torrentnet.lab.plan import Role
from torrentnet.lab.state import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from torrentnet.lab.bounds import Bounds
    from torrentnet.lab.outcome import Outcome
    from torrentnet.lab.plan import Plan
    from torrentnet.lab.spreading import Spreading

CSV_FILE, JSON_FILE = "sweep.csv", "sweep.json"
MEASURED = (
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
LAB_S, NODE_S = 8.0, 0.6
"""What a lab, and each of its nodes, takes to come and to go; for the estimate before the first one."""
UNKNOWN_SHARE = 0.5
"""How much of its time limit a scenario takes whose bounds are not known."""
HEADERS = 1.1
"""What measured times are longer than the bounds, about."""


@dataclass(frozen=True, slots=True)
class Point:
    """One combination of values."""

    settings: Mapping[str, str]
    plan: Plan
    bounds: Bounds | None

    @staticmethod
    def of(settings: Mapping[str, str], plan: Plan) -> Point:
        """With its bounds."""
        return Point(settings, plan, bounds_of(plan))

    @property
    def text(self) -> str:
        """``leechers=5 strategy=swarm``."""
        return " ".join(f"{name}={value}" for name, value in self.settings.items())

    @property
    def guess(self) -> float:
        """Seconds that one run will take, about."""
        takes = self.plan.time_limit * UNKNOWN_SHARE
        if self.bounds is not None:
            swarm = any(is_swarm(node) for node in self.plan.nodes if node.role is Role.GET)
            takes = min(takes, HEADERS * (self.bounds.p2p if swarm else self.bounds.client_server))
        return LAB_S + NODE_S * len(self.plan.nodes) + takes


@dataclass(frozen=True, slots=True)
class Row:
    """One run of one point."""

    point: Point
    run: int
    """From 1."""
    verdict: Verdict
    spreading: Spreading | None
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
        return {**self.point.settings, **dict(zip(MEASURED, values, strict=True))}

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
class Sheet:
    """The rows so far, in two files that are whole at every moment."""

    directory: Path
    home: Path
    """What the runs' directories are named from."""
    about: Mapping[str, Any]
    """What JSON says beside the rows."""
    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Write the row down."""
        self.rows.append(row)
        cells = [one.cells() for one in self.rows]
        replace_file(self.directory / CSV_FILE, as_csv(cells))
        document = json.dumps({**self.about, "rows": cells}, indent=2, ensure_ascii=False)
        replace_file(self.directory / JSON_FILE, document + "\n")


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same columns as CSV; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def sweep(
    points: Sequence[Point],
    runs: int,
    play: Callable[[Plan], tuple[Outcome, Spreading | None]],
    sheet: Sheet,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Iterable[Row]:
    """Run every point ``runs`` times: all once, then all again, so that a busy machine spoils no point alone.

    ``play`` runs one lab from its first container to its last. What it raises ends the sweep; the rows stay.
    """
    order = [(point, run) for run in range(1, runs + 1) for point in points]
    left = sum(point.guess for point, _ in order)
    say(f"{len(points)} points, {runs} run{'s' if runs > 1 else ''} each: about {show_minutes(left)}")
    took = guessed = 0.0
    for number, (point, run) in enumerate(order, 1):
        began = clock()
        outcome, spreading = play(point.plan)
        took, guessed, left = took + clock() - began, guessed + point.guess, left - point.guess
        row = Row(point, run, outcome.verdict, spreading, _short(outcome.directory, sheet.home))
        sheet.add(row)
        rest = f" ({show_minutes(left * took / guessed)} left)" if number < len(order) else ""
        say(f"{number:3} of {len(order)}  {point.text}: {row.text()}{rest}")
        yield row


def _short(path: Path, home: Path) -> str:
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)


def show_minutes(seconds: float) -> str:
    """``about`` so long, in words that promise no more than they can keep."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{round(seconds / 60)} minutes"
