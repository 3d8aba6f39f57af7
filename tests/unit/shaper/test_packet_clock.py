"""Conversion of timestamps between two clocks.

The conversion works although the clocks are read one after the other.
"""

from __future__ import annotations

from torrentnet.shaper.packet_clock import PacketClock

DISTANCE = 1_700_000_000_000_000_000


class Machine:
    """Reading its wall clock takes ``pause`` ns, once."""

    def __init__(self) -> None:
        self.now = 5_000_000_000
        self.pause = 0
        self.clock = PacketClock(self.steady, self.wall)

    def steady(self) -> int:
        return self.now

    def wall(self) -> int:
        pause, self.pause = self.pause, 0
        self.now += pause
        return self.now + DISTANCE


def test_a_timestamp_becomes_a_monotonic_time() -> None:
    machine = Machine()
    assert machine.clock.arrival_ns(machine.now + DISTANCE - 3_000_000) == machine.now - 3_000_000
    assert machine.clock.stamped


def test_an_interrupted_reading_does_not_age_a_packet() -> None:
    machine = Machine()
    for pause in (10_000_000, 0, 10_000_000):
        machine.pause = pause
        received = machine.now - 1000
        assert machine.clock.arrival_ns(received + DISTANCE) == received


def test_without_a_timestamp_the_time_is_now() -> None:
    machine = Machine()
    assert machine.clock.arrival_ns(None) == machine.now
    assert not machine.clock.stamped


def test_a_timestamp_of_a_changed_clock_is_ignored() -> None:
    machine = Machine()
    for stamp in (0, machine.now + DISTANCE + 1, machine.now + DISTANCE - 1_000_000_001):
        assert machine.clock.arrival_ns(stamp) == machine.now
