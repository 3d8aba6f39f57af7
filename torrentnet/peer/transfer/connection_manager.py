"""All connections with remote peers: accept, serve, and close them."""

from __future__ import annotations

import errno
import selectors
import socket
from typing import TYPE_CHECKING, Final, Protocol

from torrentnet.peer.transfer.connection import Connection
from torrentnet.peer.transfer.protocol import PeerProtocol
from torrentnet.peer.transfer.sender import Sender
from torrentnet.peer.transfer.uplink import Uplink
from torrentnet.runtime.system import MACHINE
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.errors import PeerProtocolError, RemoteError, os_error_text
from torrentnet.wire.peer.extension_protocol import ExtensionHandshake
from torrentnet.wire.peer.handshake import Handshake

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from torrentnet.peer.scheduling.rate_limit import RateLimit
    from torrentnet.peer.storage.file_store import FileStore
    from torrentnet.peer.transfer.protocol import LocalIdentity, PeerProtocolEvent
    from torrentnet.runtime.system import System

MAX_CONNECTIONS: Final = 400
MAX_PER_IP: Final = 100
"""Connections from one address; in a lab on loopback, all peers have the same address."""
RECEIVES_PER_WAKEUP: Final = 4
EVENTS_PER_TURN: Final = 256
"""Messages of one connection that are handled before the other connections have their turn."""
ACCEPT_PAUSE: Final = 1.0
"""Seconds without accepting connections after no file descriptor was left."""
MAX_REPORTED: Final = 256
"""Addresses of which a failed handshake is reported, once each."""
EXPIRY_CHECK_INTERVAL: Final = 1.0
MIN_HAVE_DELAY: Final = 0.03
"""Seconds that a have message waits for others while there are few pieces to announce, or to download."""
HAVE_DELAY: Final = 0.25
"""Seconds that a have message waits for others otherwise."""
HAVE_DELAY_PER_CONNECTION: Final = 0.03
"""Added to the delay for each connection: a packet and its acknowledgement cost ten times the message."""
MAX_HAVE_DELAY: Final = 1.0
FEW_PIECES: Final = 8
"""Pieces up to which a download counts as just begun or nearly complete."""
EXCHANGE_BUFFER_SIZE: Final = 256 * 1024
"""Bytes of a connection's receive buffer while pieces are exchanged."""

_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class ExchangeHandler(Protocol):
    """The download that uses the same connections."""

    @property
    def info_hash(self) -> bytes:
        """The swarm's info-hash before there is a file to serve; empty if unknown."""

    def handle_peer_event(self, connection: Connection, event: PeerProtocolEvent, now: float) -> None:
        """Handle an event after the upload side has handled it.

        A :class:`RemoteError` closes the connection.
        """

    def connection_closed(self, connection: Connection, reason: str, now: float) -> None:
        """Forget a connection that has been closed."""


