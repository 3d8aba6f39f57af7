"""Who asks a keeper: connections, one request each (see ``protocol``), and those that are sent the journal."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.supervisor.event_loop import READ, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.lab.engines.local.supervisor.event_loop import EventLoop
    from torrentnet.lab.engines.local.supervisor.journal import JournalEntry, OutputJournal

    Answer = dict[str, Any]
    Serve = Callable[["RequestConnection", dict[str, Any], list[int]], Answer | None]

CONNECTIONS = 512
DESCRIPTORS = 3
"""That may come with a request: the streams of a command."""


class RequestRejectedError(Exception):
    """A request that cannot be done, in words for a person."""


@dataclass(slots=True, eq=False)
class RequestConnection:
    """A connection."""

    socket: socket.socket
    heard: bool = False
    gone: Callable[[], None] | None = None
    """What is to be done when it closes before it was answered."""
    offset: int | None = None
    """How much of the journal it was sent; None where it did not ask for that."""
    writing: bool = False


class RequestServer:
    """All of them. ``serve`` does a request and gives its answer, or None where that comes later by :meth:`tell`."""

    def __init__(self, path: str, loop: EventLoop, journal: OutputJournal, serve: Serve) -> None:
        """Listens at the socket of this path. Raises OSError."""
        self._loop = loop
        self._journal = journal
        self._serve = serve
        self._all: set[RequestConnection] = set()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.bind(path)
        self._server.listen(CONNECTIONS)
        self._server.setblocking(False)
        loop.wait_at(self._server.fileno(), self._accept)

    def tell(self, caller: RequestConnection, answer: Answer) -> None:
        """Answer a caller."""
        # Whoever does not take an answer of one packet has gone.
        with contextlib.suppress(OSError):
            caller.socket.send(protocol.encode(answer))

    def note(self, entries: list[JournalEntry]) -> None:
        """Write entries into the journal, and send them to all who follow it."""
        self._journal.append(entries)
        for caller in list(self._all):
            if caller.offset is not None and not caller.writing:
                self._feed(caller)

    def follow(self, caller: RequestConnection) -> None:
        """Send a caller the journal from its beginning, for as long as it takes it."""
        caller.offset = 0
        self.tell(caller, {"end": self._journal.size})
        self._feed(caller)

    def _accept(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _address = self._server.accept()
            connection.setblocking(False)
            caller = RequestConnection(connection)
            self._all.add(caller)
            self._loop.wait_at(connection.fileno(), lambda events: self._hear(caller, events))

    def _hear(self, caller: RequestConnection, events: int) -> None:
        if events & WRITE:
            self._feed(caller)
        if not events & READ or caller not in self._all:
            return
        try:
            packet, descriptors, _, _ = socket.recv_fds(
                caller.socket, protocol.MESSAGE_LIMIT, DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            packet, descriptors = b"", []
        try:
            if not packet or caller.heard:
                self._dismiss(caller)
                return
            caller.heard = True
            answer = self._answer(caller, packet, descriptors)
            if answer is not None:
                self.tell(caller, answer)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _answer(self, caller: RequestConnection, packet: bytes, descriptors: list[int]) -> Answer | None:
        try:
            return self._serve(caller, protocol.decode(packet), descriptors)
        except RequestRejectedError as refused:
            return {"error": str(refused)}
        except (OSError, KeyError, TypeError, ValueError) as error:
            return {"error": str(error) or type(error).__name__}

    def _dismiss(self, caller: RequestConnection) -> None:
        self._all.discard(caller)
        if caller.gone is not None:
            caller.gone()
        self._loop.forget(caller.socket.fileno())
        caller.socket.close()

    def _feed(self, caller: RequestConnection) -> None:
        """Send what is new of the journal, as far as the caller takes it."""
        assert caller.offset is not None
        full = False
        try:
            while caller.offset < self._journal.size:
                caller.offset += caller.socket.send(self._journal.read(caller.offset, protocol.CHUNK))
        except BlockingIOError:
            full = True
        except OSError:
            self._dismiss(caller)
            return
        if full != caller.writing:
            caller.writing = full
            events = READ | WRITE if full else READ
            self._loop.wait_at(caller.socket.fileno(), lambda events: self._hear(caller, events), events)
