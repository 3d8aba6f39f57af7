"""A command's answer is written in batches, and ends with the terminal."""

from __future__ import annotations

import threading

from torrentnet.console.commands import Command, Commands
from torrentnet.console.table import table
from torrentnet.console.terminal.execution import BATCH_CHARS, LineExecution


def _commands() -> Commands:
    def count(words: list[str]) -> list[str]:
        return ["x" * 100] * int(words[0])

    return Commands("demo").add(Command(("count",), "count N", "N lines", count))


def test_a_short_answer_is_written_at_once() -> None:
    written: list[str] = []
    LineExecution(_commands(), written.append, threading.Event()).execute("count 3")
    assert written == [f"{'x' * 100}\n" * 3]


def test_a_long_answer_is_written_in_batches() -> None:
    written: list[str] = []
    LineExecution(_commands(), written.append, threading.Event()).execute("count 500")
    assert "".join(written).count("\n") == 500
    assert len(written) >= 500 * 100 // (BATCH_CHARS + 100)


def test_an_answer_ends_when_the_terminal_stops() -> None:
    stopping, written = threading.Event(), list[str]()
    stopping.set()
    LineExecution(_commands(), written.append, stopping).execute("count 3")
    assert written == []


def test_a_table_fits_into_the_terminal() -> None:
    commands = Commands("demo").add(
        Command(("rows",), "rows", "a table", lambda _: table(("NAME", "WORDS"), [("x", "word " * 30)]))
    )
    written: list[str] = []
    LineExecution(commands, written.append, threading.Event(), lambda: 40).execute("rows")
    lines = "".join(written).splitlines()
    assert lines[:3] == [
        "NAME  WORDS",
        "x     word word word word word word word",
        "      word word word word word word word",
    ]
