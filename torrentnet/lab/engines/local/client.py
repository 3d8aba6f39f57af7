"""Asks a lab's keeper, and follows its journal. See ``protocol``."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.supervisor.journal import JournalEntry
from torrentnet.lab.engines.types import ExecResult, LogLine, NodeState, NodeStatus, StateChange
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import typed_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

REPLY_TIMEOUT = 30.0
"""For the keeper to answer; longer than the longest grace."""
OUTPUT_LIMIT = 4 * 1024 * 1024
"""Bytes of a command's answer that are kept; the rest is read and dropped."""
RECEIVE_SIZE = 64 * 1024
LINGER = 0.2
"""For the last output of a command that has ended: a child of its own may hold the stream for ever."""
JOIN_TIMEOUT = 5.0


class SupervisorGoneError(EngineError):
    """Nobody answers at the keeper's socket."""

    def __init__(self) -> None:
        super().__init__(
            "the process that keeps the lab's nodes is gone, and they with it",
            hint=f"`{typed_command('up', 'NAME')}` makes a new lab",
        )


class SupervisorClient:
    """One keeper's client. Safe to call from any thread."""

    def __init__(self, directory: Path) -> None:
        self._path = str(directory / protocol.SOCKET)

    def ask(self, do: str, *, timeout: float = REPLY_TIMEOUT, **words: object) -> dict[str, Any]:
        """One request and its answer. Raises EngineError."""
        with self._connect() as connection:
            try:
                connection.settimeout(timeout)
                connection.send(protocol.encode({"do": do, **words}))
                return _answer(connection.recv(protocol.MESSAGE_LIMIT))
            except TimeoutError:
                raise EngineError(f"the keeper did not answer to `{do}` within {timeout:g} s") from None
            except OSError as error:
                raise SupervisorGoneError from error

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.connect(self._path)
        except OSError as error:
            connection.close()
            raise SupervisorGoneError from error
        return connection

    def watch(self) -> tuple[socket.socket, int]:
        """A connection on which the journal comes from its beginning, and its size now. Raises EngineError."""
        connection = self._connect()
        try:
            connection.settimeout(REPLY_TIMEOUT)
            connection.send(protocol.encode({"do": "watch"}))
            past = int(_answer(connection.recv(protocol.MESSAGE_LIMIT))["end"])
            connection.settimeout(None)
        except OSError as error:
            connection.close()
            raise SupervisorGoneError from error
        except BaseException:
            connection.close()
            raise
        return connection, past

    def states(self) -> dict[str, NodeState]:
        """How all nodes live. Raises EngineError."""
        found = self.ask("states")["states"]
        return {node: NodeState(NodeStatus(status), code) for node, (status, code) in found.items()}

    def run(
        self, node: str, argv: Sequence[str], *, timeout: float, stdin: str | None = None, root: bool = False
    ) -> ExecResult:
        """Run a command in a node. Raises EngineError, also when time is up: the command is ended then."""
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
                heard, tell = os.pipe()
                ours.append(heard)
                theirs.append(tell)
            talk = _CommandStreams(connection, feed, b"" if stdin is None else stdin.encode(), ours)
            stack.callback(talk.close)
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
            status = talk.run(time.monotonic() + timeout)
            if status is None:
                raise EngineError(f"`{' '.join(argv)}` did not end within {timeout:g} s")
            return ExecResult(status, *talk.texts)


class _CommandStreams:
    """Hands a command its input while taking what it prints."""

    def __init__(self, connection: socket.socket, feed: int, stdin: bytes, outputs: list[int]) -> None:
        self._connection = connection
        self._feed = feed
        self._stdin = stdin
        self._open = dict.fromkeys(outputs, b"")
        self._outputs = outputs
        self._taken: dict[int, list[bytes]] = {output: [] for output in outputs}
        self._kept = 0
        self._status: int | None = None
        connection.setblocking(False)
        for descriptor in (feed, *outputs):
            if descriptor >= 0:
                os.set_blocking(descriptor, False)

    @property
    def texts(self) -> tuple[str, str]:
        """What came on the two outputs."""
        out, err = (b"".join(self._taken[output]).decode("utf-8", "replace") for output in self._outputs)
        return out, err

    def close(self) -> None:
        """Let go of all descriptors."""
        for descriptor in (self._feed, *self._outputs):
            if descriptor >= 0:
                os.close(descriptor)
        self._feed, self._open, self._outputs = -1, {}, []

    def run(self, deadline: float) -> int | None:
        """The command's exit status; None when time is up."""
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
                    self._status = self._ended()
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

    def _ended(self) -> int:
        try:
            return int(_answer(self._connection.recv(protocol.MESSAGE_LIMIT))["status"])
        except OSError as error:
            raise SupervisorGoneError from error

    def _write(self) -> bool:
        """Whether all has been handed over, or nobody wants it."""
        try:
            self._stdin = self._stdin[os.write(self._feed, self._stdin) :] if self._stdin else b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        return not self._stdin

    def _read(self, descriptor: int) -> bool:
        """Whether that was the end of the stream."""
        try:
            data = os.read(descriptor, RECEIVE_SIZE)
        except BlockingIOError:
            return False
        if self._kept < OUTPUT_LIMIT:
            self._taken[descriptor].append(data)
            self._kept += len(data)
        return not data


def _answer(packet: bytes) -> dict[str, Any]:
    if not packet:
        raise SupervisorGoneError
    answer = protocol.decode(packet)
    if "error" in answer:
        raise EngineError(str(answer["error"]))
    return answer


class JournalFollower:
    """Follows a keeper's journal on a thread of its own, and calls back. Lines of the past come too, changes do not."""

    def __init__(
        self,
        client: SupervisorClient,
        nodes: Iterable[str],
        on_line: Callable[[LogLine], None],
        on_state: Callable[[StateChange], None],
    ) -> None:
        self._nodes = tuple(nodes)
        self._on_line = on_line
        self._on_state = on_state
        self._closing = threading.Event()
        self._connection, self._past = client.watch()
        self._thread = threading.Thread(target=self._run, name="journal of the nodes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; afterwards nothing is called back."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        if self._thread is not threading.current_thread():
            self._thread.join(JOIN_TIMEOUT)
        self._connection.close()

    def _run(self) -> None:
        for entry, end in _entries(self._connection):
            if self._closing.is_set():
                return
            self._hand_on(entry, past=end <= self._past)
        if not self._closing.is_set():
            # Without its keeper no node lives.
            for node in self._nodes:
                self._on_state(StateChange(node, time.time(), NodeState(NodeStatus.GONE)))

    def _hand_on(self, entry: JournalEntry, *, past: bool) -> None:
        if entry.text is not None:
            self._on_line(LogLine(entry.node, entry.time, entry.text))
        elif not past:
            state = NodeState(NodeStatus(entry.status), entry.exit_code)
            self._on_state(StateChange(entry.node, entry.time, state))


def stream_journal(client: SupervisorClient, *, follow: bool) -> Iterator[JournalEntry]:
    """The journal's entries from its beginning: to its present end, or for as long as the keeper lives."""
    connection, past = client.watch()
    with connection:
        if past == 0 and not follow:
            return
        for entry, end in _entries(connection):
            yield entry
            if end >= past and not follow:
                return


def _entries(connection: socket.socket) -> Iterator[tuple[JournalEntry, int]]:
    """What the keeper sends of its journal, each entry with its end in it; ends with the connection."""
    rest, seen = b"", 0
    while True:
        try:
            data = connection.recv(protocol.MESSAGE_LIMIT)
        except OSError:
            data = b""
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            seen += len(line) + 1
            yield JournalEntry.decode(line), seen
