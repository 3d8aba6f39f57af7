from __future__ import annotations

from tests.unit.lab.fakes import expectation
from torrentnet.lab.scenario.plan.expectations import Interval, StateCheckPlan, Within


def test_an_interval_contains_both_of_its_ends() -> None:
    assert [number for number in range(8) if number in Interval(3, 5)] == [3, 4, 5]
    assert [number for number in range(8) if number in Interval(least=6)] == [6, 7]
    assert [number for number in range(8) if number in Interval(most=1)] == [0, 1]


def test_a_deadline_counts_from_the_start() -> None:
    assert Within(3.0).deadline(10.0, 30.0) == 13.0
    assert Within(None, after=0).deadline(10.0, 30.0) == 30.0


def test_time_counts_from_an_event_unless_it_is_a_moment() -> None:
    assert expectation(StateCheckPlan, "tracker", state="running", within=3.0, after=2).after == 2
    assert expectation(StateCheckPlan, "tracker", state="running", always=3.0, after=2).after == 2
    assert expectation(StateCheckPlan, "tracker", state="running", at=3.0).after is None
