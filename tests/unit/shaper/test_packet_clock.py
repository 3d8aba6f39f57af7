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


def test_a_timestamp_becomes_a_monotonic_time() -> None:
    times = Times()
    clocks = PacketClock(times.steady, times.wall)
    assert clocks.arrival_ns(times.now + DISTANCE - 3_000_000) == times.now - 3_000_000
    assert clocks.stamped


def test_an_interrupted_reading_does_not_age_a_packet() -> None:
    times = Times()
    clocks = PacketClock(times.steady, times.wall)
    for pause in (10_000_000, 0, 10_000_000):
        times.pause = pause
        received = times.now - 1000
        assert clocks.arrival_ns(received + DISTANCE) == received


def test_without_a_timestamp_the_time_is_now() -> None:
    times = Times()
    clocks = PacketClock(times.steady, times.wall)
    assert clocks.arrival_ns(None) == times.now
    assert not clocks.stamped


def test_a_timestamp_of_a_changed_clock_is_ignored() -> None:
    times = Times()
    clocks = PacketClock(times.steady, times.wall)
    for stamp in (0, times.now + DISTANCE + 1, times.now + DISTANCE - 1_000_000_001):
        assert clocks.arrival_ns(stamp) == times.now
