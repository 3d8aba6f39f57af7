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
    from torrentnet.wire.udp.packets import Endpoint

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
    """A socket, the conversation over it, and the serving side; a download keeps its own side by this object."""

    def __init__(
        self, sock: socket.socket, endpoint: Endpoint, conversation: PeerProtocol, store: FileStore | None, now: float
    ) -> None:
        self.link = Transport(sock, endpoint, conversation)
        self.conversation = conversation
        self.endpoint = endpoint
        """The other end's address of this connection; who opened it has another port than it listens on."""
        self.upload = Upload(conversation, store, now)
        self.writing = False
        """Whether the loop waits for room to write."""
        self._left = 0
        self._left_at = self._less_at = now

    @property
    def wealth(self) -> int:
        """See :class:`torrentnet.peer.scheduling.choker.WaitingPeer`."""
        return self.upload.wealth

    @property
    def waits_since(self) -> float:
        """See :class:`torrentnet.peer.scheduling.choker.WaitingPeer`."""
        return self.upload.waits_since

    @property
    def served(self) -> int:
        """See :class:`torrentnet.peer.scheduling.fair_queue.Receiver`."""
        return self.link.sent

    def begin_turns(self) -> None:
        """From now on pieces are sent in turns."""
        self.upload.in_turns = True
        self.upload.high_water = TURN_HIGH_WATER

    def unacknowledged(self, now: float) -> int:
        """Bytes of what was sent that the other end has not acknowledged (SIOCOUTQ, see tcp(7))."""
        left = self._ask(termios.TIOCOUTQ)
        if left != self._left or not left or now - self._left_at > STALL_TIMEOUT:
            # Who was not looked at for long may have had any number of them meanwhile.
            self._less_at = now
        self._left, self._left_at = left, now
        return left

    def unsent(self) -> int:
        """Bytes that wait in the socket because TCP does not let them go yet: its path is the narrow one."""
        return self._ask(SIOCOUTQNSD)

    def in_queue(self, left: int) -> int:
        """Of ``left`` bytes that are unacknowledged those, roughly, that wait in this machine for the uplink."""
        known = self.link.sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size)
        if len(known) < _MEMINFO.size:
            return left
        below: int = _MEMINFO.unpack(known)[_WMEM_ALLOC]
        return min(left, below)

    def _ask(self, what: int) -> int:
        return int.from_bytes(fcntl.ioctl(self.link.sock, what, _INT_BUFFER), sys.byteorder)

    def stalled(self, now: float) -> bool:
        """Whether it has taken nothing for a while of what the kernel has for it."""
        return self.unacknowledged(now) > 0 and now - self._less_at > STALL_TIMEOUT
