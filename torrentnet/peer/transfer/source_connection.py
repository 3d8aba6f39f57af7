"""The single strategy's connection to its source: connect, receive in bulk, report failures."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from typing import TYPE_CHECKING, Final

from torrentnet.peer.transfer.dialer import CONNECT_TIMED_OUT, CONNECT_TIMEOUT, begin_connect
from torrentnet.peer.transfer.protocol import PeerProtocol
from torrentnet.peer.transfer.transport import Transport
from torrentnet.runtime.system import MACHINE
from torrentnet.wire.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.runtime.system import System
    from torrentnet.wire.endpoint import Endpoint

RECEIVE_BUFFER_SIZE: Final = 1024 * 1024
RECEIVES_PER_WAKEUP: Final = 8
MAX_LOW_WATER: Final = 2 * 1024 * 1024
"""Received bytes for which the kernel waits before it wakes the loop, when as many are expected."""
LOW_WATER_TIMEOUT: Final = 0.2
"""Seconds after which fewer bytes are received, too: a short message must not wait forever."""
BULK_THRESHOLD: Final = 64 * 1024
"""Bytes per wake-up from which waiting for more is worthwhile."""
_NO_BUDGET: Final = 1 << 30


class SourceConnection:
    """A connection to one endpoint at a time.

    The callbacks are called from the loop: ``on_connected(protocol, now)``, ``on_event(event, now)``, and
    ``on_failed(reason, now)`` after the connection was closed. ``expected_bytes()`` returns how many bytes of requested
    blocks have not been received.
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
        system: System = MACHINE,
    ) -> None:
        self._system = system
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
        self._info_hash = b""
        self._deadline: float | None = None
        self._connect_error: str | None = None

    def open(self, endpoint: Endpoint, info_hash: bytes, timeout: float, now: float) -> None:
        """Start to connect; an immediate error is reported by the next :meth:`tick`."""
        self.close()
        self._info_hash = info_hash
        self._deadline = now + min(timeout, CONNECT_TIMEOUT)
        self._sock, error_text = begin_connect(self._bind_ip, endpoint, self._system)
        if error_text:
            self._connect_error = error_text
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
        """Return when to call :meth:`tick` next."""
        return self._low_water_until if self._deadline is None else self._deadline

    def tick(self, now: float) -> None:
        """Handle timeouts and send the output."""
        if self._deadline is not None and now >= self._deadline:
            self._fail(self._connect_error or CONNECT_TIMED_OUT, now)
        if self._low_water_until is not None and now >= self._low_water_until:
            self._set_low_water(0, now)
        if self._transport is not None and self._transport.protocol.pending_bytes:
            self._flush(self._transport, now)

    def _flush(self, transport: Transport, now: float) -> None:
        assert self._sock is not None
        try:
            transport.flush(_NO_BUDGET)
        except OSError as error:
            self._fail(_describe_error(error), now)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if transport.protocol.pending_bytes else 0)
        key = self._selector.get_key(self._sock)
        if key.events != events:
            self._selector.modify(self._sock, events, key.data)

    def _on_open(self, _: int, now: float) -> None:
        assert self._sock is not None
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._fail(os.strerror(code).lower(), now)
            return
        self._deadline = None
        protocol = PeerProtocol(self._info_hash, self._peer_id, initiator=True, buffer_size=RECEIVE_BUFFER_SIZE)
        self._transport = Transport(self._sock, protocol, self._system)
        self._selector.modify(self._sock, selectors.EVENT_READ, self._on_ready)
        self._on_connected(protocol, now)

    def _on_ready(self, mask: int, now: float) -> None:
        transport = self._transport
        assert transport is not None
        if mask & selectors.EVENT_WRITE:
            self._flush(transport, now)
        if not mask & selectors.EVENT_READ:
            return
        before = transport.protocol.received_bytes
        try:
            for _ in range(RECEIVES_PER_WAKEUP):
                count = transport.receive()
                if count is None:
                    break
                if not count:
                    self._fail("closed the connection", now)
                    return
                for event in transport.protocol.data_received(count):
                    self._on_event(event, now)
                    if self._transport is not transport:
                        return
                if transport.receive_drained:
                    break
            self._set_low_water(transport.protocol.received_bytes - before, now)
        except RemoteError as error:
            self._fail(error.message, now)
        except OSError as error:
            self._fail(_describe_error(error), now)

    def _set_low_water(self, count: int, now: float) -> None:
        """Make the kernel wake the loop for many bytes at a time, if ``count`` came in one wake-up.

        Many processes that wake up for few bytes take the CPU and its caches from each other.
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
