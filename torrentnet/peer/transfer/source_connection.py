"""The one connection that a download opens itself: connect, receive in bulk, and tell when it breaks."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from typing import TYPE_CHECKING

from torrentnet.peer.transfer.dialer import CONNECT_TIMEOUT, begin_connect
from torrentnet.peer.transfer.protocol import PeerProtocol
from torrentnet.peer.transfer.transport import Transport
from torrentnet.wire.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.wire.udp.packets import Endpoint

RECEIVE_BUFFER_SIZE = 1024 * 1024
"""Bytes of the buffer that is received into."""
RECEIVES_PER_WAKEUP = 8
MAX_LOW_WATER = 2 * 1024 * 1024
"""Bytes that wait for us in the kernel before it wakes us up, where more of them are sure to come."""
LOW_WATER_TIMEOUT = 0.2
"""Seconds that anything waits for more at most: a word in between must not wait for ever."""
BULK_THRESHOLD = 64 * 1024
"""Bytes at a turn from which on it is worth to wait for more."""
_NO_BUDGET = 1 << 30


class SourceConnection:
    """Connects to one endpoint at a time. The three callbacks are called from the loop.

    ``connected(conversation, now)``, ``heard(event, now)``, and ``failed(reason, now)``, after which the connection
    is closed. ``expected()`` is how many bytes of blocks have been asked for and are not wholly here.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        bind_ip: str,
        peer_id: bytes,
        connected: Callable[[PeerProtocol, float], None],
        heard: Callable[[PeerProtocolEvent, float], None],
        failed: Callable[[str, float], None],
        expected: Callable[[], int],
    ) -> None:
        self._selector = selector
        self._bind_ip = bind_ip
        self._peer_id = peer_id
        self._connected = connected
        self._heard = heard
        self._failed = failed
        self._expected = expected
        self._low = 1
        self._look_at: float | None = None
        self._sock: socket.socket | None = None
        self._link: Transport | None = None
        self._endpoint: Endpoint | None = None
        self._info_hash = b""
        self._deadline: float | None = None
        self._problem: str | None = None

    def open(self, endpoint: Endpoint, info_hash: bytes, timeout: float, now: float) -> None:
        """Begin to connect; an error that shows at once is told at the next :meth:`tick`."""
        self.close()
        self._endpoint, self._info_hash = endpoint, info_hash
        self._deadline = now + min(timeout, CONNECT_TIMEOUT)
        self._sock, problem = begin_connect(self._bind_ip, endpoint)
        if problem:
            self._problem = problem
            self._deadline = now
            return
        self._selector.register(self._sock, selectors.EVENT_WRITE, self._opened)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._sock is None:
            return
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._sock)
        self._sock.close()
        self._sock = self._link = self._deadline = self._problem = self._look_at = None
        self._low = 1

    def due(self) -> float | None:
        """When :meth:`tick` is to be called next."""
        return self._look_at if self._deadline is None else self._deadline

    def tick(self, now: float) -> None:
        """Look at the clock, and send what waits."""
        if self._deadline is not None and now >= self._deadline:
            self._break(self._problem or "no connection: it does not answer", now)
        if self._look_at is not None and now >= self._look_at:
            self._gather(0, now)
        if self._link is not None and self._link.conversation.waiting:
            self._flush(self._link, now)

    def _flush(self, link: Transport, now: float) -> None:
        assert self._sock is not None
        try:
            link.flush(_NO_BUDGET)
        except OSError as error:
            self._break(_describe_error(error), now)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.conversation.waiting else 0)
        key = self._selector.get_key(self._sock)
        if key.events != events:
            self._selector.modify(self._sock, events, key.data)

    def _opened(self, _: int, now: float) -> None:
        assert self._sock is not None
        assert self._endpoint is not None
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._break(os.strerror(code).lower(), now)
            return
        self._deadline = None
        conversation = PeerProtocol(self._info_hash, self._peer_id, initiator=True, bulk=RECEIVE_BUFFER_SIZE)
        self._link = Transport(self._sock, self._endpoint, conversation)
        self._selector.modify(self._sock, selectors.EVENT_READ, self._ready)
        self._connected(conversation, now)

    def _ready(self, mask: int, now: float) -> None:
        link = self._link
        assert link is not None
        if mask & selectors.EVENT_WRITE:
            self._flush(link, now)
        if not mask & selectors.EVENT_READ:
            return
        before = link.conversation.received_bytes
        try:
            for _ in range(RECEIVES_PER_WAKEUP):
                count = link.receive()
                if count is None:
                    break
                if not count:
                    self._break("closed the connection", now)
                    return
                for event in link.conversation.received(count):
                    self._heard(event, now)
                    if self._link is not link:
                        return
                if link.drained:
                    break
            self._gather(link.conversation.received_bytes - before, now)
        except RemoteError as error:
            self._break(error.message, now)
        except OSError as error:
            self._break(_describe_error(error), now)

    def _gather(self, count: int, now: float) -> None:
        """Let the kernel wake us up for much at a time, where ``count`` bytes have come at once.

        Many who wake up for little take the processor and its caches from each other.
        """
        assert self._sock is not None
        assert self._link is not None
        low = 1
        if count >= BULK_THRESHOLD:
            low = max(1, min(MAX_LOW_WATER, self._expected() - self._link.conversation.begun))
        if low != self._low:
            self._low = low
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, low)
        self._look_at = now + LOW_WATER_TIMEOUT if low > 1 else None

    def _break(self, reason: str, now: float) -> None:
        self.close()
        self._failed(reason, now)


def _describe_error(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)
