"""A lab that stood still says so."""

from __future__ import annotations

import pytest

from tests.unit.lab.engines.test_steady import Machine
from torrentnet.lab.run.clock_watch import INTERVAL, MAX_LATENESS, ClockWatch


class Watched:
    """A watch whose thread the test plays."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.slept = 12.0
        self.watch = ClockWatch(self.machine.clock, lambda: self.slept)
        self.zero = self.machine.clock.now()

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / INTERVAL)):
            self.machine.seconds += INTERVAL
            self.watch.look()


def test_a_busy_machine_is_no_standstill() -> None:
    watched = Watched()
    for _ in range(10):
        watched.machine.seconds += MAX_LATENESS
        watched.watch.look()
    assert watched.watch.standstills(watched.zero) == []


def test_a_stopped_process_is_said() -> None:
    watched = Watched()
    watched.wait(3.0)
    watched.machine.seconds += 9.7
    watched.watch.look()
    watched.wait(1.0)
    assert watched.watch.standstills(watched.zero) == ["the lab's own process stood still for 9.7 s at 3.0 s"]


def test_a_suspended_machine_is_said() -> None:
    watched = Watched()
    watched.wait(5.0)
    watched.slept += 3600.0
    watched.wait(1.0)
    assert watched.watch.standstills(watched.zero) == ["the machine was suspended for 3600.0 s at 5.0 s"]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (-3600.0, "the time of day was set 3600.00 s back at 2.2 s"),
        (0.5, "the time of day was set 0.50 s forward at 2.2 s"),
    ],
)
def test_a_step_of_the_time_of_day_is_said_and_no_standstill(size: float, text: str) -> None:
    watched = Watched()
    watched.wait(2.0)
    watched.machine.set_by += size
    watched.wait(1.0)
    assert watched.watch.steps(watched.zero) == [text]
    assert watched.watch.standstills(watched.zero) == []


def test_a_watch_ends() -> None:
    watch = ClockWatch()
    watch.start()
    watch.close()
    watch.close()
    ClockWatch().close()
