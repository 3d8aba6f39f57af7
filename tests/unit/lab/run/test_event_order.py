"""Events are written in the order of their times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from torrentnet.lab.run.event_order import EventOrder


@given(st.lists(st.floats(0, 1000)))
def test_events_are_taken_in_the_order_of_their_times(moments: list[float]) -> None:
    order = EventOrder()
    for number, moment in enumerate(moments):
        order.add(moment, str(number))
    early = order.take(500.0)
    assert [moments[int(line)] for line in early] == sorted(moment for moment in moments if moment <= 500.0)
    assert [moments[int(line)] for line in early + order.take()] == sorted(moments)
    assert order.chars == 0
    assert order.wait_time(0.0) is None


def test_events_of_one_moment_keep_their_order() -> None:
    order = EventOrder()
    for line in "abc":
        order.add(7.0, line)
    assert (order.due(8.9), order.due(9.0)) == (False, True)
    assert order.wait_time(7.5) == 1.5
    assert order.chars == 3
    assert order.take(7.0) == ["a", "b", "c"]
