"""The single strategy's connection to its source."""

from __future__ import annotations

import selectors
import socket
from typing import TYPE_CHECKING, Final

from torrentnet.peer.scheduling.message_budget import MessageBudget
from torrentnet.peer.transfer.dialer import Dialer
from torrentnet.peer.transfer.protocol import PeerProtocol
from torrentnet.peer.transfer.transport import Transport
from torrentnet.runtime.system import MACHINE
from torrentnet.wire.errors import RemoteError, os_error_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.runtime.system import System
    from torrentnet.wire.endpoint import Endpoint

RECEIVE_BUFFER_SIZE: Final = 1024 * 1024
RECEIVES_PER_WAKEUP: Final = 8
EVENTS_PER_TURN: Final = 1024
"""Messages that are handled before the loop does something else."""
MAX_LOW_WATER: Final = 2 * 1024 * 1024
"""Bytes that the kernel collects before it wakes the loop, if as many are expected."""
LOW_WATER_TIMEOUT: Final = 0.2
"""Seconds after which fewer bytes are received, too: a short message must not wait forever."""
BULK_THRESHOLD: Final = 64 * 1024
"""Bytes in one wake-up from which the kernel collects more for the next one."""
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
        self._peer_id = peer_id
        self._on_connected = on_connected
        self._on_event = on_event
        self._on_failed = on_failed
        self._expected_bytes = expected_bytes
        self._low_water = 1
        self._low_water_until: float | None = None
        self._transport: Transport | None = None
        self._endpoint: Endpoint | None = None
        self.refused_by: Endpoint | None = None
        """The last endpoint, if it closed the connection before its own handshake."""
        self._budget = MessageBudget(0.0)
        self._info_hash = b""
        self._dialer = Dialer(
            selector, bind_ip, self._on_open, lambda _, reason, now: self._on_failed(reason, now), system
        )

    def open(self, endpoint: Endpoint, info_hash: bytes, timeout: float, now: float) -> None:
        """Start to connect; an immediate error is reported by the next :meth:`tick`."""
        self.close()
        self._info_hash, self._endpoint, self.refused_by = info_hash, endpoint, None
        self._dialer.dial(endpoint, now, timeout)

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._dialer.close()
        if self._transport is not None:
            self._selector.unregister(self._transport.sock)
            self._transport.close()
            self._transport = self._low_water_until = None
            self._low_water = 1

    def due(self) -> float | None:
        """Return when to call :meth:`tick` next."""
        if self._transport is None:
            return self._dialer.due()
        return 0.0 if self._transport.has_events_left else self._low_water_until

    def tick(self, now: float) -> None:
        """Handle timeouts and send the output."""
        self._dialer.tick(now)
        if self._transport is not None and self._transport.has_events_left:
            self._on_ready(selectors.EVENT_READ, now)
        if self._low_water_until is not None and now >= self._low_water_until:
            self._set_low_water(0, now)
        if self._transport is not None and self._transport.protocol.pending_bytes:
            self._flush(self._transport, now)

    def _flush(self, transport: Transport, now: float) -> None:
        try:
            transport.flush(_NO_BUDGET)
        except OSError as error:
            self._fail(os_error_text(error), now)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if transport.protocol.pending_bytes else 0)
        key = self._selector.get_key(transport.sock)
        if key.events != events:
            self._selector.modify(transport.sock, events, key.data)

    def _on_open(self, sock: socket.socket, _: Endpoint, now: float) -> None:
        protocol = PeerProtocol(self._info_hash, self._peer_id, initiator=True, buffer_size=RECEIVE_BUFFER_SIZE)
        self._transport = Transport(sock, protocol, self._system)
        self._budget = MessageBudget(now)
        self._selector.register(sock, selectors.EVENT_READ, self._on_ready)
        self._on_connected(protocol, now)

    def _on_ready(self, mask: int, now: float) -> None:
        transport = self._transport
        assert transport is not None
        if mask & selectors.EVENT_WRITE:
            self._flush(transport, now)
        if not mask & selectors.EVENT_READ:
            return
        before, left = transport.protocol.received_bytes, EVENTS_PER_TURN
        try:
            for event in transport.receive_events(RECEIVES_PER_WAKEUP):
                self._budget.spend(event, now)
                self._on_event(event, now)
                if self._transport is not transport:
                    return
                left -= 1
                if not left:
                    transport.has_events_left = True
                    break
            self._set_low_water(transport.protocol.received_bytes - before, now)
        except RemoteError as error:
            self._fail(error.message, now)
        except OSError as error:
            self._fail(os_error_text(error), now)

    def _set_low_water(self, count: int, now: float) -> None:
        """Make the kernel collect bytes if the last wake-up received many, ``count``.

        Many processes that wake up for few bytes take the CPU and its caches from each other.
        """
        assert self._transport is not None
        low = 1
        if count >= BULK_THRESHOLD:
            low = max(1, min(MAX_LOW_WATER, self._expected_bytes() - self._transport.protocol.partial_message_bytes))
        if low != self._low_water:
            self._low_water = low
            self._transport.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, low)
        self._low_water_until = now + LOW_WATER_TIMEOUT if low > 1 else None

    def _fail(self, reason: str, now: float) -> None:
        if self._transport is not None and self._transport.protocol.remote_handshake is None:
            self.refused_by = self._endpoint
        self.close()
        self._on_failed(reason, now)
