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
from torrentnet.wire.errors import PeerProtocolError, RemoteError
from torrentnet.wire.peer.extension_protocol import ExtensionHandshake
from torrentnet.wire.udp.packets import Endpoint

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
        limit: RateLimit,
        told: Callable[[str, Endpoint, int, str], None],
        of_us: LocalIdentity | None = None,
        rng: random.Random | None = None,
        now: float = 0.0,
    ) -> None:
        self._listener = listener
        self._selector = selector
        self._peer_id = peer_id
        self._limit = limit
        self._told = told
        self._of_us = of_us or LocalIdentity()
        self._uplink = Uplink(rng or random.SystemRandom(), now)
        self._connections: dict[socket.socket, Connection] = {}
        self._ready: FairQueue[Connection] = FairQueue()
        self._check_at = 0.0
        self._turn_at: float | None = None
        self._room_at: float | None = None
        self._haves_at: float | None = None
        self._store: FileStore | None = None
        self.handler: ExchangeHandler | None = None
        """Who downloads over the same connections, if anybody does."""
        self.total = 0
        """Bytes of blocks sent to all peers so far."""
        self.refused = 0
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
                self.close_one(connection, error.message, 0.0)

    def due(self, now: float) -> float | None:
        """When :meth:`tick` is to be called next."""
        times = [self._check_at] if self._connections else []
        times += [at for at in (self._turn_at, self._room_at, self._haves_at, self._ready.due()) if at is not None]
        if self._uplink.in_turns:
            times.append(now if self._uplink.turns_go_on else now + HAVE_DELAY)
        return min(times, default=None)

    def tick(self, now: float) -> None:
        """Look at the clock: close those who are silent, go on where the limit made us wait, give turns."""
        for connection in self._ready.take_all() if self._uplink.in_turns else self._ready.take(len(self), now):
            self.flush(connection, now)
        if self._turn_at is not None and now >= self._turn_at:
            self._turn_at = None
            self._send_all(now)
        if self._room_at is not None and now >= self._room_at:
            self._room_at = None
            for connection in self._uplink.line:
                self.flush(connection, now)
        if self._haves_at is not None and now >= self._haves_at:
            self._haves_at = None
            for connection in self._connections.values():
                connection.upload.say_haves()
            self.flush_all(now)
        if now >= self._check_at:
            self._check_at = now + EXPIRY_CHECK_INTERVAL
            for connection in list(self._connections.values()):
                if reason := connection.upload.expired(now):
                    self.close_one(connection, reason, now)
        if self._uplink.in_turns:
            self._give_turns(now)

    def announce(self, piece: int, now: float) -> None:
        """Tell everybody of a piece that is here now: soon, and together with those that come meanwhile."""
        store = self._store
        if store is None or not self._connections:
            return
        for connection in self._connections.values():
            connection.upload.announce(piece)
        have, pieces = len(store.held), store.held.size
        later = min(max(HAVE_DELAY, HAVE_DELAY_PER_CONNECTION * len(self._connections)), MAX_HAVE_DELAY)
        at = now + (MIN_HAVE_DELAY if have <= FEW_PIECES or pieces - have <= max(FEW_PIECES, pieces // 12) else later)
        self._haves_at = at if self._haves_at is None else min(self._haves_at, at)

    def flush_all(self, now: float) -> None:
        """Send what others have queued on the connections."""
        for connection in list(self._connections.values()):
            if connection.conversation.waiting and not connection.writing:
                self.flush(connection, now)

    def close(self) -> None:
        """Close all connections and the listener."""
        for connection in list(self._connections.values()):
            self.close_one(connection, "closing", 0.0)
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
                self.refused += 1
                sock.close()
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.adopt(sock, endpoint, initiator=False, now=now)

    def adopt(self, sock: socket.socket, endpoint: Endpoint, *, initiator: bool, now: float) -> Connection:
        """Speak over a connected socket, ours from now on; there is a store or a handler."""
        store = self._store
        info_hash = store.info.info_hash if store is not None else self.handler.info_hash if self.handler else b""
        conversation = PeerProtocol(
            info_hash,
            self._peer_id,
            initiator=initiator,
            pieces=store.info.pieces if store is not None else 0,
            bulk=EXCHANGE_BUFFER_SIZE if self.handler is not None else 0,
            of_us=self._of_us,
        )
        connection = Connection(sock, endpoint, conversation, store, now)
        if self._uplink.in_turns:
            connection.begin_turns()
        self._connections[sock] = connection
        self._selector.register(sock, selectors.EVENT_READ, lambda mask, at: self._heard(connection, mask, at))
        if conversation.waiting:
            self.flush(connection, now)
        return connection

    def close_one(self, connection: Connection, reason: str, now: float) -> None:
        """Close a connection; nothing happens where it is closed already."""
        if self._connections.pop(connection.link.sock, None) is None:
            return
        self._uplink.forget(connection)
        self._ready.forget(connection)
        self._selector.unregister(connection.link.sock)
        connection.link.close()
        if self.handler is not None:
            self.handler.connection_closed(connection, reason, now)
        if connection.upload.sent_blocks:
            self._told("upload", connection.endpoint, connection.upload.queued_bytes, reason)

    def _heard(self, connection: Connection, mask: int, now: float) -> None:
        if mask & selectors.EVENT_READ:
            try:
                for _ in range(RECEIVES_PER_WAKEUP):
                    count = connection.link.receive()
                    if count is None:
                        break
                    if not count:
                        self.close_one(connection, "closed by the other side", now)
                        return
                    for event in connection.conversation.received(count):
                        self._take(connection, event, now)
                        if connection.link.sock not in self._connections:
                            return
                    if connection.link.drained:
                        break
            except (RemoteError, OSError) as error:
                self.close_one(connection, error.message if isinstance(error, RemoteError) else str(error), now)
                return
        if not connection.upload.has_requests and not connection.conversation.has_blocks:
            # Words wait for nobody: an introduction takes several.
            self.flush(connection, now)
            return
        self._ready.add(connection, len(self), now)
        if connection.writing and coalesce_delay(len(self)) and not self._uplink.in_turns:
            # Else the selector would tell us of it again and again meanwhile.
            connection.writing = False
            self._interest(connection, selectors.EVENT_READ)

    def _take(self, connection: Connection, event: PeerProtocolEvent, now: float) -> None:
        connection.upload.take(event, now)
        if isinstance(event, ExtensionHandshake) and connection.conversation.takes_offers:
            self._begin_turns()
        if self.handler is not None:
            self.handler.handle_peer_event(connection, event, now)

    # Sending

    def flush(self, connection: Connection, now: float, share: int = 1) -> None:
        """Send what waits for this one, as far as its turn, the limit and the kernel let it."""
        if connection.link.sock not in self._connections:
            return
        upload, conversation = connection.upload, connection.conversation
        budget = self._limit.budget(now)
        if share > 1:
            budget = max(1024, budget // share) if budget else 0
        count = 0
        held_back = False
        if conversation.waiting and self._uplink.in_turns:
            # It goes along for nothing.
            upload.say_haves()
        try:
            self._pump(connection, now)
            # Until the socket takes no more, the budget is used up, or nothing waits.
            while count < budget and conversation.waiting:
                room = self._uplink.room(connection, now) if conversation.has_blocks else None
                if room is not None and room <= 0:
                    held_back = True
                    break
                sent = connection.link.flush(budget - count if room is None else min(room, budget - count))
                self._uplink.sent(connection, sent)
                count += sent
                self._pump(connection, now)
                if not sent or connection.link.full:
                    break
        except SharedFileShrunkError as error:
            self.close_one(connection, error.message, now)
            self._told("changed", connection.endpoint, connection.link.sent, error.message)
            return
        except OSError as error:
            self.close_one(connection, str(error), now)
            return
        self.total += count
        self._limit.spend(count)
        waits = conversation.waiting > 0 or (upload.wants_to_send and self._uplink.may_send(connection, now))
        if waits and (held_back or (count >= budget and self._limit.pause())):
            # No room, or no tokens: the clock says when to go on, not the socket.
            if held_back:
                self._room_at = min(self._room_at or now + 60, now + self._uplink.step)
            else:
                self._turn_at = min(self._turn_at or now + 60, now + self._limit.pause())
            waits = False
        if waits != connection.writing:
            connection.writing = waits
            self._interest(connection, selectors.EVENT_READ | (selectors.EVENT_WRITE if waits else 0))

    def _pump(self, connection: Connection, now: float) -> None:
        if connection.upload.wants_to_send and self._uplink.may_send(connection, now):
            connection.upload.pump()

    def _send_all(self, now: float) -> None:
        waiting = [
            connection
            for connection in self._connections.values()
            if connection.conversation.waiting
            or (connection.upload.wants_to_send and self._uplink.may_send(connection, now))
        ]
        for connection in waiting:
            self.flush(connection, now, share=max(1, len(waiting)))
        # Whoever was served last in this round comes first in the next.
        for connection in waiting[: len(waiting) // 2]:
            if connection.link.sock in self._connections:
                self._connections[connection.link.sock] = self._connections.pop(connection.link.sock)

    def _interest(self, connection: Connection, events: int) -> None:
        key = self._selector.get_key(connection.link.sock)
        if key.events != events:
            self._selector.modify(connection.link.sock, events, key.data)

    # Turns

    def _begin_turns(self) -> None:
        if self._uplink.in_turns:
            return
        self._uplink.in_turns = True
        for connection in self._connections.values():
            connection.begin_turns()

    def _give_turns(self, now: float) -> None:
        for connection in self._uplink.give_turns(self._connections.values(), now):
            if not connection.writing:
                self.flush(connection, now)
