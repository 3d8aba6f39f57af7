"""All connections with other peers: accepted or taken over, served in turns, and closed when they end or misbehave."""

from __future__ import annotations

import random
import selectors
import socket
from typing import TYPE_CHECKING, Protocol

from torrentnet.peer.scheduling.fair_queue import FairQueue, coalesce_delay
from torrentnet.peer.scheduling.uplink import Uplink
from torrentnet.peer.transfer.connection import Connection
from torrentnet.peer.transfer.protocol import LocalIdentity, PeerProtocol
from torrentnet.peer.transfer.transport import SharedFileShrunkError
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.errors import PeerProtocolError, RemoteError
from torrentnet.wire.peer.extension_protocol import ExtensionHandshake

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.peer.scheduling.rate_limit import RateLimit
    from torrentnet.peer.storage.file_store import FileStore
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent

MAX_CONNECTIONS = 400
MAX_PER_IP = 100
"""A lab on loopback has all its peers on one address."""
RECEIVES_PER_WAKEUP = 4
EXPIRY_CHECK_INTERVAL = 1.0
MIN_HAVE_DELAY, HAVE_DELAY = 0.03, 0.25
"""Seconds for which news of pieces is gathered. At the beginning and at the end every one of them matters at once."""
HAVE_DELAY_PER_CONNECTION, MAX_HAVE_DELAY = 0.03, 1.0
"""Seconds more for each connection, and at most: a packet and its acknowledgement cost ten times the news in it."""
FEW_PIECES = 8
"""Pieces that count as the beginning or the end."""
EXCHANGE_BUFFER_SIZE = 256 * 1024
"""Bytes that are received at once from a peer that serves us too."""


class ExchangeHandler(Protocol):
    """Whoever downloads over the same connections. What it raises as :class:`RemoteError` closes the connection."""

    @property
    def info_hash(self) -> bytes:
        """The swarm's, before there is anything to serve; empty while it is not known."""

    def handle_peer_event(self, connection: Connection, event: PeerProtocolEvent, now: float) -> None:
        """React to a message of the other side."""

    def connection_closed(self, connection: Connection, reason: str, now: float) -> None:
        """The connection is closed."""


