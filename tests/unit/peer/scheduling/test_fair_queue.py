"""The order of writable connections."""

from __future__ import annotations

from dataclasses import dataclass

from torrentnet.peer.scheduling.fair_queue import CROWD_SIZE, MAX_COALESCE, MAX_WAIT, FairQueue, coalesce_delay


@dataclass(eq=False, slots=True)
class Somebody:
    bytes_sent: int


def test_the_half_that_was_sent_least_is_served_first() -> None:
    ready: FairQueue[Somebody] = FairQueue()
    rich, poor, poorer = Somebody(30), Somebody(20), Somebody(10)
    for one in (rich, poor, poorer):
        ready.add(one, 3, 1.0)
    assert ready.due() == 1.0
    assert ready.take(3, 1.0) == [poorer, poor]
    assert ready.take(3, 1.0) == [rich]
    assert ready.due() is None
    assert ready.take(3, 1.0) == []


def test_no_receiver_waits_longer_than_the_limit() -> None:
    ready: FairQueue[Somebody] = FairQueue()
    rich, poor = Somebody(1 << 40), Somebody(0)
    now = 5.0
    ready.add(rich, 2, now)
    turns = 0
    while rich in ready:
        # The connection that was sent least is writable again and again.
        ready.add(poor, 2, now)
        taken = ready.take(2, now)
        assert taken[0] is poor
        now += MAX_WAIT / 8
        turns += 1
    assert turns == 9


def test_receivers_of_a_crowd_are_collected_for_a_moment() -> None:
    ready: FairQueue[Somebody] = FairQueue()
    first, second = Somebody(2), Somebody(1)
    ready.add(first, 50, 1.0)
    assert ready.take(50, 1.0) == []
    ready.add(second, 50, 1.01)
    assert ready.due() == 1.0 + coalesce_delay(50)
    assert ready.take(50, 1.0 + coalesce_delay(50)) == [second]
    assert ready.due() == 1.0 + 2 * coalesce_delay(50)


def test_the_coalesce_delay_is_bounded() -> None:
    assert coalesce_delay(CROWD_SIZE - 1) == 0
    assert 0 < coalesce_delay(CROWD_SIZE) < coalesce_delay(2 * CROWD_SIZE)
    assert coalesce_delay(10_000) == MAX_COALESCE


def test_a_closed_connection_is_not_served() -> None:
    ready: FairQueue[Somebody] = FairQueue()
    gone, here = Somebody(0), Somebody(0)
    ready.add(gone, 2, 0.0)
    ready.add(here, 2, 0.0)
    ready.forget(gone)
    assert ready.take_all() == [here]
    assert ready.take_all() == []
