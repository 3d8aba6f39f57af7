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
    from torrentnet.wire.endpoint import Endpoint

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

    ``connected(protocol, now)``, ``heard(event, now)``, and ``failed(reason, now)``, after which the connection
    is closed. ``expected()`` is how many bytes of blocks have been asked for and are not wholly here.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        bind_ip: str,
        peer_id: bytes,
        on_connected: Callable[[PeerProtocol, float], None],
        on_event: Callable[[PeerProtocolEvent, float], None],
        on_failed: Callable[[str, float], None],
        expected_bytes: Callable[[], int],
    ) -> None:
        self._selector = selector
        self._bind_ip = bind_ip
        self._peer_id = peer_id
        self._on_connected = on_connected
        self._on_event = on_event
        self._on_failed = on_failed
        self._expected_bytes = expected_bytes
        self._low_water = 1
        self._low_water_until: float | None = None
        self._sock: socket.socket | None = None
        self._transport: Transport | None = None
        self._endpoint: Endpoint | None = None
        self._info_hash = b""
        self._deadline: float | None = None
        self._connect_error: str | None = None

    def open(self, endpoint: Endpoint, info_hash: bytes, timeout: float, now: float) -> None:
        """Begin to connect; an error that shows at once is told at the next :meth:`tick`."""
        self.close()
        self._endpoint, self._info_hash = endpoint, info_hash
        self._deadline = now + min(timeout, CONNECT_TIMEOUT)
        self._sock, problem = begin_connect(self._bind_ip, endpoint)
        if problem:
            self._connect_error = problem
            self._deadline = now
            return
        self._selector.register(self._sock, selectors.EVENT_WRITE, self._on_open)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._sock is None:
            return
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._sock)
        self._sock.close()
        self._sock = self._transport = self._deadline = self._connect_error = self._low_water_until = None
        self._low_water = 1

    def due(self) -> float | None:
        """When :meth:`tick` is to be called next."""
        return self._low_water_until if self._deadline is None else self._deadline

    def tick(self, now: float) -> None:
        """Look at the clock, and send what waits."""
        if self._deadline is not None and now >= self._deadline:
            self._fail(self._connect_error or "no connection: it does not answer", now)
        if self._low_water_until is not None and now >= self._low_water_until:
            self._set_low_water(0, now)
        if self._transport is not None and self._transport.protocol.pending_bytes:
            self._flush(self._transport, now)

    def _flush(self, link: Transport, now: float) -> None:
        assert self._sock is not None
        try:
            link.flush(_NO_BUDGET)
        except OSError as error:
            self._fail(_describe_error(error), now)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.protocol.pending_bytes else 0)
        key = self._selector.get_key(self._sock)
        if key.events != events:
            self._selector.modify(self._sock, events, key.data)

    def _on_open(self, _: int, now: float) -> None:
        assert self._sock is not None
        assert self._endpoint is not None
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._fail(os.strerror(code).lower(), now)
            return
        self._deadline = None
        protocol = PeerProtocol(self._info_hash, self._peer_id, initiator=True, buffer_size=RECEIVE_BUFFER_SIZE)
        self._transport = Transport(self._sock, self._endpoint, protocol)
        self._selector.modify(self._sock, selectors.EVENT_READ, self._on_ready)
        self._on_connected(protocol, now)

    def _on_ready(self, mask: int, now: float) -> None:
        link = self._transport
        assert link is not None
        if mask & selectors.EVENT_WRITE:
            self._flush(link, now)
        if not mask & selectors.EVENT_READ:
            return
        before = link.protocol.received_bytes
        try:
            for _ in range(RECEIVES_PER_WAKEUP):
                count = link.receive()
                if count is None:
                    break
                if not count:
                    self._fail("closed the connection", now)
                    return
                for event in link.protocol.data_received(count):
                    self._on_event(event, now)
                    if self._transport is not link:
                        return
                if link.receive_drained:
                    break
            self._set_low_water(link.protocol.received_bytes - before, now)
        except RemoteError as error:
            self._fail(error.message, now)
        except OSError as error:
            self._fail(_describe_error(error), now)

    def _set_low_water(self, count: int, now: float) -> None:
        """Let the kernel wake us up for much at a time, where ``count`` bytes have come at once.

        Many who wake up for little take the processor and its caches from each other.
        """
        assert self._sock is not None
        assert self._transport is not None
        low = 1
        if count >= BULK_THRESHOLD:
            low = max(1, min(MAX_LOW_WATER, self._expected_bytes() - self._transport.protocol.partial_message_bytes))
        if low != self._low_water:
            self._low_water = low
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, low)
        self._low_water_until = now + LOW_WATER_TIMEOUT if low > 1 else None

    def _fail(self, reason: str, now: float) -> None:
        self.close()
        self._on_failed(reason, now)


def _describe_error(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)