class ConnectionManager:
    """Serves one file to whoever asks for its info-hash. ``store`` is None until there is something to serve."""

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        peer_id: bytes,
        rate_limit: RateLimit,
        on_report: Callable[[str, Endpoint, int, str], None],
        identity: LocalIdentity | None = None,
        rng: random.Random | None = None,
        now: float = 0.0,
    ) -> None:
        self._listener = listener
        self._selector = selector
        self._peer_id = peer_id
        self._rate_limit = rate_limit
        self._on_report = on_report
        self._identity = identity or LocalIdentity()
        self._uplink: Uplink[Connection] = Uplink(rng or random.SystemRandom(), now)
        self._connections: dict[socket.socket, Connection] = {}
        self._receivers: FairQueue[Connection] = FairQueue()
        self._expiry_check_at = 0.0
        self._tokens_at: float | None = None
        self._room_at: float | None = None
        self._haves_at: float | None = None
        self._store: FileStore | None = None
        self.handler: ExchangeHandler | None = None
        """Who downloads over the same connections, if anybody does."""
        self.uploaded_bytes = 0
        """Bytes of blocks sent to all peers so far."""
        self.refused_connections = 0
        """Connections closed at once: nothing to serve yet, or too many."""
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def store(self) -> FileStore | None:
        """What is served."""
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
        """When :meth:`tick` is to be called next."""
        times = [self._expiry_check_at] if self._connections else []
        times += [
            at for at in (self._tokens_at, self._room_at, self._haves_at, self._receivers.due()) if at is not None
        ]
        if self._uplink.choking:
            times.append(now if self._uplink.more_turns_due else now + HAVE_DELAY)
        return min(times, default=None)

    def tick(self, now: float) -> None:
        """Look at the clock: close those who are silent, go on where the limit made us wait, give turns."""
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
        """Tell everybody of a piece that is here now: soon, and together with those that come meanwhile."""
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
        """Send what others have queued on the connections."""
        for connection in list(self._connections.values()):
            if connection.protocol.pending_bytes and not connection.wants_write:
                self.flush(connection, now)

    def close(self) -> None:
        """Close all connections and the listener."""
        for connection in list(self._connections.values()):
            self.close_connection(connection, "closing", 0.0)
        self._selector.unregister(self._listener)
        self._listener.close()

    # Connections

    def _accept(self, _: int, now: float) -> None:
        for _ in range(MAX_CONNECTIONS):
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # Out of descriptors, or the client is gone again: the next round tries anew.
                return
            endpoint = Endpoint(address[0], address[1])
            same = sum(connection.endpoint.ip == endpoint.ip for connection in self._connections.values())
            nothing = self._store is None and not (self.handler is not None and self.handler.info_hash)
            if nothing or len(self._connections) >= MAX_CONNECTIONS or same >= MAX_PER_IP:
                self.refused_connections += 1
                sock.close()
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.add_connection(sock, endpoint, initiator=False, now=now)

    def add_connection(self, sock: socket.socket, endpoint: Endpoint, *, initiator: bool, now: float) -> Connection:
        """Speak over a connected socket, ours from now on; there is a store or a handler."""
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
        connection = Connection(sock, endpoint, protocol, store, now)
        if self._uplink.choking:
            connection.enable_choking()
        self._connections[sock] = connection
        self._selector.register(sock, selectors.EVENT_READ, lambda mask, at: self._on_ready(connection, mask, at))
        if protocol.pending_bytes:
            self.flush(connection, now)
        return connection

    def close_connection(self, connection: Connection, reason: str, now: float) -> None:
        """Close a connection; nothing happens where it is closed already."""
        if self._connections.pop(connection.transport.sock, None) is None:
            return
        self._uplink.forget(connection)
        self._receivers.forget(connection)
        self._selector.unregister(connection.transport.sock)
        connection.transport.close()
        if self.handler is not None:
            self.handler.connection_closed(connection, reason, now)
        if connection.upload.sent_blocks:
            self._on_report("upload", connection.endpoint, connection.upload.queued_bytes, reason)

    def _on_ready(self, connection: Connection, mask: int, now: float) -> None:
        if mask & selectors.EVENT_READ:
            try:
                for _ in range(RECEIVES_PER_WAKEUP):
                    count = connection.transport.receive()
                    if count is None:
                        break
                    if not count:
                        self.close_connection(connection, "closed by the other side", now)
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
            # Words wait for nobody: an introduction takes several.
            self.flush(connection, now)
            return
        self._receivers.add(connection, len(self), now)
        if connection.wants_write and coalesce_delay(len(self)) and not self._uplink.choking:
            # Else the selector would tell us of it again and again meanwhile.
            connection.wants_write = False
            self._set_interest(connection, selectors.EVENT_READ)

    def _handle_event(self, connection: Connection, event: PeerProtocolEvent, now: float) -> None:
        connection.upload.handle(event, now)
        if isinstance(event, ExtensionHandshake) and connection.protocol.remote_uses_credits:
            self._enable_choking()
        if self.handler is not None:
            self.handler.handle_peer_event(connection, event, now)

    # Sending

    def flush(self, connection: Connection, now: float, share: int = 1) -> None:
        """Send what waits for this one, as far as its turn, the limit and the kernel let it."""
        if connection.transport.sock not in self._connections:
            return
        upload, protocol = connection.upload, connection.protocol
        budget = self._rate_limit.budget(now)
        if share > 1:
            budget = max(1024, budget // share) if budget else 0
        count = 0
        held_back = False
        if protocol.pending_bytes and self._uplink.choking:
            # It goes along for nothing.
            upload.send_haves()
        try:
            self._fill_output(connection, now)
            # Until the socket takes no more, the budget is used up, or nothing waits.
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
            self._on_report("changed", connection.endpoint, connection.transport.sent_bytes, error.message)
            return
        except OSError as error:
            self.close_connection(connection, str(error), now)
            return
        self.uploaded_bytes += count
        self._rate_limit.spend(count)
        waits = protocol.pending_bytes > 0 or (upload.can_send and self._uplink.may_send(connection, now))
        if waits and (held_back or (count >= budget and self._rate_limit.pause())):
            # No room, or no tokens: the clock says when to go on, not the socket.
            if held_back:
                self._room_at = min(self._room_at or now + 60, now + self._uplink.poll_interval)
            else:
                self._tokens_at = min(self._tokens_at or now + 60, now + self._rate_limit.pause())
            waits = False
        if waits != connection.wants_write:
            connection.wants_write = waits
            self._set_interest(connection, selectors.EVENT_READ | (selectors.EVENT_WRITE if waits else 0))

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
        # Whoever was served last in this round comes first in the next.
        for connection in waiting[: len(waiting) // 2]:
            if connection.transport.sock in self._connections:
                self._connections[connection.transport.sock] = self._connections.pop(connection.transport.sock)

    def _set_interest(self, connection: Connection, events: int) -> None:
        key = self._selector.get_key(connection.transport.sock)
        if key.events != events:
            self._selector.modify(connection.transport.sock, events, key.data)

    # Turns

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
