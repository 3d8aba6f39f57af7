"""Whose turn it is among those who can take something."""

from __future__ import annotations

from dataclasses import dataclass

from torrentnet.peer.scheduling.fair_queue import CROWD_SIZE, MAX_COALESCE, MAX_WAIT, FairQueue, coalesce_delay


@dataclass(eq=False, slots=True)
class Somebody:
    bytes_sent: int


def test_the_poorer_half_goes_first_and_the_others_right_after() -> None:
    ready: FairQueue[Somebody] = FairQueue()
    rich, poor, poorer = Somebody(30), Somebody(20), Somebody(10)
    for one in (rich, poor, poorer):
        ready.add(one, 3, 1.0)
    assert ready.due() == 1.0
    assert ready.take(3, 1.0) == [poorer, poor]
    assert ready.take(3, 1.0) == [rich]
    assert ready.due() is None
    assert ready.take(3, 1.0) == []


def test_nobody_waits_for_long_however_much_it_had() -> None:
    ready: FairQueue[Somebody] = FairQueue()
    rich, poor = Somebody(1 << 40), Somebody(0)
    now = 5.0
    ready.add(rich, 2, now)
    turns = 0
    while rich in ready:
        # The poor one can take more at once, again and again.
        ready.add(poor, 2, now)
        taken = ready.take(2, now)
        assert taken[0] is poor
        now += MAX_WAIT / 8
        turns += 1
    assert turns == 9


def test_a_crowd_is_gathered_for_a_moment() -> None:
    ready: FairQueue[Somebody] = FairQueue()
    first, second = Somebody(2), Somebody(1)
    ready.add(first, 50, 1.0)
    assert ready.take(50, 1.0) == []
    ready.add(second, 50, 1.01)
    assert ready.due() == 1.0 + coalesce_delay(50)
    assert ready.take(50, 1.0 + coalesce_delay(50)) == [second]
    assert ready.due() == 1.0 + 2 * coalesce_delay(50)


def test_few_are_not_kept_waiting_and_many_not_for_long() -> None:
    assert coalesce_delay(CROWD_SIZE - 1) == 0
    assert 0 < coalesce_delay(CROWD_SIZE) < coalesce_delay(2 * CROWD_SIZE)
    assert coalesce_delay(10_000) == MAX_COALESCE


def test_whoever_is_gone_is_not_served() -> None:
    ready: FairQueue[Somebody] = FairQueue()
    gone, here = Somebody(0), Somebody(0)
    ready.add(gone, 2, 0.0)
    ready.add(here, 2, 0.0)
    ready.forget(gone)
    assert ready.take_all() == [here]
    assert ready.take_all() == []
