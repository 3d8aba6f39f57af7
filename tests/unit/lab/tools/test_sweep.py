"""Grids, bounds, and the table of a sweep."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.fakes import make_plan
from torrentnet.lab.errors import EngineError
from torrentnet.lab.report.distribution_bounds import distribution_times
from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.tools.distribution import Distribution, distribution_bounds
from torrentnet.lab.tools.sweep import (
    CSV_FILE,
    JSON_FILE,
    SweepPoint,
    SweepTable,
    exit_status,
    format_estimate,
    grid_points,
    parse_grid,
    run_points,
)
from torrentnet.lab.verdict.outcome import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torrentnet.lab.scenario.plan.plan import Plan

UPLINKS = """\
parameters: {leechers: 4, strategy: single}
files: {a.bin: {size: 15MB}}
nodes:
  tracker: {tracker: {}}
  seeder: {share: a.bin}
  leecher: {get: a.bin, count: $leechers, strategy: $strategy}
  slow: {get: a.bin}
links:
  - {from: [seeder, leecher, slow], uplink: 4mbit}
  - {from: seeder, uplink: 40mbit}
  - {from: slow, uplink: 2mbit}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[..., Plan]:
    path = tmp_path / "trial.yaml"
    path.write_text(UPLINKS, encoding="utf-8")
    return lambda **settings: load_plan(path, settings=settings)


def test_grid_points_are_all_combinations_in_order() -> None:
    grid = parse_grid(["leechers=1, 5", "strategy=single,swarm"], {})
    assert grid_points(grid) == [
        {"leechers": "1", "strategy": "single"},
        {"leechers": "1", "strategy": "swarm"},
        {"leechers": "5", "strategy": "single"},
        {"leechers": "5", "strategy": "swarm"},
    ]


@pytest.mark.parametrize(
    ("leechers", "client_server", "p2p"),
    # Kurose and Ross: F/u is an hour and us = 10 u; hours by number of leechers.
    [(1, 0.1, 0.1), (10, 1.0, 0.5), (30, 3.0, 0.75)],
)
def test_bounds_equal_the_textbooks_figures(leechers: int, client_server: float, p2p: float) -> None:
    found = distribution_times(3600.0, 10.0, [1.0] * leechers)
    assert [found.client_server / 3600, found.p2p / 3600] == pytest.approx([client_server, p2p])


def test_bounds_follow_from_the_links_where_the_latest_wins(scenario: Callable[..., Plan]) -> None:
    found = distribution_bounds(scenario())
    assert found is not None
    assert found.client_server == pytest.approx(5 * 120e6 / 40e6)
    assert found.p2p == pytest.approx(5 * 120e6 / (40e6 + 4 * 4e6 + 2e6))
    assert distribution_bounds(make_plan()) is None


def outcome(plan: Plan, directory: Path, verdict: Verdict = Verdict.PASSED) -> Outcome:
    return Outcome(plan, verdict, directory, "project", 0.0, {})


def test_rows_are_written_at_once_and_survive_a_failure(scenario: Callable[..., Plan], tmp_path: Path) -> None:
    todo = [SweepPoint.of({"leechers": count}, scenario(leechers=count)) for count in ("1", "2")]
    said: list[str] = []
    played: list[int] = []

    def play(plan: Plan) -> tuple[Outcome, Distribution | None]:
        played.append(len(plan.nodes))
        if len(played) == 2:
            return outcome(plan, tmp_path / "runs" / "two", Verdict.FAILED), None
        if len(played) == 4:
            raise EngineError("the engine is gone")
        seen = Distribution(1000.0, {"leecher-1": 6.25, "slow": 7.5}, 2, 0, 31_000_000, 1_000_000)
        return outcome(plan, tmp_path / "runs" / "one"), seen

    sheet = SweepTable(tmp_path, tmp_path, {"scenario": "trial"})
    with pytest.raises(EngineError):
        list(run_points(todo, 2, play, sheet, said.append, clock=lambda: 0.0))
    # All points once, then all again.
    assert played == [4, 5, 4, 5]
    with (tmp_path / CSV_FILE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["leechers"], row["run"], row["verdict"], row["last_s"]) for row in rows] == [
        ("1", "1", "passed", "7.5"),
        ("2", "1", "failed", ""),
        ("1", "2", "passed", "7.5"),
    ]
    assert (rows[0]["first_s"], rows[0]["bound_client_server_s"], rows[0]["seeds_sent_bytes"]) == (
        "6.25",
        "6.0",
        "31000000",
    )
    assert (rows[0]["record"], rows[0]["leechers_late"]) == ("runs/one", "0")
    document = json.loads((tmp_path / JSON_FILE).read_text(encoding="utf-8"))
    assert document["scenario"] == "trial" and len(document["rows"]) == 3
    assert document["rows"][1]["last_s"] is None
    assert said[0].startswith("2 points, 2 runs each: about ")
    assert "leechers=1: last leecher after 7.5 s" in said[1] and "left)" in said[1]
    assert "leechers=2: FAILED, see runs/two" in said[2]


def test_the_estimate_of_a_swarm_is_shorter(scenario: Callable[..., Plan]) -> None:
    single, swarm = (SweepPoint.of({}, scenario(leechers="30", strategy=name)) for name in ("single", "swarm"))
    assert swarm.estimate < single.estimate


@pytest.mark.parametrize(("seconds", "text"), [(1, "5 s"), (61, "60 s"), (100, "2 minutes"), (3599, "60 minutes")])
def test_estimates_are_rounded(seconds: float, text: str) -> None:
    assert format_estimate(seconds) == text


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([], 0),
        ([Verdict.PASSED, Verdict.PASSED], 0),
        ([Verdict.PASSED, Verdict.NOT_JUDGED], 3),
        ([Verdict.NOT_JUDGED, Verdict.FAILED, Verdict.PASSED], 1),
    ],
)
def test_status_1_means_that_a_run_has_failed(verdicts: list[Verdict], status: int) -> None:
    assert exit_status(verdicts) == status
