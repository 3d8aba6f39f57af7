"""The client that sends requests to a lab's supervisor.

The module :mod:`torrentnet.lab.engines.local.protocol` defines the requests.

Tested by tests/unit/lab/engines/local/supervisor/test_request_server.py.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.types import ExecResult, NodeState, NodeStatus
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import typed_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

REPLY_TIMEOUT: Final = 30.0
"""Longer than the longest grace of the supervisor."""
OUTPUT_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of a command's output that are kept; the rest is read and discarded."""
RECEIVE_SIZE: Final = 64 * 1024
LINGER: Final = 0.2
"""For the last output of a command that has ended: a child of its own may hold the stream for ever."""


class SupervisorGoneError(EngineError):
    """No supervisor listens at the socket."""

    def __init__(self) -> None:
        super().__init__(
            "the supervisor of the lab's nodes is gone, and the nodes with it",
            hint=f"`{typed_command('up', 'NAME')}` makes a new lab",
        )


@contextlib.contextmanager
def error_context(action: str) -> Iterator[None]:
    """Prefix an error of the supervisor with what was attempted.

    An error whose message says so already stays as it is.
    """
    try:
        yield
    except SupervisorGoneError:
        raise
    except EngineError as error:
        if action.startswith("`") and error.message.startswith(action.split(" in ", maxsplit=1)[0]):
            raise
        raise EngineError(f"{action}: {error.message}", hint=error.hint) from error


class SupervisorClient:
    """The client of one supervisor. Safe to call from any thread."""

    def __init__(self, directory: Path) -> None:
        self._path = str(directory / protocol.SOCKET)

    def request(self, verb: str, *, timeout: float = REPLY_TIMEOUT, **fields: object) -> dict[str, Any]:
        """Send one request and return its reply. Raises EngineError."""
        with self._connect() as connection:
            try:
                connection.settimeout(timeout)
                connection.send(protocol.encode({"do": verb, **fields}))
                return _reply(connection.recv(protocol.MESSAGE_LIMIT))
            except TimeoutError:
                raise EngineError(f"the supervisor did not reply to `{verb}` within {timeout:g} s") from None
            except OSError as error:
                raise SupervisorGoneError from error

    def _connect(self) -> socket.socket:
        try:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            raise EngineError(f"the supervisor cannot be asked: {error.strerror}") from error
        try:
            connection.connect(self._path)
        except (ConnectionRefusedError, FileNotFoundError) as error:
            connection.close()
            raise SupervisorGoneError from error
        except OSError as error:
            connection.close()
            raise EngineError(f"the supervisor cannot be asked: {error.strerror}") from error
        return connection

    def watch(self) -> tuple[socket.socket, dict[str, int]]:
        """Return a connection that delivers the journal, and each node's last number.

        The journal is delivered from the oldest entry that is kept. Raises EngineError.
        """
        connection = self._connect()
        try:
            connection.settimeout(REPLY_TIMEOUT)
            connection.send(protocol.encode({"do": "watch"}))
            numbers = dict(_reply(connection.recv(protocol.MESSAGE_LIMIT))["numbers"])
            connection.settimeout(None)
        except OSError as error:
            connection.close()
            raise SupervisorGoneError from error
        except BaseException:
            connection.close()
            raise
        return connection, numbers

    def request_with_streams(self, verb: str, streams: Sequence[int], **fields: object) -> socket.socket:
        """Send a request for a process with these streams; return the connection.

        The process ends when the connection closes.

        Raises EngineError.
        """
        connection = self._connect()
        try:
            socket.send_fds(connection, [protocol.encode({"do": verb, **fields})], list(streams))
            connection.settimeout(REPLY_TIMEOUT)
            _reply(connection.recv(protocol.MESSAGE_LIMIT))
        except TimeoutError:
            connection.close()
            raise EngineError(f"the supervisor did not reply to `{verb}` within {REPLY_TIMEOUT:g} s") from None
        except OSError as error:
            connection.close()
            raise SupervisorGoneError from error
        except BaseException:
            connection.close()
            raise
        return connection

    def states(self) -> dict[str, NodeState]:
        """Return the state of every node. Raises EngineError."""
        found = self.request("states")["states"]
        return {node: NodeState(NodeStatus(status), code) for node, (status, code) in found.items()}

    def run(
        self, node: str, argv: Sequence[str], *, timeout: float, stdin: str | None = None, root: bool = False
    ) -> ExecResult:
        """Run a command in a node, and return its result.

        The timeout ends the command. Raises EngineError, also at the timeout.
        """
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(self._connect())
            theirs: list[int] = []
            if stdin is None:
                theirs.append(os.open(os.devnull, os.O_RDONLY))
                feed = -1
            else:
                end, feed = os.pipe()
                theirs.append(end)
            ours = []
            for _ in range(2):
                reading, writing = os.pipe()
                ours.append(reading)
                theirs.append(writing)
            streams = _CommandStreams(connection, feed, b"" if stdin is None else stdin.encode(), ours)
            stack.callback(streams.close)
            try:
                socket.send_fds(
                    connection,
                    [protocol.encode({"do": "exec", "node": node, "argv": list(argv), "root": root})],
                    theirs,
                )
            except OSError as error:
                raise SupervisorGoneError from error
            finally:
                for descriptor in theirs:
                    os.close(descriptor)
            status = streams.run(time.monotonic() + timeout)
            if status is None:
                raise EngineError(f"`{' '.join(argv)}` did not end within {timeout:g} s")
            return ExecResult(status, *streams.texts)