class ConnectionManager:
    """Serve one file on all connections.

    ``on_upload_ended(endpoint, bytes, reason)`` reports each closed connection that blocks were sent on,
    ``on_file_shrunk(message)`` that the shared file has become too short, ``on_file_touched()`` that another program
    may have changed the complete file; ``emit(event, **fields)`` writes an event line.
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
        on_file_touched: Callable[[], None] = lambda: None,
        emit: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        self._system = system
        self._on_file_touched = on_file_touched
        self._emit = emit
        self._accept_at: float | None = None
        self._reported: set[tuple[str, str]] = set()
        self._unfinished: dict[Connection, None] = {}
        self._listener = listener
        self._selector = selector
        self._peer_id = peer_id
        self._on_upload_ended = on_upload_ended
        self._identity = identity
        self._connections: dict[socket.socket, Connection] = {}
        uplink = Uplink(rng or system.make_random(None), now)
        self._sender = Sender(
            self._connections, selector, rate_limit, uplink, self.close_connection, self._on_ready, on_file_shrunk
        )
        self._expiry_check_at = 0.0
        self._haves_at: float | None = None
        self._store: FileStore | None = None
        self.handler: ExchangeHandler | None = None
        """The download that uses the same connections, if any."""
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def uploaded_bytes(self) -> int:
        """Total bytes sent to all remote peers."""
        return self._sender.sent_bytes

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
        expiry = self._expiry_check_at if self._connections else None
        left = now if any(one.upload.has_room for one in self._unfinished) else None
        times = (expiry, self._haves_at, self._accept_at, left, self._sender.due(now))
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: float) -> None:
        """Do the work that is due: send, announce, grant turns, close connections.

        This sends what the limits held back, announces pieces, and closes the expired connections.
        """
        self._sender.tick(now)
        if self._accept_at is not None and now >= self._accept_at:
            self._accept_at = None
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        for connection in [one for one in self._unfinished if one.upload.has_room]:
            del self._unfinished[connection]
            self._on_ready(connection, selectors.EVENT_READ, now)
        if self._haves_at is not None and now >= self._haves_at:
            self._haves_at = None
            for connection in self._connections.values():
                connection.upload.send_haves()
            self._sender.flush_all(now)
        if now >= self._expiry_check_at:
            self._expiry_check_at = now + EXPIRY_CHECK_INTERVAL
            store = self._store
            if store is not None and store.path == store.final_path and self._connections and store.was_touched():
                self._on_file_touched()
            for connection in list(self._connections.values()):
                if reason := connection.upload.expiry_reason(now):
                    self.close_connection(connection, reason, now)
        self._sender.grant_turns(now)

    def announce_piece(self, piece: int, now: float) -> None:
        """Announce a verified piece on all connections after a short delay.

        Other pieces may join the announcement during the delay.
        """
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
        self._sender.flush_all(now)

    def make_way(self, ip: str, now: float, *, refused: bool) -> None:
        """Close connections from ``ip``, where a seed is about to be connected to.

        A client that is connected already may refuse a second connection, as rTorrent does. With ``refused``, the seed
        has done so, and all connections from its address are closed; otherwise those from peers that have the whole
        file, which want nothing.
        """
        for connection in list(self._connections.values()):
            held = connection.upload.remote_pieces.held
            if connection.endpoint.ip == ip and (refused or (held is not None and held.is_full)):
                self.close_connection(connection, "is downloaded from", now)

    def close(self) -> None:
        """Close all connections and the listener."""
        for connection in list(self._connections.values()):
            self.close_connection(connection, "closing", 0.0)
        if self._accept_at is None:
            self._selector.unregister(self._listener)
        self._listener.close()

    def _accept(self, _: int, now: float) -> None:
        for _ in range(MAX_CONNECTIONS):
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    continue  # The client has disconnected already.
                self._pause_accepting(now)
                return
            endpoint = Endpoint(address[0], address[1])
            no_file = self._store is None and not (self.handler is not None and self.handler.info_hash)
            if no_file or not self._make_room(endpoint.ip, now):
                sock.close()
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.add_connection(sock, endpoint, initiator=False, now=now)

    def _pause_accepting(self, now: float) -> None:
        """Accept no connection for a moment: the next attempt would fail at once."""
        self._emit("out_of_descriptors", connections=len(self._connections))
        self._selector.unregister(self._listener)
        self._accept_at = now + ACCEPT_PAUSE

    def _make_room(self, ip: str, now: float) -> bool:
        """Return whether one more connection from ``ip`` is allowed.

        An idle one is closed if that helps.
        """
        same = [connection for connection in self._connections.values() if connection.endpoint.ip == ip]
        if len(same) >= MAX_PER_IP:
            return self._close_idlest(same, now)
        return len(self._connections) < MAX_CONNECTIONS or self._close_idlest(self._connections.values(), now)

    def _close_idlest(self, connections: Iterable[Connection], now: float) -> bool:
        idle = [(since, one) for one in connections if (since := one.upload.idle_since(now)) is not None]
        if not idle:
            return False
        self.close_connection(min(idle, key=lambda pair: pair[0])[1], "idle, and another peer wants to connect", now)
        return True

    def add_connection(self, sock: socket.socket, endpoint: Endpoint, *, initiator: bool, now: float) -> Connection:
        """Add a connected socket, which the manager closes.

        There must be a store or a handler.
        """
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
        if self._sender.choking:
            connection.enable_choking()
        self._connections[sock] = connection
        self._selector.register(sock, selectors.EVENT_READ, lambda mask, at: self._on_ready(connection, mask, at))
        if protocol.pending_bytes:
            self._sender.flush(connection, now)
        return connection

    def close_connection(self, connection: Connection, reason: str, now: float) -> None:
        """Close a connection; do nothing if it is closed already."""
        if self._connections.pop(connection.transport.sock, None) is None:
            return
        self._sender.forget(connection)
        self._unfinished.pop(connection, None)
        connection.wants_read = connection.wants_write = False
        self._sender.update_interest(connection)
        connection.transport.close()
        if self.handler is not None:
            self.handler.connection_closed(connection, reason, now)
        if connection.upload.sent_blocks:
            self._on_upload_ended(connection.endpoint, connection.upload.queued_bytes, reason)

    def _on_ready(self, connection: Connection, mask: int, now: float) -> None:
        if mask & selectors.EVENT_READ:
            try:
                self._receive(connection, now)
            except RemoteError as error:
                if isinstance(error, PeerProtocolError):
                    self._report_stranger(connection, error.message)
                self.close_connection(connection, error.message, now)
            except OSError as error:
                self.close_connection(connection, os_error_text(error), now)
            if connection.transport.sock not in self._connections:
                return
        self._sender.on_ready(connection, now)

    def _receive(self, connection: Connection, now: float) -> None:
        """Handle what has arrived, up to a number of messages.

        Stop early when there is no room for more requests.
        """
        transport, left = connection.transport, EVENTS_PER_TURN
        for event in transport.receive_events(RECEIVES_PER_WAKEUP):
            self._handle_event(connection, event, now)
            if transport.sock not in self._connections:
                return
            left -= 1
            if not left or connection.upload.is_full:
                transport.has_events_left = True
                break
        if transport.has_events_left:
            self._unfinished[connection] = None
        if connection.wants_read is transport.has_events_left:
            connection.wants_read = not transport.has_events_left
            self._sender.update_interest(connection)

    def _report_stranger(self, connection: Connection, reason: str) -> None:
        """Say once for each address why its handshake has failed."""
        key = connection.endpoint.ip, reason
        is_new = key not in self._reported and len(self._reported) < MAX_REPORTED
        if is_new and connection.protocol.remote_handshake is None:
            self._reported.add(key)
            self._emit("handshake_failed", address=connection.endpoint, reason=reason)

    def _handle_event(self, connection: Connection, event: PeerProtocolEvent, now: float) -> None:
        if isinstance(event, Handshake) and self._is_double(connection, event, now):
            self.close_connection(connection, "is connected twice", now)
            return
        connection.budget.spend(event, now)
        connection.upload.handle(event, now)
        if isinstance(event, ExtensionHandshake) and connection.protocol.remote_uses_credits:
            self._sender.enable_choking()
        if self.handler is not None:
            self.handler.handle_peer_event(connection, event, now)

    def _is_double(self, connection: Connection, handshake: Handshake, now: float) -> bool:
        """Return whether a connection is to be closed because its peer has another.

        The older one stays while it is in use; otherwise its peer has most likely lost it, and it is closed. Where the
        two peers have connected to each other, the strategy decides.
        """
        for twin in self._connections.values():
            other = twin.protocol.remote_handshake
            if twin is connection or other is None or other.peer_id != handshake.peer_id:
                continue
            if twin.protocol.initiator is connection.protocol.initiator:
                if twin.upload.is_in_use(now):
                    return True
                self.close_connection(twin, "is connected twice", now)
                return False
        return False
