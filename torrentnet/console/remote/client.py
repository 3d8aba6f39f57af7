"""The client of a program's console socket.

Tested by tests/unit/console/remote/test_server.py.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Final

from torrentnet.console.remote.frames import (
    MAX_COLUMNS,
    CompleteRequest,
    ConsoleRequest,
    FrameError,
    FrameKind,
    FrameReader,
    PingRequest,
    RunRequest,
    encode_request,
)
from torrentnet.console.table import terminal_columns
from torrentnet.runtime.process import EXIT_UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECT_TIMEOUT: Final = 5.0
ANSWER_TIMEOUT: Final = 30.0
"""Longest pause of a node that is answering."""
PING_TIMEOUT: Final = 3.0
OBSERVED: Final = "program"
"""How a node calls a program of which it knows the command line only."""


class NoAnswerError(Exception):
    """The node does not answer. The message names the cause and the remedy."""


class ConsoleClient:
    """Client of one node's console, at the Unix socket *path*.

    Each call is a connection of its own.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None

    def ping(self) -> str:
        """Return the node's name. Raises NoAnswerError."""
        return self._identify("name")

    def observes_program(self) -> bool:
        """Return whether the node is an observer with a program of its own.

        Raises NoAnswerError.
        """
        return self._identify("program") == OBSERVED

    def _identify(self, key: str) -> str:
        found = ""
        for kind, payload in self._ask(PingRequest(), PING_TIMEOUT):
            if kind is FrameKind.NODE:
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    found = str(json.loads(payload)[key])
            elif kind is FrameKind.ERR:
                raise NoAnswerError(payload.decode(errors="replace").strip().removeprefix("error: "))
        return found

    def complete(self, text: str) -> list[str]:
        """Return candidates for the last word of *text*, for completion.

        Raises NoAnswerError, and RequestError for a long text.
        """
        for kind, payload in self._ask(CompleteRequest(text), PING_TIMEOUT):
            if kind is FrameKind.WORDS:
                with contextlib.suppress(ValueError, TypeError):
                    return [str(word) for word in json.loads(payload)]
        return []

    def run(self, command: str | tuple[str, ...], out: Callable[[str], None], err: Callable[[str], None]) -> int:
        """Execute one command at the node and return its exit status.

        Tables are laid out for :func:`~torrentnet.console.table.terminal_columns`. *out* and *err* get text with
        newlines, as it arrives. Raises NoAnswerError, also when an answer is cut off, RequestError when the command is
        too long, and whatever *out* and *err* raise, which ends the connection.
        """
        status = EXIT_UNAVAILABLE
        columns = terminal_columns()
        request = RunRequest(command, None if columns is None else min(columns, MAX_COLUMNS))
        for kind, payload in self._ask(request, ANSWER_TIMEOUT):
            if kind is FrameKind.OUT:
                out(payload.decode("utf-8", "replace"))
            elif kind is FrameKind.ERR:
                err(payload.decode("utf-8", "replace"))
            elif kind is FrameKind.STATUS:
                with contextlib.suppress(ValueError):
                    status = int(payload)
        return status

    def cancel(self) -> bool:
        """Cancel the call that another thread is waiting for.

        Return False when there is none.
        """
        with self._lock:
            if self._connection is None:
                return False
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            return True

    def connect(self) -> socket.socket:
        """Return a new connection to the node. Raises NoAnswerError."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(CONNECT_TIMEOUT)
        try:
            connection.connect(os.fsencode(self.path))
        except (OSError, ValueError) as error:
            connection.close()
            raise NoAnswerError(self._no_connection(error)) from None
        return connection

    def _ask(self, request: ConsoleRequest, timeout_s: float) -> Iterator[tuple[FrameKind, bytes]]:
        line = encode_request(request)
        with self.connect() as connection:
            with self._lock:
                self._connection = connection
            try:
                # A server that is too busy closes without reading, but has sent an answer.
                with contextlib.suppress(BrokenPipeError):
                    connection.sendall(line)
                connection.settimeout(timeout_s)
                yield from self._frames(connection, timeout_s)
            finally:
                with self._lock:
                    self._connection = None

    def _frames(self, connection: socket.socket, timeout_s: float) -> Iterator[tuple[FrameKind, bytes]]:
        reader = FrameReader()
        while True:
            try:
                data = connection.recv(64 * 1024)
            except TimeoutError:
                raise NoAnswerError(
                    f"no reply from the node at {self.path} within {timeout_s:g}s: it is paused or too busy; try again"
                ) from None
            except OSError:
                data = b""
            if not data:
                raise NoAnswerError(
                    f"the answer from {self.path} was cut off: the node ended, or stopped waiting for this reader"
                )
            try:
                frames = reader.feed(data)
            except FrameError as error:
                raise NoAnswerError(f"{error}: {self.path}") from None
            for kind, payload in frames:
                yield kind, payload
                if kind is FrameKind.STATUS:
                    return

    def _no_connection(self, error: OSError | ValueError) -> str:
        number = error.errno if isinstance(error, OSError) else None
        if number == errno.ENOENT:
            cause = (
                "there is no such socket; is the program running,"
                " and was it started with this path (--console PATH or TORRENTNET_CONSOLE)?"
            )
        elif number == errno.ECONNREFUSED:
            cause = "the program that made this socket is gone; start it again"
        elif number in {errno.EACCES, errno.EPERM}:
            cause = "permission denied; run this as the user that runs the program"
        elif isinstance(error, TimeoutError | BlockingIOError):
            cause = "the node is paused or too busy; try again"
        else:
            cause = str(error.strerror if isinstance(error, OSError) and error.strerror else error)
        return f"no answer from {self.path}: {cause}"
