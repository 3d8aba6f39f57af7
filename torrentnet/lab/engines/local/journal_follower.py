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
    from torrentnet.lab.engines.types import LossCallback

JOIN_TIMEOUT: Final = 5.0


class JournalFollower:
    """Follows the journal on a thread of its own, and calls back.

    Lines are passed on from the journal's beginning, changes of state from now on. A connection that breaks is opened
    again, and the journal is continued where it broke off. Entries of a node that were removed before they could be
    read are lost, of that node alone.
    """

    def __init__(
        self,
        client: SupervisorClient,
        nodes: Iterable[str],
        on_line: Callable[[LogLine], None],
        on_state: Callable[[StateChange], None],
        on_lost: LossCallback,
    ) -> None:
        self._client = client
        self._nodes = tuple(nodes)
        self._on_line = on_line
        self._on_state = on_state
        self._on_lost = on_lost
        self._closing = threading.Event()
        self._read: dict[str, int] = {}
        """The number of each node's last entry that was passed on."""
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
                for entry in _entries(self._connection):
                    if self._closing.is_set():
                        return
                    self._take(entry)
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

    def _lose(self, reason: str, node: str = "") -> None:
        if not self._closing.is_set():
            self._on_lost(reason, node)

    def _take(self, entry: JournalEntry) -> None:
        read = self._read.get(entry.node, 0)
        if entry.number <= read:
            return
        if missed := missed_entries(entry, read):
            reason = f"{entry.node} printed faster than its output could be read: {missed} lines are missing"
            self._lose(reason, entry.node)
        self._pass_on(entry, past=entry.number <= self._past.get(entry.node, 0))
        self._read[entry.node] = entry.number

    def _pass_on(self, entry: JournalEntry, *, past: bool) -> None:
        if entry.text is not None:
            self._on_line(LogLine(entry.node, STEADY.of_monotonic(entry.time), entry.text))
        elif not past:
            state = NodeState(NodeStatus(entry.status), entry.exit_code)
            self._on_state(StateChange(entry.node, STEADY.of_monotonic(entry.time), state))


def missed_entries(entry: JournalEntry, read: int) -> int:
    """Return the number of the node's entries that are missing before this one.

    ``read`` is the number of the last entry that was read.
    """
    return entry.number - read - 1


def stream_journal(client: SupervisorClient, *, follow: bool) -> Iterator[JournalEntry]:
    """Yield the journal's entries, from the oldest one that is kept.

    The iterator ends at the journal's present end or, with ``follow``, when the supervisor ends.
    """
    connection, numbers = client.watch()
    with connection:
        unread = {node for node, number in numbers.items() if number}
        if not unread and not follow:
            return
        for entry in _entries(connection):
            yield entry
            if entry.number >= numbers[entry.node]:
                unread.discard(entry.node)
            if not unread and not follow:
                return


def _entries(connection: socket.socket) -> Iterator[JournalEntry]:
    """Yield each entry, until the connection ends. Packets hold whole entries."""
    while True:
        try:
            data = connection.recv(protocol.MESSAGE_LIMIT)
        except OSError:
            data = b""
        if not data:
            return
        yield from map(JournalEntry.decode, data.splitlines())
