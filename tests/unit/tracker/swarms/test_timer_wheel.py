"""The timer wheel against a scan of all rows."""

from __future__ import annotations

import math
import random
from array import array

from torrentnet.tracker.swarms.timer_wheel import TimerWheel


def test_timer_wheel_agrees_with_a_scan_of_all_rows() -> None:
    """Rows are reused as in the peer table.

    Deadlines are postponed silently, and sometimes become earlier.
    """
    chance = random.Random(6)
    bucket_of, seen, timeout = array("I", [0] * 64), [0.0] * 64, [10.0] * 64
    wheel = TimerWheel(0.7, bucket_of, lambda row: seen[row] + timeout[row])
    used: set[int] = set()
    now = 0.0
    for _ in range(20_000):
        now += chance.random() / 2
        row = chance.randrange(64)
        if row not in used:
            used.add(row)
            seen[row], timeout[row] = now, chance.choice([3.0, 10.0, 40.0])
            wheel.schedule(row)
        elif chance.random() < 0.2:
            used.remove(row)
            wheel.cancel(row)
        elif chance.random() < 0.1:
            timeout[row] = 3.0
            wheel.schedule(row)
        else:
            seen[row] = now
        late = {row for row in used if seen[row] + timeout[row] <= now}
        assert wheel.next_deadline <= now or not late
        found = list(wheel.expire(now))
        assert len(found) == len(set(found))
        assert set(found) == late
        used -= late
        assert len(wheel) <= 3 * len(used) + 200
        assert (wheel.next_deadline == math.inf) == (not used)


def test_wheel_wakes_at_most_once_before_a_deadline() -> None:
    wheel = TimerWheel(0.5, array("I", [0]), lambda _row: 100.0)
    wheel.schedule(0)
    wakes = 0
    while wheel.next_deadline < 100.0:
        assert list(wheel.expire(wheel.next_deadline)) == []
        wakes += 1
    assert wakes <= 1
    assert wheel.next_deadline == 100.0
    assert list(wheel.expire(100.0)) == [0]
