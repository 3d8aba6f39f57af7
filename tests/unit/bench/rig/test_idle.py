"""What the machine does besides."""

from __future__ import annotations

from bench.rig.idle import IdleWaiter, busy_seconds, parse_busy_seconds


def test_idle_time_and_waiting_for_disks_are_no_work() -> None:
    stat = "cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
    assert parse_busy_seconds(stat, 100) == (100 + 20 + 30 + 6 + 7 + 8) / 100


def test_patience_ends() -> None:
    assert busy_seconds() > 0
    IdleWaiter(0.0, 60.0).wait()
    IdleWaiter(60.0, 0.0).wait()
