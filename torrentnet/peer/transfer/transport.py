"""One TCP socket under one protocol: bytes in, bytes and file spans out, by the kernel."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from torrentnet.peer.transfer.protocol import FileSpan
from torrentnet.wire.errors import LocalError

if TYPE_CHECKING:
    from torrentnet.peer.transfer.protocol import PeerProtocol
    from torrentnet.wire.endpoint import Endpoint

_MAX_BUFFERS = 64


class SharedFileShrunkError(LocalError):
    """The file that is shared became shorter than it was when it was hashed."""


class Transport:
    """A connected, non-blocking socket and its protocol."""

    def __init__(self, sock: socket.socket, endpoint: Endpoint, protocol: PeerProtocol) -> None:
        self.sock = sock
        self.endpoint = endpoint
        self.protocol = protocol
        self.sent_bytes = 0
        """Bytes sent so far."""
        self.send_blocked = False
        """Whether the socket took less than there was, the last time."""
        self.receive_drained = False
        """Whether the socket had less than there was room for, the last time: the next has most likely yet to come."""

    def receive(self) -> int | None:
        """Receive once into the protocol's buffers: the count, 0 at the end, None when nothing is there.

        Raises :class:`OSError` when the connection is broken.
        """
        try:
            buffers = self.protocol.buffers()
            one = len(buffers) == 1
            count = self.sock.recv_into(buffers[0]) if one else self.sock.recvmsg_into(buffers)[0]
            self.receive_drained = count < sum(map(len, buffers))
            return count
        except (BlockingIOError, InterruptedError):
            return None

    def flush(self, budget: int) -> int:
        """Send what waits, at most ``budget`` bytes of it; returns the bytes sent.

        Raises :class:`OSError` when the connection is broken, :class:`SharedFileShrunkError` when the file is too
        short.
        """
        output = self.protocol.output
        total = 0
        self.send_blocked = False
        try:
            while output and total < budget:
                head = output[0]
                if isinstance(head, FileSpan):
                    count = os.sendfile(
                        self.sock.fileno(), head.descriptor, head.offset, min(head.length, budget - total)
                    )
                    if not count:
                        raise SharedFileShrunkError("the file became shorter than it was when it was hashed")
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
        self.sent_bytes += total
        return total

    def _send_bytes(self) -> int:
        output = self.protocol.output
        buffers: list[bytes] = []
        more = 0
        for item in output:
            if isinstance(item, FileSpan):
                # The block's data follows at once: its 13 bytes of head need no packet of their own.
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
