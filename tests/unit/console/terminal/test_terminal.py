"""The terminal of a program whose input and output are pipes.

The tests cover the order of lines, and lines before the terminal's start and after its end.
"""

from __future__ import annotations

import io
import os
import threading

import pytest

from torrentnet.console.commands import Command, Commands
from torrentnet.console.terminal.terminal import Terminal


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


def test_an_error_before_the_start_and_a_count_after_it() -> None:
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
