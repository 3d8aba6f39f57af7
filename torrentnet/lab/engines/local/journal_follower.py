"""The reader that follows a supervisor's journal.

The journal contains what the nodes print, and how their states change.

Tested by tests/unit/lab/engines/local/supervisor/test_request_server.py.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.client import SupervisorGoneError
from torrentnet.lab.engines.local.supervisor.journal import JournalEntry
from torrentnet.lab.engines.steady import STEADY
from torrentnet.lab.engines.types import LogLine, NodeState, NodeStatus, StateChange
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torrentnet.lab.engines.local.client import SupervisorClient

JOIN_TIMEOUT: Final = 5.0


class JournalFollower:
    """Follows the journal on a thread of its own, and calls back.

    Lines are passed on from the journal's beginning, changes of state from now on. A connection that breaks is opened
    again, and the journal is continued where it broke off.
    """

    def __init__(
        self,
        client: SupervisorClient,
        nodes: Iterable[str],
        on_line: Callable[[LogLine], None],
        on_state: Callable[[StateChange], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._client = client
        self._nodes = tuple(nodes)
        self._on_line = on_line
        self._on_state = on_state
        self._on_lost = on_lost
        self._closing = threading.Event()
        self._read = 0
        """Bytes of the journal whose entries were passed on."""
        self._connection, self._past = client.watch()
        self._thread = threading.Thread(target=self._run, name="journal of the nodes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread. No callback is called afterwards."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        if self._thread is not threading.current_thread():
            self._thread.join(JOIN_TIMEOUT)
        self._connection.close()

    def _run(self) -> None:
        try:
            while True:
                for entry, end in _entries(self._connection):
                    if self._closing.is_set():
                        return
                    if end > self._read:
                        self._pass_on(entry, past=end <= self._past)
                        self._read = end
                if self._closing.is_set():
                    return
                self._connection.close()
                self._connection, _ = self._client.watch()
                if self._closing.is_set():
                    return
        except SupervisorGoneError as error:
            # The nodes ended with their supervisor. It is lost first: their ends mean nothing.
            self._lose(error.message)
            for node in () if self._closing.is_set() else self._nodes:
                self._on_state(StateChange(node, STEADY.now(), NodeState(NodeStatus.GONE)))
        except EngineError as error:
            self._lose(error.message)
        except Exception as error:  # a thread that ends unnoticed would be a failed expectation later
            self._lose(f"the journal of the nodes cannot be read: {error!r}")

    def _lose(self, reason: str) -> None:
        if not self._closing.is_set():
            self._on_lost(reason)

    def _pass_on(self, entry: JournalEntry, *, past: bool) -> None:
        if entry.text is not None:
            self._on_line(LogLine(entry.node, STEADY.of_monotonic(entry.time), entry.text))
        elif not past:
            state = NodeState(NodeStatus(entry.status), entry.exit_code)
            self._on_state(StateChange(entry.node, STEADY.of_monotonic(entry.time), state))


def stream_journal(client: SupervisorClient, *, follow: bool) -> Iterator[JournalEntry]:
    """Yield the journal's entries from its beginning.

    The iterator ends at the journal's present end or, with ``follow``, when the supervisor ends.
    """
    connection, past = client.watch()
    with connection:
        if past == 0 and not follow:
            return
        for entry, end in _entries(connection):
            yield entry
            if end >= past and not follow:
                return


def _entries(connection: socket.socket) -> Iterator[tuple[JournalEntry, int]]:
    """Yield each entry with the offset of its end in the journal.

    The iterator ends when the connection ends.
    """
    rest, offset = b"", 0
    while True:
        try:
            data = connection.recv(protocol.MESSAGE_LIMIT)
        except OSError:
            data = b""
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            offset += len(line) + 1
            yield JournalEntry.decode(line), offset
