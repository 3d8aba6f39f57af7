"""The sender of all connections' output within the limits.

The limits are the rate limit, the kernel's room, and the choker's turns.

Tested by tests/unit/peer/transfer/test_connection_manager.py.
"""

from __future__ import annotations

import selectors
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from torrentnet.peer.scheduling.fair_queue import FairQueue, coalesce_delay
from torrentnet.peer.transfer.transport import SharedFileShrunkError
from torrentnet.wire.errors import os_error_text

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from torrentnet.peer.scheduling.rate_limit import RateLimit
    from torrentnet.peer.transfer.connection import Connection
    from torrentnet.peer.transfer.uplink import Uplink

TURN_INTERVAL: Final = 0.25
"""Between two checks for new turns while choking."""


@dataclass(slots=True)
class Sender:
    """The sending side of ``connections``, the manager's own dictionary."""

    connections: dict[socket.socket, Connection]
    selector: selectors.BaseSelector
    rate_limit: RateLimit
    uplink: Uplink
    close: Callable[[Connection, str, float], None]
    """Close a broken connection, with a reason and the time."""
    on_event: Callable[[Connection, int, float], None]
    """Handle a socket that is ready: its connection, the selector's mask, and the time."""
    on_file_shrunk: Callable[[str], None]
    """Report with a message that the shared file has become too short."""
    sent_bytes: int = 0
    """Total bytes sent to all remote peers."""
    _receivers: FairQueue[Connection] = field(default_factory=FairQueue)
    _tokens_at: float | None = None
    _room_at: float | None = None

    @property
    def choking(self) -> bool:
        """Whether pieces are sent in the choker's turns."""
        return self.uplink.choking

    def enable_choking(self) -> None:
        """From now on, send pieces in the choker's turns."""
        if not self.uplink.choking:
            self.uplink.choking = True
            for connection in self.connections.values():
                connection.enable_choking()

    def due(self, now: float) -> float | None:
        """Return when to call :meth:`tick` and :meth:`grant_turns` next."""
        times = [at for at in (self._tokens_at, self._room_at, self._receivers.due()) if at is not None]
        if self.uplink.choking:
            times.append(now if self.uplink.more_turns_due else now + TURN_INTERVAL)
        return min(times, default=None)

    def tick(self, now: float) -> None:
        """Send what the rate limit or a full kernel queue held back."""
        count = len(self.connections)
        for connection in self._receivers.take_all() if self.uplink.choking else self._receivers.take(count, now):
            self.flush(connection, now)
        if self._tokens_at is not None and now >= self._tokens_at:
            self._tokens_at = None
            self._share_tokens(now)
        if self._room_at is not None and now >= self._room_at:
            self._room_at = None
            for connection in self.uplink.line:
                self.flush(connection, now)

    def grant_turns(self, now: float) -> None:
        """While choking, grant the next turns and send them."""
        if self.uplink.choking:
            for connection in self.uplink.grant_turns(self.connections.values(), now):
                if not connection.wants_write:
                    self.flush(connection, now)

    def on_ready(self, connection: Connection, now: float) -> None:
        """Send soon to a connection that is writable or has new requests."""
        if not connection.upload.has_requests and not connection.protocol.has_block_data:
            # Messages without block data are sent at once.
            self.flush(connection, now)
            return
        count = len(self.connections)
        self._receivers.add(connection, count, now)
        if connection.wants_write and coalesce_delay(count) and not self.uplink.choking:
            # Until then, the selector would report the socket again and again.
            connection.wants_write = False
            self.update_interest(connection)

    def forget(self, connection: Connection) -> None:
        """Forget a connection that has been closed."""
        self.uplink.forget(connection)
        self._receivers.forget(connection)

    def flush_all(self, now: float) -> None:
        """Send the output of all connections."""
        for connection in list(self.connections.values()):
            if connection.protocol.pending_bytes and not connection.wants_write:
                self.flush(connection, now)

    def flush(self, connection: Connection, now: float, share: int = 1) -> None:
        """Send a connection's output within the limits.

        The limits are the connection's turn, its share of the rate limit, and the room in the kernel.
        """
        if connection.transport.sock not in self.connections:
            return
        upload, protocol = connection.upload, connection.protocol
        budget = self.rate_limit.budget(now)
        if share > 1:
            budget = max(1024, budget // share) if budget else 0
        count = 0
        held_back = False
        if protocol.pending_bytes and self.uplink.choking:
            # In a packet with the other output.
            upload.send_haves()
        try:
            self._fill_output(connection, now)
            # Until the socket is full, the budget is used up, or there is no output.
            while count < budget and protocol.pending_bytes:
                room = self.uplink.room(connection, now) if protocol.has_block_data else None
                if room is not None and room <= 0:
                    held_back = True
                    break
                sent = connection.transport.flush(budget - count if room is None else min(room, budget - count))
                self.uplink.sent(connection, sent)
                count += sent
                self._fill_output(connection, now)
                if not sent or connection.transport.send_blocked:
                    break
        except SharedFileShrunkError as error:
            self.close(connection, error.message, now)
            self.on_file_shrunk(error.message)
            return
        except OSError as error:
            self.close(connection, os_error_text(error), now)
            return
        self.sent_bytes += count
        self.rate_limit.spend(count)
        has_output = self._has_output(connection, now)
        if has_output and (held_back or (count >= budget and self.rate_limit.pause())):
            # A timer resumes sending, not the socket, which is writable all the time.
            if held_back:
                self._room_at = min(self._room_at or now + 60, now + self.uplink.poll_interval)
            else:
                self._tokens_at = min(self._tokens_at or now + 60, now + self.rate_limit.pause())
            has_output = False
        if has_output != connection.wants_write:
            connection.wants_write = has_output
            self.update_interest(connection)

    def _fill_output(self, connection: Connection, now: float) -> None:
        if connection.upload.can_send and self.uplink.may_send(connection, now):
            connection.upload.fill_output()

    def _has_output(self, connection: Connection, now: float) -> bool:
        upload = connection.upload
        return connection.protocol.pending_bytes > 0 or (upload.can_send and self.uplink.may_send(connection, now))

    def _share_tokens(self, now: float) -> None:
        waiting = [connection for connection in self.connections.values() if self._has_output(connection, now)]
        for connection in waiting:
            self.flush(connection, now, share=len(waiting))
        # The connections served last in this round come first in the next.
        for connection in waiting[: len(waiting) // 2]:
            if connection.transport.sock in self.connections:
                self.connections[connection.transport.sock] = self.connections.pop(connection.transport.sock)

    def update_interest(self, connection: Connection) -> None:
        """Let the loop wait for what a connection wants."""
        sock, read, write = connection.transport.sock, connection.wants_read, connection.wants_write
        events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        key = self.selector.get_map().get(sock)
        if not events:
            if key is not None:
                self.selector.unregister(sock)
        elif key is None:
            self.selector.register(sock, events, lambda mask, at: self.on_event(connection, mask, at))
        elif key.events != events:
            self.selector.modify(sock, events, key.data)
