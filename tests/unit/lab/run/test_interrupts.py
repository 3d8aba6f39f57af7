"""The first Ctrl-C ends the work, and none disturbs the clean-up."""

from __future__ import annotations

import os
import signal

import pytest

from torrentnet.lab.run.interrupts import Interrupted, InterruptHandler


def interrupt(number: signal.Signals = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def printed() -> list[str]:
    return []


@pytest.fixture
def interrupts(printed: list[str]) -> InterruptHandler:
    return InterruptHandler(printed.append)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_work(interrupts: InterruptHandler, number: signal.Signals) -> None:
    # Under nohup a hang-up is ignored from the beginning, by the tests and by the lab alike.
    inherited = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(Interrupted) as caught, interrupts.installed():
            interrupt(number)
        assert caught.value.signal is number
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, inherited)


def test_a_second_signal_is_acknowledged_with_a_line(interrupts: InterruptHandler, printed: list[str]) -> None:
    cleaned = False
    with interrupts.installed():
        try:
            interrupt()
        except Interrupted:
            interrupt()
            interrupt(signal.SIGTERM)
            cleaned = True
    assert cleaned
    assert printed == ["still cleaning up ..."] * 2


def test_a_signal_waits_for_the_end_of_the_clean_up(interrupts: InterruptHandler, printed: list[str]) -> None:
    steps: list[str] = []

    def work() -> None:
        with interrupts.installed():
            with interrupts.shield():
                with interrupts.shield():
                    interrupt()
                    steps.append("inner")
                steps.append("outer")
            steps.append("after")

    with pytest.raises(Interrupted):
        work()
    assert steps == ["inner", "outer"]
    assert len(printed) == 1


def test_the_clean_up_does_not_raise_an_interrupt_again(interrupts: InterruptHandler) -> None:
    steps: list[str] = []
    with interrupts.installed():
        try:
            interrupt()
        except Interrupted:
            with interrupts.shield():
                interrupt()
                steps.append("cleaned")
            steps.append("after")
    assert steps == ["cleaned", "after"]


def test_a_shield_may_be_silent(interrupts: InterruptHandler, printed: list[str]) -> None:
    steps: list[str] = []

    def work() -> None:
        with interrupts.installed():
            with interrupts.shield(message=""):
                interrupt()
                steps.append("whole")
            steps.append("after")

    with pytest.raises(Interrupted):
        work()
    assert (steps, printed) == (["whole"], [])
