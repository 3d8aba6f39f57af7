"""One open TCP connection to another peer, whoever opened it, with what is served over it."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
from typing import TYPE_CHECKING

from torrentnet.peer.transfer.transport import Transport
from torrentnet.peer.transfer.upload import Upload

if TYPE_CHECKING:
    from torrentnet.peer.storage.file_store import FileStore
    from torrentnet.peer.transfer.protocol import PeerProtocol
    from torrentnet.wire.endpoint import Endpoint

STALL_TIMEOUT = 0.5
"""Seconds without a byte acknowledged after which a connection holds up no other one's turn."""
TURN_HIGH_WATER = 16 * 1024
"""Bytes on their way out past which requests wait where turns are taken: what is said meanwhile comes right after."""
SIOCOUTQNSD = 0x894B
SO_MEMINFO = 55
"""Linux's numbers, which Python's modules do not name."""
_MEMINFO = struct.Struct("=9I")
_WMEM_ALLOC = 2
"""Where the memory of packets is that have left TCP and not this machine (``SK_MEMINFO_WMEM_ALLOC``)."""
_INT_BUFFER = bytes(4)


class Connection:
    """A socket, the protocol over it, and the serving side; a download keeps its own side by this object."""

    def __init__(
        self, sock: socket.socket, endpoint: Endpoint, protocol: PeerProtocol, store: FileStore | None, now: float
    ) -> None:
        self.transport = Transport(sock, endpoint, protocol)
        self.protocol = protocol
        self.endpoint = endpoint
        """The other end's address of this connection; who opened it has another port than it listens on."""
        self.upload = Upload(protocol, store, now)
        self.wants_write = False
        """Whether the loop waits for room to write."""
        self._unacknowledged = 0
        self._checked_at = self._progress_at = now

    @property
    def pieces_held(self) -> int:
        """See :class:`torrentnet.peer.scheduling.choker.WaitingPeer`."""
        return self.upload.pieces_held

    @property
    def waiting_since(self) -> float:
        """See :class:`torrentnet.peer.scheduling.choker.WaitingPeer`."""
        return self.upload.waiting_since

    @property
    def bytes_sent(self) -> int:
        """See :class:`torrentnet.peer.scheduling.fair_queue.Receiver`."""
        return self.transport.sent_bytes

    def enable_choking(self) -> None:
        """From now on pieces are sent in turns."""
        self.upload.choking = True
        self.upload.high_water = TURN_HIGH_WATER

    def unacknowledged_bytes(self, now: float) -> int:
        """Bytes of what was sent that the other end has not acknowledged (SIOCOUTQ, see tcp(7))."""
        left = self._query(termios.TIOCOUTQ)
        if left != self._unacknowledged or not left or now - self._checked_at > STALL_TIMEOUT:
            # Who was not looked at for long may have had any number of them meanwhile.
            self._progress_at = now
        self._unacknowledged, self._checked_at = left, now
        return left

    def unsent_bytes(self) -> int:
        """Bytes that wait in the socket because TCP does not let them go yet: its path is the narrow one."""
        return self._query(SIOCOUTQNSD)

    def queued_on_host(self, unacknowledged: int) -> int:
        """Of ``left`` bytes that are unacknowledged those, roughly, that wait in this machine for the uplink."""
        known = self.transport.sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size)
        if len(known) < _MEMINFO.size:
            return unacknowledged
        below: int = _MEMINFO.unpack(known)[_WMEM_ALLOC]
        return min(unacknowledged, below)

    def _query(self, request: int) -> int:
        return int.from_bytes(fcntl.ioctl(self.transport.sock, request, _INT_BUFFER), sys.byteorder)

    def is_stalled(self, now: float) -> bool:
        """Whether it has taken nothing for a while of what the kernel has for it."""
        return self.unacknowledged_bytes(now) > 0 and now - self._progress_at > STALL_TIMEOUT
