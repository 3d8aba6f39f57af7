"""All connections with remote peers: accept, serve, and close them."""

from __future__ import annotations

import selectors
import socket
from typing import TYPE_CHECKING, Final, Protocol

from torrentnet.peer.scheduling.fair_queue import FairQueue, coalesce_delay
from torrentnet.peer.scheduling.uplink import Uplink
from torrentnet.peer.transfer.connection import Connection
from torrentnet.peer.transfer.protocol import LocalIdentity, PeerProtocol
from torrentnet.peer.transfer.transport import SharedFileShrunkError
from torrentnet.runtime.system import MACHINE
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.errors import PeerProtocolError, RemoteError
from torrentnet.wire.peer.extension_protocol import ExtensionHandshake

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from torrentnet.peer.scheduling.rate_limit import RateLimit
    from torrentnet.peer.storage.file_store import FileStore
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.runtime.system import System

MAX_CONNECTIONS: Final = 400
MAX_PER_IP: Final = 100
"""Connections from one address; a lab on loopback has all its peers on one."""
RECEIVES_PER_WAKEUP: Final = 4
EXPIRY_CHECK_INTERVAL: Final = 1.0
MIN_HAVE_DELAY: Final = 0.03
"""Seconds that a have message waits for others while there are few pieces to announce, or to download."""
HAVE_DELAY: Final = 0.25
"""Seconds that a have message waits for others otherwise."""
HAVE_DELAY_PER_CONNECTION: Final = 0.03
"""Seconds of delay per connection: a packet and its acknowledgement cost ten times the message."""
MAX_HAVE_DELAY: Final = 1.0
FEW_PIECES: Final = 8
"""Pieces up to which a download counts as just begun or nearly complete."""
EXCHANGE_BUFFER_SIZE: Final = 256 * 1024
"""Bytes of a connection's receive buffer while pieces are exchanged."""


class ExchangeHandler(Protocol):
    """The download that uses the same connections."""

    @property
    def info_hash(self) -> bytes:
        """The swarm's info-hash before there is a file to serve; empty while it is unknown."""

    def handle_peer_event(self, connection: Connection, event: PeerProtocolEvent, now: float) -> None:
        """Handle an event after the upload side. A :class:`RemoteError` closes the connection."""

    def connection_closed(self, connection: Connection, reason: str, now: float) -> None:
        """Forget a connection that has been closed."""


