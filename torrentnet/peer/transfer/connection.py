"""A TCP connection to a remote peer, with its upload side and kernel queues.

Tested by tests/unit/peer/transfer/test_connection_manager.py.
"""

from __future__ import annotations

import socket
import struct
import termios
from typing import TYPE_CHECKING, Final

from torrentnet.peer.scheduling.message_budget import MessageBudget
from torrentnet.peer.transfer.transport import Transport
from torrentnet.peer.transfer.upload import Upload
from torrentnet.runtime.system import MACHINE

if TYPE_CHECKING:
    from torrentnet.peer.storage.file_store import FileStore
    from torrentnet.peer.transfer.protocol import PeerProtocol
    from torrentnet.runtime.system import System
    from torrentnet.wire.endpoint import Endpoint

STALL_TIMEOUT: Final = 0.5
"""Seconds without an acknowledged byte after which other connections no longer wait for this one."""
TURN_HIGH_WATER: Final = 16 * 1024
"""Bytes of queued output above which requests wait while choking: a message is then sent right after it is queued."""
SIOCOUTQNSD: Final = 0x894B
"""Linux's ioctl for the unsent bytes of a TCP socket; Python does not name it."""
SO_MEMINFO: Final = 55
"""Linux's socket option for the memory of a socket; Python does not name it."""
_MEMINFO: Final = struct.Struct("=9I")
_WMEM_ALLOC: Final = 2
"""Index of the bytes that have left TCP but not this machine (``SK_MEMINFO_WMEM_ALLOC``)."""


class Connection:
    """A transport, its protocol and its upload side.

    A download keeps its own state per connection.
    """

    def __init__(
        self,
        sock: socket.socket,
        endpoint: Endpoint,
        protocol: PeerProtocol,
        store: FileStore | None,
        now: float,
        system: System = MACHINE,
    ) -> None:
        self.transport = Transport(sock, protocol, system)
        self._socket_counter = system.socket_counter
        self.protocol = protocol
        self.endpoint = endpoint
        """The remote end; not the port that the remote peer listens on, if it has opened the connection."""
        self.upload = Upload(protocol, store, now)
        self.budget = MessageBudget(now)
        self.wants_write = False
        """Whether the loop waits until the socket is writable."""
        self.wants_read = True
        """Whether the loop waits for data from the remote peer."""
        self._unacknowledged = 0
        self._checked_at = self._progress_at = now

    @property
    def pieces_held(self) -> int:
        """See :class:`~torrentnet.peer.scheduling.choker.WaitingPeer`."""
        return self.upload.pieces_held

    @property
    def waiting_since(self) -> float:
        """See :class:`~torrentnet.peer.scheduling.choker.WaitingPeer`."""
        return self.upload.waiting_since

    @property
    def bytes_sent(self) -> int:
        """See :class:`~torrentnet.peer.scheduling.fair_queue.Receiver`."""
        return self.protocol.sent_bytes

    def enable_choking(self) -> None:
        """From now on, send a piece only when the choker grants a turn."""
        self.upload.choking = True
        self.upload.high_water = TURN_HIGH_WATER

    def unacknowledged_bytes(self, now: float) -> int:
        """Return the number of sent bytes that the remote host has not acknowledged.

        The number is read from the kernel (SIOCOUTQ, tcp(7)).
        """
        count = self._socket_counter(self.transport.sock, termios.TIOCOUTQ)
        if count != self._unacknowledged or not count or now - self._checked_at > STALL_TIMEOUT:
            # Bytes may have been acknowledged, and others sent, since a check long ago.
            self._progress_at = now
        self._unacknowledged, self._checked_at = count, now
        return count

    def unsent_bytes(self) -> int:
        """Return the number of bytes that TCP has not sent yet.

        If there are any, the path to this peer is the bottleneck.
        """
        return self._socket_counter(self.transport.sock, SIOCOUTQNSD)

    def queued_on_host(self, unacknowledged: int) -> int:
        """Estimate how many unacknowledged bytes wait in this machine for the uplink."""
        info = self.transport.sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size)
        if len(info) < _MEMINFO.size:
            return unacknowledged
        allocated: int = _MEMINFO.unpack(info)[_WMEM_ALLOC]
        return min(unacknowledged, allocated)

    def is_stalled(self, now: float) -> bool:
        """Whether the remote host has acknowledged none of its bytes for a while."""
        return self.unacknowledged_bytes(now) > 0 and now - self._progress_at > STALL_TIMEOUT
