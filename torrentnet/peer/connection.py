"""One open TCP connection to another peer, whoever opened it, with what is served over it."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
from typing import TYPE_CHECKING

from torrentnet.peer.link import Link
from torrentnet.peer.upload import Upload

if TYPE_CHECKING:
    from torrentnet.peer.conversation import Conversation
    from torrentnet.peer.storage import FileStore
    from torrentnet.wire.udp import Endpoint

STALLED_AFTER = 0.5
"""Seconds without a byte acknowledged after which a connection holds up no other one's turn."""
WORDS_BETWEEN = 16 * 1024
"""Bytes on their way out past which requests wait where turns are taken: what is said meanwhile comes right after."""
ROUND_TRIP_FOR = 1.0
"""Seconds for which a round trip that was looked up is good."""
_MIN_RTT = struct.Struct("=I")
_MIN_RTT_AT = 148
"""Where Linux's ``struct tcp_info`` has the least round trip of a connection, in microseconds."""


class Connection:
    """A socket, the conversation over it, and the serving side; a download keeps its own side by this object."""

    def __init__(
        self, sock: socket.socket, endpoint: Endpoint, conversation: Conversation, store: FileStore | None, now: float
    ) -> None:
        self.link = Link(sock, endpoint, conversation)
        self.conversation = conversation
        self.endpoint = endpoint
        """The other end's address of this connection; who opened it has another port than it listens on."""
        self.upload = Upload(conversation, store, now)
        self.writing = False
        """Whether the loop waits for room to write."""
        self._left = 0
        self._left_at = self._less_at = now
        self._round_trip, self._round_trip_at = 0.0, now - ROUND_TRIP_FOR

    @property
    def wealth(self) -> int:
        """See :class:`torrentnet.peer.turns.Waiting`."""
        return self.upload.wealth

    @property
    def waits_since(self) -> float:
        """See :class:`torrentnet.peer.turns.Waiting`."""
        return self.upload.waits_since

    def begin_turns(self) -> None:
        """From now on pieces are sent in turns."""
        self.upload.in_turns = True
        self.upload.high_water = WORDS_BETWEEN

    def unacknowledged(self, now: float) -> int:
        """Bytes of what was sent that the other end has not acknowledged (SIOCOUTQ, see tcp(7))."""
        left = int.from_bytes(fcntl.ioctl(self.link.sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        if left != self._left or not left or now - self._left_at > STALLED_AFTER:
            # Who was not looked at for long may have had any number of them meanwhile.
            self._less_at = now
        self._left, self._left_at = left, now
        return left

    def stalled(self, now: float) -> bool:
        """Whether it has taken nothing for a while of what the kernel has for it."""
        return self.unacknowledged(now) > 0 and now - self._less_at > STALLED_AFTER

    def round_trip(self, now: float) -> float:
        """The least round trip of late, in seconds, without what queues add to it."""
        if now - self._round_trip_at >= ROUND_TRIP_FOR:
            self._round_trip_at = now
            size = _MIN_RTT_AT + _MIN_RTT.size
            known = self.link.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
            self._round_trip = _MIN_RTT.unpack_from(known, _MIN_RTT_AT)[0] / 1e6 if len(known) == size else 0.0
        return self._round_trip
