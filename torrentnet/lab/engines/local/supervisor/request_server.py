"""The supervisor's side of the protocol.

It has connections with one request each, and connections that receive the journal.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.supervisor.event_loop import READ, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.lab.engines.local.supervisor.event_loop import EventLoop
    from torrentnet.lab.engines.local.supervisor.journal import JournalEntry, JournalReader, OutputJournal

    Reply = dict[str, Any]
    Handler = Callable[["RequestConnection", dict[str, Any], list[int]], Reply | None]

BACKLOG: Final = 512
MAX_DESCRIPTORS: Final = 3
"""With one request: the streams of a command."""


class RequestRejectedError(Exception):
    """A request that cannot be carried out; the message is for users."""


@dataclass(slots=True, eq=False)
class RequestConnection:
    """A client's connection."""

    socket: socket.socket
    received: bool = False
    """Whether its request has arrived."""
    on_close: Callable[[], None] | None = None
    """Called when the connection closes before it was replied to."""
    reader: JournalReader | None = None
    """Reads what of the journal is to be sent; None where it was not requested."""
    unsent: bytes = b""
    """What the client must make room for before more of the journal can be sent."""


class RequestServer:
    """The server of all connections to the supervisor.

    ``handle`` carries out a request and returns its reply, or None where :meth:`reply` follows.
    """

    def __init__(self, path: str, loop: EventLoop, journal: OutputJournal, handle: Handler) -> None:
        """Listen at the socket of this path. Raises OSError."""
        self._loop = loop
        self._journal = journal
        self._handle = handle
        self._connections: set[RequestConnection] = set()
        self._lost = ""
        """Why the journal lacks entries; empty as long as it is complete."""
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.bind(path)
        self._server.listen(BACKLOG)
        self._server.setblocking(False)
        loop.watch(self._server.fileno(), self._accept)

    def reply(self, connection: RequestConnection, reply: Reply) -> None:
        """Send a reply."""
        # A client that cannot receive one packet has gone.
        with contextlib.suppress(OSError):
            connection.socket.send(protocol.encode(reply))

    def record(self, node: str, entries: list[JournalEntry]) -> None:
        """Append a node's entries to the journal, and send them to all who follow it.

        A journal that cannot be written stays as it is: those who follow it are disconnected, and told why when they
        ask again. The nodes go on.
        """
        if not self._lost:
            try:
                self._journal.append(node, entries)
            except OSError as error:
                self._lost = f"the journal of the nodes cannot be written: {error.strerror}"
                for connection in list(self._connections):
                    if connection.reader is not None:
                        self._close(connection)
        for connection in list(self._connections):
            if connection.reader is not None and not connection.unsent:
                self._send_journal(connection, connection.reader)

    def follow(self, connection: RequestConnection) -> None:
        """Send the journal to a connection, from the oldest entry that is kept.

        New entries are sent as long as the connection is open. Raises RequestRejectedError where the journal could not
        be written.
        """
        if self._lost:
            raise RequestRejectedError(self._lost)
        connection.reader = self._journal.reader()
        self.reply(connection, {"numbers": self._journal.numbers()})
        self._send_journal(connection, connection.reader)

    def _accept(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            client, _address = self._server.accept()
            client.setblocking(False)
            connection = RequestConnection(client)
            self._connections.add(connection)
            self._loop.watch(client.fileno(), lambda events: self._ready(connection, events))

    def _ready(self, connection: RequestConnection, events: int) -> None:
        if events & WRITE and connection.reader is not None:
            self._send_journal(connection, connection.reader)
        if not events & READ or connection not in self._connections:
            return
        try:
            packet, descriptors, _, _ = socket.recv_fds(
                connection.socket, protocol.MESSAGE_LIMIT, MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            packet, descriptors = b"", []
        try:
            if not packet or connection.received:
                self._close(connection)
                return
            connection.received = True
            reply = self._carry_out(connection, packet, descriptors)
            if reply is not None:
                self.reply(connection, reply)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _carry_out(self, connection: RequestConnection, packet: bytes, descriptors: list[int]) -> Reply | None:
        try:
            return self._handle(connection, protocol.decode(packet), descriptors)
        except RequestRejectedError as error:
            return {"error": str(error)}
        except (OSError, KeyError, TypeError, ValueError) as error:
            return {"error": str(error) or type(error).__name__}

    def _close(self, connection: RequestConnection) -> None:
        self._connections.discard(connection)
        if connection.on_close is not None:
            connection.on_close()
        self._loop.forget(connection.socket.fileno())
        connection.socket.close()

    def _send_journal(self, connection: RequestConnection, reader: JournalReader) -> None:
        """Send what is new of the journal, until the socket's buffer is full."""
        was_blocked = bool(connection.unsent)
        try:
            while data := connection.unsent or reader.read(protocol.CHUNK):
                connection.unsent = data
                connection.socket.send(data)
                connection.unsent = b""
        except BlockingIOError:
            pass
        except OSError:
            self._close(connection)
            return
        if was_blocked != bool(connection.unsent):
            events = READ | WRITE if connection.unsent else READ
            self._loop.watch(connection.socket.fileno(), lambda events: self._ready(connection, events), events)
