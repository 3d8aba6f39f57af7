"""The program shell, which runs around a program's work.

The tests cover every way to end the work, the console socket, and the event log.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from torrentnet.console.program_shell import ProgramShell
from torrentnet.console.remote.client import ConsoleClient
from torrentnet.console.remote.server import ConsoleServerError
from torrentnet.runtime.events import parse_event

if TYPE_CHECKING:
    from pathlib import Path


class Work:
    """Work that runs until it is stopped, and returns the reason."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def stop(self, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture(autouse=True)
def _no_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)


def _shell(console: Path | None = None) -> ProgramShell:
    return ProgramShell("peer", "seeder-1", console=console, log_level="info")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_work_and_is_named(number: signal.Signals) -> None:
    before, work = signal.getsignal(number), Work()
    with _shell() as shell:
        shell.run(lambda: os.kill(os.getpid(), number), work.stop)
    assert work.reasons == [number.name]
    assert signal.getsignal(number) is before


def test_a_stop_before_the_work_begins_is_kept() -> None:
    work = Work()
    with _shell() as shell:
        os.kill(os.getpid(), signal.SIGTERM)
        assert shell.run(lambda: list(work.reasons), work.stop) == ["SIGTERM"]


def test_quit_stops_the_work() -> None:
    work = Work()
    with _shell() as shell:
        shell.run(lambda: shell.commands.execute("quit", print, print), work.stop)
    assert work.reasons == ["quit"]


def test_the_socket_answers_while_the_work_runs(place: Path) -> None:
    path = place / "console"
    with _shell(path) as shell:
        assert shell.run(lambda: ConsoleClient(str(path)).ping(), Work().stop) == "seeder-1"
    assert not path.exists()


def test_a_socket_that_is_not_available_is_an_error(place: Path) -> None:
    with _shell(place / "none" / "console") as shell, pytest.raises(ConsoleServerError, match="there is no directory"):
        shell.run(lambda: None, Work().stop)


def test_events_are_written_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    with _shell() as shell:
        shell.run(lambda: shell.events.emit("closing", reason="quit"), Work().stop)
    event = parse_event(capfd.readouterr().out)
    assert event is not None
    assert (event.name, event.fields) == ("closing", {"reason": "quit"})
