"""One open TCP connection to another peer, whoever opened it, with what is served over it."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from torrentnet.peer.link import Link
from torrentnet.peer.upload import Upload

if TYPE_CHECKING:
    from torrentnet.peer.conversation import Conversation
    from torrentnet.peer.storage import FileStore
    from torrentnet.wire.udp import Endpoint

TCP_NOTSENT_LOWAT = 25
"""Linux's number, which Python's socket module does not name."""
LEAST_UNSENT, MOST_UNSENT = 8 * 1024, 1024 * 1024
FIRST_UNSENT = 64 * 1024
UNSENT_SECONDS = 0.02
SO_MAX_PACING_RATE = 47
"""Linux's number, as above."""
PACING = 2.0
"""How much faster than its uplink a connection may send: enough to notice a faster one, too little to fill a queue."""
LEAST_PACING, MAX_PACING = 128 * 1024, 2**31 - 1
STALLED_AFTER = 0.5
"""Seconds without a byte taken after which a connection holds up no other one's turn."""


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
        self.moved_at = now
        """When a byte was last taken off our hands, or nothing waited."""
        self._paced_for = -1.0

    @property
    def wealth(self) -> int:
        """See :class:`torrentnet.peer.turns.Waiting`."""
        return self.upload.wealth

    @property
    def waits_since(self) -> float:
        """See :class:`torrentnet.peer.turns.Waiting`."""
        return self.upload.waits_since

    def stalled(self, now: float) -> bool:
        """Whether it has taken nothing for a while of what waits for it."""
        return self.conversation.waiting > 0 and now - self.moved_at > STALLED_AFTER

    def keep_queues_short(self, rate: float) -> None:
        """Let the kernel take no more ahead than leaves in a moment: what is decided later can still be said first.

        ``rate`` is what this peer can send, in bytes a second; 0 where it is not known yet. Congestion controls that
        guess a path's rate from how fast a burst went through (BBR) fill the queue of a slow uplink many times over
        when what they send comes piece by piece; a bound on the pacing rate also bounds what waits below the socket
        (TCP small queues). Where the kernel has no such options, decisions are only coarser.
        """
        if self._paced_for * 0.8 <= rate <= self._paced_for * 1.25:
            return
        self._paced_for = rate
        unsent = round(min(max(rate * UNSENT_SECONDS, LEAST_UNSENT), MOST_UNSENT)) if rate else FIRST_UNSENT
        self.upload.high_water = unsent
        with contextlib.suppress(OSError):
            self.link.sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent)
            if rate:
                pace = round(min(max(rate * PACING, LEAST_PACING), MAX_PACING))
                self.link.sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, pace)