class _CommandStreams:
    """Writes a command's input while reading its output."""

    def __init__(self, connection: socket.socket, feed: int, stdin: bytes, outputs: list[int]) -> None:
        self._connection = connection
        self._feed = feed
        self._stdin = stdin
        self._open = dict.fromkeys(outputs, b"")
        self._outputs = outputs
        self._received: dict[int, list[bytes]] = {output: [] for output in outputs}
        self._kept = 0
        self._status: int | None = None
        connection.setblocking(False)
        for descriptor in (feed, *outputs):
            if descriptor >= 0:
                os.set_blocking(descriptor, False)

    @property
    def texts(self) -> tuple[str, str]:
        """Standard output and standard error."""
        out, err = (b"".join(self._received[output]).decode("utf-8", "replace") for output in self._outputs)
        return out, err

    def close(self) -> None:
        """Close all descriptors."""
        for descriptor in (self._feed, *self._outputs):
            if descriptor >= 0:
                os.close(descriptor)
        self._feed, self._open, self._outputs = -1, {}, []

    def run(self, deadline: float) -> int | None:
        """Return the command's exit status; None at the deadline."""
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        for output in self._open:
            poll.register(output, select.POLLIN)
        if self._feed >= 0:
            poll.register(self._feed, select.POLLOUT)
        while self._status is None or self._open:
            left = deadline - time.monotonic()
            if left <= 0:
                return self._status
            for descriptor, _ in poll.poll(left * 1000):
                if descriptor == self._connection.fileno():
                    poll.unregister(descriptor)
                    self._status = self._receive_status()
                    deadline = min(deadline, time.monotonic() + LINGER)
                elif descriptor == self._feed:
                    if self._write():
                        poll.unregister(descriptor)
                        os.close(descriptor)
                        self._feed = -1
                elif descriptor in self._open and self._read(descriptor):
                    poll.unregister(descriptor)
                    del self._open[descriptor]
        return self._status

    def _receive_status(self) -> int:
        try:
            return int(_reply(self._connection.recv(protocol.MESSAGE_LIMIT))["status"])
        except OSError as error:
            raise SupervisorGoneError from error

    def _write(self) -> bool:
        """Write what can be written now, and return whether nothing is left to write.

        This is so when all input was written, or when nobody reads the input.
        """
        try:
            self._stdin = self._stdin[os.write(self._feed, self._stdin) :] if self._stdin else b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        return not self._stdin

    def _read(self, descriptor: int) -> bool:
        """Read what has arrived; returns whether that was the end of the stream."""
        try:
            data = os.read(descriptor, RECEIVE_SIZE)
        except BlockingIOError:
            return False
        if self._kept < OUTPUT_LIMIT:
            self._received[descriptor].append(data)
            self._kept += len(data)
        return not data


def _reply(packet: bytes) -> dict[str, Any]:
    if not packet:
        raise SupervisorGoneError
    reply = protocol.decode(packet)
    if "error" in reply:
        raise EngineError(str(reply["error"]))
    return reply
