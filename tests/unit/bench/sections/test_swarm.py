"""The swarm's scenarios, and the bounds that only they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.sections import swarm
from torrentnet.lab.tools.distribution import distribution_bounds

if TYPE_CHECKING:
    from pathlib import Path


def test_every_program_gets_the_textbooks_setting(tmp_path: Path) -> None:
    for program in (swarm.OURS, swarm.LIBTORRENT, swarm.ARIA2):
        plan = swarm.textbook(tmp_path, {program: 10}, "15MB")
        found = distribution_bounds(plan)
        assert found is not None
        assert (found.client_server, found.p2p) == (30.0, 15.0)
        assert {str(node.program) for node in plan.nodes if node.name != "tracker"} == {program}


def test_half_and_half_is_one_swarm(tmp_path: Path) -> None:
    plan = swarm.textbook(tmp_path, {swarm.LIBTORRENT: 5, swarm.OURS: 5}, "15MB")
    found = distribution_bounds(plan)
    assert found is not None and found.p2p == 15.0
    assert sum("--strategy" in node.arguments for node in plan.nodes) == 5
    assert {len(expected.nodes) for expected in plan.expectations} == {10}


@pytest.mark.parametrize(
    ("leechers", "apart", "bound"),
    # Alone; all at once, as the textbook has it; one by one, where the last needs what is missing then.
    [(1, 5.0, 3.0), (10, 0.0, 15.0), (2, 1.0, 1 + (240 - 44) / 48), (3, 100.0, 200 + 120 / 48)],
)
def test_nobody_can_send_before_he_is_there(leechers: int, apart: float, bound: float) -> None:
    assert swarm.arrivals_bound(120e6, 40e6, 4e6, leechers, apart) == pytest.approx(bound)


def test_whoever_leaves_half_way_sends_no_more() -> None:
    # The scenario's: 6 stay and 3 leave, 6 MB, u = 4 and us = 8 Mbit/s.
    assert swarm.leavers_bound(48e6, 8e6, 4e6, 6, 3) == pytest.approx(216 / 44 + 144 / 32)
    assert swarm.leavers_bound(48e6, 8e6, 4e6, 6, 0) == pytest.approx(6 * 48 / 32)
    assert swarm.leavers_bound(48e6, 4e6, 40e6, 1, 0) == pytest.approx(12.0)


def test_a_failed_run_is_said_and_not_averaged_away() -> None:
    good = swarm.SwarmTimes("a", 5, 10.0, 12.0, 11.0, 0, None)
    bad = swarm.SwarmTimes("a", 5, 10.0, None, None, 0, None)
    found = {swarm.OURS: {5: [good, bad]}, swarm.LIBTORRENT: {5: [good, good]}}
    table = swarm._table(found, "15MB", 2)
    assert table.rows == (("5", "10.0", "1 of 2 failed", "1.2 (1.2-1.2)", "", "1"),)