class ConnectionManager:
    """Serve one file on all connections.

    ``on_upload_ended(endpoint, bytes, reason)`` reports each closed connection that blocks were sent on,
    ``on_file_shrunk(message)`` that the shared file has become too short.
    """

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        peer_id: bytes,
        rate_limit: RateLimit,
        on_upload_ended: Callable[[Endpoint, int, str], None],
        on_file_shrunk: Callable[[str], None],
        identity: LocalIdentity | None = None,
        rng: random.Random | None = None,
        now: float = 0.0,
        system: System = MACHINE,
    ) -> None:
        self._system = system
        self._listener = listener
        self._selector = selector
        self._peer_id = peer_id
        self._rate_limit = rate_limit
        self._on_upload_ended = on_upload_ended
        self._on_file_shrunk = on_file_shrunk
        self._identity = identity or LocalIdentity()
        self._uplink: Uplink[Connection] = Uplink(rng or system.make_random(None), now)
        self._connections: dict[socket.socket, Connection] = {}
        self._receivers: FairQueue[Connection] = FairQueue()
        self._expiry_check_at = 0.0
        self._tokens_at: float | None = None
        self._room_at: float | None = None
        self._haves_at: float | None = None
        self._store: FileStore | None = None
        self.handler: ExchangeHandler | None = None
        """The download that uses the same connections, if any."""
        self.uploaded_bytes = 0
        """Total bytes sent to all remote peers."""
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def store(self) -> FileStore | None:
        """The served file; None until there is one."""
        return self._store

    @store.setter
    def store(self, store: FileStore | None) -> None:
        if store is self._store or store is None:
            return
        self._store = store
        for connection in list(self._connections.values()):
            try:
                connection.upload.open(store)
            except PeerProtocolError as error:
                self.close_connection(connection, error.message, 0.0)

    def due(self, now: float) -> float | None:
        """Return when to call :meth:`tick` next."""
        times = [self._expiry_check_at] if self._connections else []
        times += [
            at for at in (self._tokens_at, self._room_at, self._haves_at, self._receivers.due()) if at is not None
        ]
        if self._uplink.choking:
            times.append(now if self._uplink.more_turns_due else now + HAVE_DELAY)
        return min(times, default=None)

    def tick(self, now: float) -> None:
        """Send what the limits held back, announce pieces, grant turns, and close expired connections."""
        for connection in self._receivers.take_all() if self._uplink.choking else self._receivers.take(len(self), now):
            self.flush(connection, now)
        if self._tokens_at is not None and now >= self._tokens_at:
            self._tokens_at = None
            self._send_all(now)
        if self._room_at is not None and now >= self._room_at:
            self._room_at = None
            for connection in self._uplink.line:
                self.flush(connection, now)
        if self._haves_at is not None and now >= self._haves_at:
            self._haves_at = None
            for connection in self._connections.values():
                connection.upload.send_haves()
            self.flush_all(now)
        if now >= self._expiry_check_at:
            self._expiry_check_at = now + EXPIRY_CHECK_INTERVAL
            for connection in list(self._connections.values()):
                if reason := connection.upload.expiry_reason(now):
                    self.close_connection(connection, reason, now)
        if self._uplink.choking:
            self._grant_turns(now)

    def announce_piece(self, piece: int, now: float) -> None:
        """Announce a verified piece on all connections, after a short delay together with other pieces."""
        store = self._store
        if store is None or not self._connections:
            return
        for connection in self._connections.values():
            connection.upload.queue_have(piece)
        have, pieces = len(store.held), store.held.size
        later = min(max(HAVE_DELAY, HAVE_DELAY_PER_CONNECTION * len(self._connections)), MAX_HAVE_DELAY)
        at = now + (MIN_HAVE_DELAY if have <= FEW_PIECES or pieces - have <= max(FEW_PIECES, pieces // 12) else later)
        self._haves_at = at if self._haves_at is None else min(self._haves_at, at)

    def flush_all(self, now: float) -> None:
        """Send the output of all connections."""
        for connection in list(self._connections.values()):
            if connection.protocol.pending_bytes and not connection.wants_write:
                self.flush(connection, now)

    def close(self) -> None:
        """Close all connections and the listener."""
        for connection in list(self._connections.values()):
            self.close_connection(connection, "closing", 0.0)
        self._selector.unregister(self._listener)
        self._listener.close()

    def _accept(self, _: int, now: float) -> None:
        for _ in range(MAX_CONNECTIONS):
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # No descriptor is left, or the client has disconnected: the next wake-up retries.
                return
            endpoint = Endpoint(address[0], address[1])
            from_address = sum(connection.endpoint.ip == endpoint.ip for connection in self._connections.values())
            no_file = self._store is None and not (self.handler is not None and self.handler.info_hash)
            if no_file or len(self._connections) >= MAX_CONNECTIONS or from_address >= MAX_PER_IP:
                sock.close()
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.add_connection(sock, endpoint, initiator=False, now=now)

    def add_connection(self, sock: socket.socket, endpoint: Endpoint, *, initiator: bool, now: float) -> Connection:
        """Take over a connected socket. There must be a store or a handler."""
        store = self._store
        info_hash = store.info.info_hash if store is not None else self.handler.info_hash if self.handler else b""
        protocol = PeerProtocol(
            info_hash,
            self._peer_id,
            initiator=initiator,
            pieces=store.info.pieces if store is not None else 0,
            buffer_size=EXCHANGE_BUFFER_SIZE if self.handler is not None else 0,
            identity=self._identity,
        )
        connection = Connection(sock, endpoint, protocol, store, now, self._system)
        if self._uplink.choking:
            connection.enable_choking()
        self._connections[sock] = connection
        self._selector.register(sock, selectors.EVENT_READ, lambda mask, at: self._on_ready(connection, mask, at))
        if protocol.pending_bytes:
            self.flush(connection, now)
        return connection

    def close_connection(self, connection: Connection, reason: str, now: float) -> None:
        """Close a connection; do nothing if it is closed already."""
        if self._connections.pop(connection.transport.sock, None) is None:
            return
        self._uplink.forget(connection)
        self._receivers.forget(connection)
        self._selector.unregister(connection.transport.sock)
        connection.transport.close()
        if self.handler is not None:
            self.handler.connection_closed(connection, reason, now)
        if connection.upload.sent_blocks:
            self._on_upload_ended(connection.endpoint, connection.upload.queued_bytes, reason)

    def _on_ready(self, connection: Connection, mask: int, now: float) -> None:
        if mask & selectors.EVENT_READ:
            try:
                for _ in range(RECEIVES_PER_WAKEUP):
                    count = connection.transport.receive()
                    if count is None:
                        break
                    if not count:
                        self.close_connection(connection, "closed by the remote peer", now)
                        return
                    for event in connection.protocol.data_received(count):
                        self._handle_event(connection, event, now)
                        if connection.transport.sock not in self._connections:
                            return
                    if connection.transport.receive_drained:
                        break
            except (RemoteError, OSError) as error:
                self.close_connection(connection, error.message if isinstance(error, RemoteError) else str(error), now)
                return
        if not connection.upload.has_requests and not connection.protocol.has_block_data:
            # Messages without block data are sent at once.
            self.flush(connection, now)
            return
        self._receivers.add(connection, len(self), now)
        if connection.wants_write and coalesce_delay(len(self)) and not self._uplink.choking:
            # Otherwise, the selector would report the socket again and again meanwhile.
            connection.wants_write = False
            self._set_interest(connection, selectors.EVENT_READ)

    def _handle_event(self, connection: Connection, event: PeerProtocolEvent, now: float) -> None:
        connection.upload.handle(event, now)
        if isinstance(event, ExtensionHandshake) and connection.protocol.remote_uses_credits:
            self._enable_choking()
        if self.handler is not None:
            self.handler.handle_peer_event(connection, event, now)

    def flush(self, connection: Connection, now: float, share: int = 1) -> None:
        """Send a connection's output, within its turn, its share of the rate limit and the room in the kernel."""
        if connection.transport.sock not in self._connections:
            return
        upload, protocol = connection.upload, connection.protocol
        budget = self._rate_limit.budget(now)
        if share > 1:
            budget = max(1024, budget // share) if budget else 0
        count = 0
        held_back = False
        if protocol.pending_bytes and self._uplink.choking:
            # The have messages share a packet with the other output.
            upload.send_haves()
        try:
            self._fill_output(connection, now)
            # Until the socket is full, the budget is used up, or there is no output.
            while count < budget and protocol.pending_bytes:
                room = self._uplink.room(connection, now) if protocol.has_block_data else None
                if room is not None and room <= 0:
                    held_back = True
                    break
                sent = connection.transport.flush(budget - count if room is None else min(room, budget - count))
                self._uplink.sent(connection, sent)
                count += sent
                self._fill_output(connection, now)
                if not sent or connection.transport.send_blocked:
                    break
        except SharedFileShrunkError as error:
            self.close_connection(connection, error.message, now)
            self._on_file_shrunk(error.message)
            return
        except OSError as error:
            self.close_connection(connection, str(error), now)
            return
        self.uploaded_bytes += count
        self._rate_limit.spend(count)
        has_output = protocol.pending_bytes > 0 or (upload.can_send and self._uplink.may_send(connection, now))
        if has_output and (held_back or (count >= budget and self._rate_limit.pause())):
            # Without room or tokens, a timer resumes sending, not the socket.
            if held_back:
                self._room_at = min(self._room_at or now + 60, now + self._uplink.poll_interval)
            else:
                self._tokens_at = min(self._tokens_at or now + 60, now + self._rate_limit.pause())
            has_output = False
        if has_output != connection.wants_write:
            connection.wants_write = has_output
            self._set_interest(connection, selectors.EVENT_READ | (selectors.EVENT_WRITE if has_output else 0))

    def _fill_output(self, connection: Connection, now: float) -> None:
        if connection.upload.can_send and self._uplink.may_send(connection, now):
            connection.upload.fill_output()

    def _send_all(self, now: float) -> None:
        waiting = [
            connection
            for connection in self._connections.values()
            if connection.protocol.pending_bytes
            or (connection.upload.can_send and self._uplink.may_send(connection, now))
        ]
        for connection in waiting:
            self.flush(connection, now, share=max(1, len(waiting)))
        # The connections served last in this round come first in the next.
        for connection in waiting[: len(waiting) // 2]:
            if connection.transport.sock in self._connections:
                self._connections[connection.transport.sock] = self._connections.pop(connection.transport.sock)

    def _set_interest(self, connection: Connection, events: int) -> None:
        key = self._selector.get_key(connection.transport.sock)
        if key.events != events:
            self._selector.modify(connection.transport.sock, events, key.data)

    def _enable_choking(self) -> None:
        if self._uplink.choking:
            return
        self._uplink.choking = True
        for connection in self._connections.values():
            connection.enable_choking()

    def _grant_turns(self, now: float) -> None:
        for connection in self._uplink.grant_turns(self._connections.values(), now):
            if not connection.wants_write:
                self.flush(connection, now)
