"""What the machine does besides."""

from __future__ import annotations

from tests.bench.load import Patience, busy, parse_busy


def test_idle_time_and_waiting_for_disks_are_no_work() -> None:
    stat = "cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
    assert parse_busy(stat, 100) == (100 + 20 + 30 + 6 + 7 + 8) / 100


def test_patience_ends() -> None:
    assert busy() > 0
    Patience(0.0, 60.0).wait()
    Patience(60.0, 0.0).wait()
