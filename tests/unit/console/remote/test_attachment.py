"""A person's terminal is connected with that of an observed program."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest

from torrentnet.console.commands import Commands
from torrentnet.console.remote.frames import FrameKind, encode_frame
from torrentnet.console.remote.server import ConsoleServer

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

HINT = b"the terminal of node-1's program: Ctrl-] leaves it"
DEADLINE = 30.0


def loud(connection: socket.socket) -> None:
    """A program that repeats everything in capitals, and ends after a full stop."""
    connection.settimeout(DEADLINE)
    while data := connection.recv(100):
        connection.sendall(encode_frame(FrameKind.OUT, data.upper()))
        if b"." in data:
            return


@pytest.fixture
def commands() -> Commands:
    """The commands of an observed node."""
    commands = Commands("program", name="node-1")
    commands.attach = loud
    return commands


@pytest.fixture
def path(tmp_path: Path, commands: Commands) -> Iterator[str]:
    """The console socket of the node."""
    with ConsoleServer(tmp_path / "console.sock", commands) as server:
        yield str(server.path)


class Person:
    """A person at a terminal who runs `console attach`."""

    def __init__(self, path: str) -> None:
        self._terminal, self.other_side = pty.openpty()
        command = [sys.executable, "-m", "torrentnet.console", "--socket", path, "console", "attach"]
        side = self.other_side
        self.process = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, start_new_session=True)
        self.screen = b""

    def type(self, data: bytes) -> None:
        os.write(self._terminal, data)

    def sees(self, text: bytes) -> bool:
        """Return whether the text appears on the screen in time."""
        deadline = time.monotonic() + DEADLINE
        while text not in self.screen and time.monotonic() < deadline:
            if select.select([self._terminal], [], [], 0.5)[0]:
                self.screen += os.read(self._terminal, 4096)
        return text in self.screen

    def leave(self) -> int:
        """Wait for the end of the command, and return its exit status."""
        try:
            return self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self._terminal)
            os.close(self.other_side)


def test_every_key_is_the_programs_until_the_person_leaves(path: str) -> None:
    person = Person(path)
    assert person.sees(HINT)
    person.type(b"ab\x03\x04\r")
    assert person.sees(b"AB\x03\x04\r")
    person.type(b"\x1dc")
    assert person.leave() == 0


def test_the_end_of_the_program_ends_the_attachment(path: str) -> None:
    person = Person(path)
    assert person.sees(HINT)
    person.type(b".")
    assert person.leave() == 0


def test_the_terminal_is_left_as_it_was(path: str) -> None:
    person = Person(path)
    before = termios.tcgetattr(person.other_side)
    assert person.sees(HINT)
    person.type(b"\x1d")
    person.process.wait(DEADLINE)
    assert termios.tcgetattr(person.other_side) == before
    assert person.leave() == 0


def test_a_program_of_ours_has_no_terminal_to_attach_to(path: str, commands: Commands) -> None:
    commands.attach = None
    person = Person(path)
    assert person.sees(b"error: this program's command line is this console; leave out the word attach")
    assert person.leave() == 2


def test_attach_needs_a_terminal(path: str) -> None:
    command = [sys.executable, "-m", "torrentnet.console", "--socket", path, "console", "attach"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "error: attach needs a terminal; to send one line to the program: console LINE\n"


@pytest.mark.parametrize("word", ["quit", "exit"])
def test_quit_is_a_word_of_the_program(word: str, path: str, commands: Commands) -> None:
    command = [sys.executable, "-m", "torrentnet.console", "--socket", path, "console", word]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert "unknown command" in done.stderr, "the node answers"
    commands.program = "peer"
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert "quit leaves the console's prompt, not the node" in done.stderr
