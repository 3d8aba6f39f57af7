"""The observer's side of the program's terminal: typed lines, and attached people.

The main loop passes all output on; the threads of the console type, and collect answers.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import termios
import threading
from typing import TYPE_CHECKING, Final

from torrentnet.adapters.observer.output import OutputLines
from torrentnet.console.commands import CommandError
from torrentnet.console.remote.frames import FrameKind, encode_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.adapters.observer.settings import ObserverSettings
    from torrentnet.runtime.system import System

MAX_ANSWER: Final = 256 * 1024
"""Bytes of an answer; what follows is left out."""
MAX_TYPED: Final = 4000
"""Bytes of a typed line: a terminal that reads whole lines takes 4,095 at once."""
WRITE_TIMEOUT: Final = 2.0
"""Seconds in which the program's terminal must take what is typed."""
READ_BYTES: Final = 4096
_LFLAG: Final = 3


class _Answer:
    """Output since a line was typed."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.last = 0.0


class ProgramTerminal:
    """Everything that is typed into the program, and everybody who reads it.

    :meth:`feed` and :meth:`end` are called by the main loop, the other methods by any thread.
    """

    def __init__(self, descriptor: int, settings: ObserverSettings, system: System) -> None:
        self._descriptor = descriptor
        self._settings = settings
        self._system = system
        self._typing = threading.Lock()
        self._news = threading.Condition()
        self._answers: list[_Answer] = []
        self._attached: list[socket.socket] = []
        self._ended = False
        self.prompt = ""
        """What the program shows when it waits for a line."""

    def feed(self, data: bytes, now: float) -> None:
        """Pass the program's output on."""
        with self._news:
            for answer in self._answers:
                answer.data += data[: MAX_ANSWER - len(answer.data)]
                answer.last = now
            attached = list(self._attached)
            self._news.notify_all()
        for connection in attached:
            # A person who does not read loses what does not fit into the socket.
            with contextlib.suppress(OSError):
                connection.send(encode_frame(FrameKind.OUT, data), socket.MSG_DONTWAIT)

    def end(self) -> None:
        """Note that the program has ended."""
        with self._news:
            self._ended = True
            self._news.notify_all()
            for connection in self._attached:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)

    def ask(self, line: str) -> Iterator[str]:
        """Type a line, and return the lines that the program prints until it is quiet.

        Raises CommandError if the program does not read its terminal.
        """
        data = line.encode("utf-8", "surrogateescape")
        if len(data) > MAX_TYPED or b"\n" in data or b"\r" in data:
            raise CommandError(f"one line of at most {MAX_TYPED} bytes can be typed")
        with self._typing:
            prompt, edits = self.prompt, self._edits_lines()
            answer = _Answer()
            with self._news:
                self._answers.append(answer)
            try:
                self._write(data + b"\n")
                self._wait(answer)
            finally:
                with self._news:
                    self._answers.remove(answer)
        lines = OutputLines(0.0)
        found = lines.feed(bytes(answer.data), 0.0)
        rest = lines.finish()
        # A program that edits lines by itself (readline) repeats what is typed.
        if edits and found and found[0] in {line, prompt + line, f"{prompt} {line}"}:
            found.pop(0)
        yield from found
        yield from (text for text in rest if text != prompt)

    def _wait(self, answer: _Answer) -> None:
        now = self._system.monotonic()
        latest = now + self._settings.answer_timeout
        with self._news:
            while not self._ended:
                now = self._system.monotonic()
                until = min(latest, answer.last + self._settings.quiet) if answer.data else latest
                if now >= until:
                    return
                self._news.wait(until - now)

    def _edits_lines(self) -> bool:
        try:
            return not termios.tcgetattr(self._descriptor)[_LFLAG] & termios.ICANON
        except (OSError, termios.error):
            return False

    def _write(self, data: bytes) -> None:
        deadline = self._system.monotonic() + WRITE_TIMEOUT
        while data:
            if self._ended:
                raise CommandError("the program has ended")
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                left = deadline - self._system.monotonic()
                if left <= 0:
                    raise CommandError("the program does not read its terminal: it is full of typed lines") from None
                select.select([], [self._descriptor], [], left)
            except OSError:
                raise CommandError("the program has ended") from None

    def attach(self, connection: socket.socket) -> None:
        """Connect a person's terminal with the program's until either ends.

        The program's terminal echoes meanwhile, as a person expects.
        """
        connection.settimeout(None)
        with self._news:
            self._attached.append(connection)
            first = len(self._attached) == 1
        if first:
            self._set_echo(on=True)
        try:
            while not self._ended and (data := connection.recv(READ_BYTES)):
                self._write(data)
        except (OSError, CommandError):
            pass
        finally:
            with self._news:
                self._attached.remove(connection)
                last = not self._attached
            if last:
                self._set_echo(on=False)

    def _set_echo(self, *, on: bool) -> None:
        with contextlib.suppress(OSError, termios.error):
            modes = termios.tcgetattr(self._descriptor)
            if modes[_LFLAG] & termios.ICANON:
                modes[_LFLAG] = modes[_LFLAG] | termios.ECHO if on else modes[_LFLAG] & ~termios.ECHO
                termios.tcsetattr(self._descriptor, termios.TCSANOW, modes)
