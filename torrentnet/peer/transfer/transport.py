"""The transport of bytes between a TCP socket and its protocol.

File data is sent by sendfile(2).

Tested by tests/unit/peer/transfer/test_connection_manager.py, tests/unit/peer/transfer/test_source_connection.py.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from torrentnet.peer.transfer.protocol import FileSpan
from torrentnet.runtime.system import MACHINE
from torrentnet.wire.errors import LocalError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.peer.transfer.protocol import PeerProtocol, PeerProtocolEvent
    from torrentnet.runtime.system import System

CLOSED_AT_HANDSHAKE: Final = (
    "closed the connection at the handshake; it may have another file, or insist on encryption (MSE),"
    " which is not supported"
)
_MAX_BUFFERS: Final = 64
"""Buffers that one sendmsg() call gathers."""


class SharedFileShrunkError(LocalError):
    """The shared file has become shorter since it was hashed."""


class Transport:
    """A connected, non-blocking socket and its protocol."""

    def __init__(self, sock: socket.socket, protocol: PeerProtocol, system: System = MACHINE) -> None:
        self.sock = sock
        self._send_file = system.send_file
        self.protocol = protocol
        self.send_blocked = False
        """Whether the last :meth:`flush` ended because the socket was full."""
        self.has_events_left = False
        """Whether the caller of :meth:`receive_events` has stopped early: events wait, and nothing is received."""

    def receive_events(self, max_receives: int) -> Iterator[PeerProtocolEvent]:
        """Receive until the socket is empty, and yield the protocol's events.

        The socket is read at most ``max_receives`` times. Who stops the iteration early sets :attr:`has_events_left`,
        and gets the rest by the next call. Raises :class:`OSError` if the connection is broken, :class:`RemoteError` if
        it was closed or the data is wrong.
        """
        if self.has_events_left:
            self.has_events_left = False
            yield from self.protocol.data_received(0)
        for _ in range(max_receives):
            buffers = self.protocol.buffers()
            room = sum(map(len, buffers))
            try:
                count = self.sock.recv_into(buffers[0]) if len(buffers) == 1 else self.sock.recvmsg_into(buffers)[0]
            except (BlockingIOError, InterruptedError):
                return
            if not count:
                greeted = self.protocol.remote_handshake is not None or not self.protocol.initiator
                raise RemoteError("closed the connection" if greeted else CLOSED_AT_HANDSHAKE)
            yield from self.protocol.data_received(count)
            if count < room:
                return

    def flush(self, budget: int) -> int:
        """Send at most ``budget`` bytes of output; return the number of bytes sent.

        The output is the protocol's. Raises :class:`OSError` if the connection is broken,
        :class:`SharedFileShrunkError` if the file is too short.
        """
        output = self.protocol.output
        total = 0
        self.send_blocked = False
        try:
            while output and total < budget:
                head = output[0]
                if isinstance(head, FileSpan):
                    count = self._send_file(
                        self.sock.fileno(), head.descriptor, head.offset, min(head.length, budget - total)
                    )
                    if not count:
                        raise SharedFileShrunkError("the file has become shorter since it was hashed")
                    if count == head.length:
                        output.popleft()
                    else:
                        output[0] = FileSpan(head.descriptor, head.offset + count, head.length - count)
                else:
                    count = self._send_bytes()
                total += count
                self.protocol.data_sent(count)
        except (BlockingIOError, InterruptedError):
            self.send_blocked = True
        return total

    def _send_bytes(self) -> int:
        output = self.protocol.output
        buffers: list[bytes] = []
        more = 0
        for item in output:
            if isinstance(item, FileSpan):
                # The block's data follows at once: do not send its 13-byte header in a packet of its own.
                more = socket.MSG_MORE
                break
            buffers.append(item)
            if len(buffers) >= _MAX_BUFFERS:
                break
        count = self.sock.sendmsg(buffers, (), more)
        left = count
        while left:
            head = output[0]
            assert isinstance(head, bytes)
            if left < len(head):
                output[0] = head[left:]
                break
            left -= len(head)
            output.popleft()
        return count

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()
