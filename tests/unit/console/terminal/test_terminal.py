"""What a terminal promises without a terminal: bounds, order, and lines before its start and after its end."""

from __future__ import annotations

import io
import os
import threading

import pytest

from torrentnet.console.commands import Command, Commands
from torrentnet.console.terminal.output import MAX_PENDING_CHARS, MAX_PENDING_LINES, OutputQueue
from torrentnet.console.terminal.terminal import Terminal
from torrentnet.runtime.text import escape_controls, text_width


def test_the_queue_is_bounded_and_says_what_it_lost() -> None:
    outbox = OutputQueue()
    assert outbox.put("first")
    for _ in range(MAX_PENDING_LINES + 9):
        assert not outbox.put("x")
    taken = outbox.take()
    assert taken[0] == "first"
    assert len(taken) == MAX_PENDING_LINES + 1
    assert taken[-1] == "(lines missing here: 10; standard output was not read fast enough)"
    assert outbox.take() == []
    outbox.put("x" * MAX_PENDING_CHARS)
    outbox.put("y")
    assert outbox.take()[1:] == ["(lines missing here: 1; standard output was not read fast enough)"]
    assert outbox.put("again")


def test_many_lines_at_once_are_bounded_alike_and_wake_once() -> None:
    outbox = OutputQueue()
    assert not outbox.put_all([])
    assert outbox.put_all(["a", "b"])
    assert not outbox.put_all(["c"])
    assert outbox.take() == ["a", "b", "c"]
    assert outbox.put_all(["x"] * (MAX_PENDING_LINES + 10))
    taken = outbox.take()
    assert len(taken) == MAX_PENDING_LINES + 1
    assert taken[-1] == "(lines missing here: 10; standard output was not read fast enough)"
    assert outbox.put_all(["first", "x" * MAX_PENDING_CHARS, "last"])
    assert outbox.take() == [
        "first",
        "last",
        "(lines missing here: 1; standard output was not read fast enough)",
    ]


def test_lines_before_during_and_after_come_in_order() -> None:
    stdout = io.StringIO()
    terminal = Terminal(Commands("demo"), None, stdout)
    terminal.write_line("before")
    terminal.start()
    for number in range(1000):
        terminal.write_line(f"n{number}")
    terminal.stop()
    terminal.write_line("after")
    terminal.stop()
    assert stdout.getvalue().splitlines() == ["before", *(f"n{number}" for number in range(1000)), "after"]


def test_commands_from_a_descriptor_and_quit_from_another_thread() -> None:
    read_fd, write_fd = os.pipe()
    stdout = io.StringIO()
    asked = threading.Event()
    commands = Commands("demo", on_quit=asked.set)
    commands.add(Command(("hello",), "hello", "hello", lambda args: [f"hello {args[0]}"]))
    with os.fdopen(read_fd, encoding="utf-8") as stdin:
        terminal = Terminal(commands, stdin, stdout)
        terminal.start()
        os.write(write_fd, b"hello w\xc3\xb6rld\nquit\n")
        assert asked.wait(20)
        terminal.stop()
    os.close(write_fd)
    assert stdout.getvalue() == "hello wörld\n"


def test_standard_output_that_is_gone_is_said_before_and_counted_after_the_start() -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    with os.fdopen(write_fd, "w", encoding="utf-8") as stdout:
        terminal = Terminal(Commands("demo"), None, stdout)
        with pytest.raises(BrokenPipeError, match="standard output is gone"):
            terminal.write_line("x")
        terminal.start()
        terminal.write_line("x")
        terminal.stop()
        assert terminal.lost == 2


def test_what_the_output_cannot_show_is_escaped() -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(write_fd, "w", encoding="ascii") as stdout, os.fdopen(read_fd, "rb") as read:
        Terminal(Commands("demo"), None, stdout).write_line("ü\udcff")
        stdout.close()
        assert read.read() == b"\\xfc\\udcff\n"


@pytest.mark.parametrize(
    ("text", "shown", "width"),
    [
        ("plain", "plain", 5),
        ("文件\u3000名", "文件\u3000名", 8),
        ("a\tb", "a b", 3),
        ("\x1b[31m\r\n\x7f\x9b", "\\u001b[31m\\u000d\\u000a\\u007f\\u009b", 34),
        ("\u202etxt", "\\u202etxt", 9),
        ("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680", 4),
    ],
)
def test_text_is_made_harmless_and_measured(text: str, shown: str, width: int) -> None:
    assert escape_controls(text) == shown
    assert text_width(shown) == width
