"""What happened is placed right, whatever somebody does to the time of day."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.lab.engines.steady import STEADY, SteadyClock, seconds_suspended

START = 1_800_000_000.0
HOUR = 3600.0
SLACK = 0.011
"""The clock takes smaller steps for imprecision."""


@dataclass
class Machine:
    """A machine whose time of day is set while it runs."""

    seconds: float = 5000.0
    set_by: float = 0.0
    clock: SteadyClock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = SteadyClock(lambda: self.seconds, self.time_of_day)

    def time_of_day(self) -> float:
        return START + self.seconds + self.set_by

    def wait(self, seconds: float, *, comparing: float = 0.2) -> None:
        """Let time pass; the lab compares the clocks at least so often."""
        end = self.seconds + seconds
        while end - self.seconds > comparing:
            self.seconds += comparing
            self.clock.check()
        self.seconds = end


@pytest.mark.parametrize("size", [-HOUR, -30.0, -2.0, -0.05, 0.05, 2.0, 30.0, HOUR, 365 * 24 * HOUR])
def test_a_step_moves_nothing(size: float) -> None:
    machine = Machine()
    clock = machine.clock
    before, stamp = clock.now(), machine.time_of_day()
    machine.wait(0.25)
    machine.set_by += size
    machine.wait(0.15)
    between, between_stamp = clock.now(), machine.time_of_day()
    assert clock.place(stamp) == pytest.approx(before, abs=SLACK)
    machine.wait(5.0)
    assert clock.now() - before == pytest.approx(5.4)
    assert clock.place(between_stamp) == pytest.approx(between, abs=SLACK)
    assert clock.time_of_day(clock.now()) == pytest.approx(machine.time_of_day(), abs=SLACK)
    assert clock.time_of_day(before) == pytest.approx(stamp, abs=SLACK)
    ((at, found),) = clock.steps(before)
    assert before <= at <= between
    assert found == pytest.approx(size, abs=SLACK)
    assert clock.steps(clock.now()) == []


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0.0, 3.0)),
        st.tuples(st.just("set"), st.floats(-2 * HOUR, 2 * HOUR) | st.floats(-1.0, 1.0)),
        st.tuples(st.just("print"), st.floats(0.0, 0.5)),
    ),
    max_size=30,
)


@given(ACTIONS)
def test_a_line_is_placed_between_its_printing_and_its_reading(actions: list[tuple[str, float]]) -> None:
    machine = Machine()
    placed = -1.0
    for action, value in actions:
        match action:
            case "wait":
                machine.wait(value)
            case "set":
                machine.set_by += value
            case _:
                printed, stamp = machine.clock.now(), machine.time_of_day()
                machine.wait(value)
                placed = machine.clock.place(stamp, placed)
                # A step is seen at the next comparison of the clocks: so long it may be taken for an earlier one.
                assert printed - 0.2 - SLACK <= placed <= machine.clock.now()


@given(st.lists(st.floats(-2 * HOUR, 2 * HOUR), max_size=5), st.floats(0.0, 5.0))
def test_after_the_last_step_every_line_has_its_exact_time(steps: list[float], late: float) -> None:
    machine = Machine()
    for step in steps:
        machine.set_by += step
        machine.wait(1.0)
    printed, stamp = machine.clock.now(), machine.time_of_day()
    machine.wait(late)
    assert machine.clock.place(stamp) == pytest.approx(printed, abs=SLACK)


def test_a_stamp_of_the_future_was_made_by_another_clock() -> None:
    machine = Machine()
    machine.wait(3.0)
    assert machine.clock.place(machine.time_of_day() + 60.0) == machine.clock.now()


def test_many_steps_are_forgotten() -> None:
    machine = Machine()
    for _ in range(1000):
        machine.set_by += 1.0
        machine.wait(0.1)
        machine.clock.check()
    assert len(machine.clock.steps(0.0)) < 300
    now = machine.clock.now()
    assert machine.clock.place(machine.time_of_day()) == pytest.approx(now, abs=SLACK)


def test_this_process_has_such_a_clock() -> None:
    before = STEADY.now()
    assert before <= STEADY.now()
    assert seconds_suspended() >= 0.0
