"""A program waits for the gate, but never longer than the limit."""

from __future__ import annotations

import pytest

from torrentnet.runtime.gate import GATE_TIMEOUT, GATE_VARIABLE, await_network, loopback_queue_length


class Clock:
    """A clock that moves only during sleep.

    The length of the queue changes at a given time.
    """

    def __init__(self, ready_at: float) -> None:
        self.now = 0.0
        self._ready_at = ready_at

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def length(self) -> int:
        return 1001 if self.now >= self._ready_at else 1000


def waited(environ: dict[str, str], clock: Clock) -> bool:
    return await_network(environ, length=clock.length, clock=clock.time, sleep=clock.sleep)


def test_a_program_starts_when_the_gate_opens() -> None:
    clock = Clock(ready_at=3.0)
    assert waited({GATE_VARIABLE: "1001"}, clock)
    assert 3.0 <= clock.now < 3.1


def test_the_wait_for_the_gate_ends_in_time() -> None:
    clock = Clock(ready_at=1e9)
    assert not waited({GATE_VARIABLE: "1001"}, clock)
    assert GATE_TIMEOUT <= clock.now < GATE_TIMEOUT + 0.1


@pytest.mark.parametrize("value", [None, "", "soon"])
def test_without_the_variable_the_gate_is_open(value: str | None) -> None:
    clock = Clock(ready_at=1e9)
    assert waited({} if value is None else {GATE_VARIABLE: value}, clock)
    assert clock.now == 0


def test_the_queue_length_of_loopback_can_be_read() -> None:
    assert loopback_queue_length() >= 0
