"""Two clocks that are read one after the other."""

from __future__ import annotations

from torrentnet.shaper.packet_clock import PacketClock

DISTANCE = 1_700_000_000_000_000_000


class Times:
    """A machine on which reading a clock takes a known time."""

    def __init__(self) -> None:
        self.now = 5_000_000_000
        self.pause = 0

    def steady(self) -> int:
        return self.now

    def wall(self) -> int:
        pause, self.pause = self.pause, 0
        self.now += pause
        return self.now + DISTANCE


def test_a_stamp_becomes_a_time_of_the_steady_clock() -> None:
    times = Times()
    clocks = PacketClock(times.steady, times.wall)
    assert clocks.steady(times.now + DISTANCE - 3_000_000) == times.now - 3_000_000
    assert clocks.stamped


def test_an_interruption_between_the_readings_does_not_age_a_packet() -> None:
    times = Times()
    clocks = PacketClock(times.steady, times.wall)
    for pause in (10_000_000, 0, 10_000_000):
        times.pause = pause
        received = times.now - 1000
        assert clocks.steady(received + DISTANCE) == received


def test_without_a_stamp_it_is_now() -> None:
    times = Times()
    clocks = PacketClock(times.steady, times.wall)
    assert clocks.steady(None) == times.now
    assert not clocks.stamped


def test_a_clock_that_was_set_means_nothing() -> None:
    times = Times()
    clocks = PacketClock(times.steady, times.wall)
    for stamp in (0, times.now + DISTANCE + 1, times.now + DISTANCE - 1_000_000_001):
        assert clocks.steady(stamp) == times.now
