"""All connections that others opened to us: accepted, served in turns, and closed when they end or misbehave."""

from __future__ import annotations

import selectors
import socket
from typing import TYPE_CHECKING

from torrentnet.peer.conversation import Conversation
from torrentnet.peer.link import Link, SourceChanged
from torrentnet.peer.upload import Upload
from torrentnet.wire.errors import PeerProtocolError, RemoteError
from torrentnet.wire.udp import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.peer.ratelimit import RateLimit
    from torrentnet.peer.storage import FileStore

MAX_CONNECTIONS = 400
MAX_PER_IP = 100
"""A lab on loopback has all its peers on one address."""
RECEIVES_A_TURN = 4
CHECK_EVERY = 1.0


class _Served:
    __slots__ = ("link", "upload", "writing")

    def __init__(self, link: Link, upload: Upload) -> None:
        self.link = link
        self.upload = upload
        self.writing = False


class Uploads:
    """Serves one file to whoever asks for its info-hash. ``store`` is None until there is something to serve."""

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        peer_id: bytes,
        limit: RateLimit,
        told: Callable[[str, Endpoint, int, str], None],
    ) -> None:
        self._listener = listener
        self._selector = selector
        self._peer_id = peer_id
        self._limit = limit
        self._told = told
        self._served: dict[socket.socket, _Served] = {}
        self._check_at = 0.0
        self._turn_at: float | None = None
        self.store: FileStore | None = None
        self.total = 0
        """Bytes of blocks sent to all peers so far."""
        self.refused = 0
        """Connections closed at once: nothing to serve yet, or too many."""
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def __len__(self) -> int:
        return len(self._served)

    def due(self) -> float | None:
        """When :meth:`tick` is to be called next."""
        times = [self._check_at] if self._served else []
        if self._turn_at is not None:
            times.append(self._turn_at)
        return min(times, default=None)

    def tick(self, now: float) -> None:
        """Look at the clock: close those who are silent, go on where the limit made us wait."""
        if self._turn_at is not None and now >= self._turn_at:
            self._turn_at = None
            self._send_all(now)
        if now >= self._check_at:
            self._check_at = now + CHECK_EVERY
            for served in list(self._served.values()):
                if reason := served.upload.expired(now):
                    self._close(served, reason)

    def announce(self, piece: int, now: float) -> None:
        """Tell everybody of a piece that is here now."""
        for served in list(self._served.values()):
            served.upload.announce(piece)
            self._send(served, now)

    def close(self) -> None:
        """Close all connections and the listener."""
        for served in list(self._served.values()):
            self._close(served, "closing")
        self._selector.unregister(self._listener)
        self._listener.close()

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
            store = self.store
            same = sum(served.link.endpoint.ip == endpoint.ip for served in self._served.values())
            if store is None or len(self._served) >= MAX_CONNECTIONS or same >= MAX_PER_IP:
                self.refused += 1
                sock.close()
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            info = store.info
            conversation = Conversation(info.info_hash, self._peer_id, initiator=False, pieces=info.pieces)
            served = _Served(Link(sock, endpoint, conversation), Upload(conversation, store, now))
            self._served[sock] = served
            self._selector.register(sock, selectors.EVENT_READ, lambda mask, at, s=served: self._ready(s, mask, at))

    def _ready(self, served: _Served, mask: int, now: float) -> None:
        if mask & selectors.EVENT_READ:
            try:
                for _ in range(RECEIVES_A_TURN):
                    count = served.link.receive()
                    if count is None:
                        break
                    if not count:
                        self._close(served, "closed by the other side")
                        return
                    for event in served.link.conversation.received(count):
                        served.upload.take(event, now)
                    if served.link.drained:
                        break
            except (RemoteError, OSError) as error:
                self._close(served, error.message if isinstance(error, PeerProtocolError) else str(error))
                return
        self._send(served, now)

    def _send_all(self, now: float) -> None:
        waiting = [
            served
            for served in self._served.values()
            if served.link.conversation.waiting or served.upload.wants_to_send
        ]
        for served in waiting:
            self._send(served, now, share=max(1, len(waiting)))
        # Whoever was served last in this round comes first in the next.
        for served in waiting[: len(waiting) // 2]:
            if served.link.sock in self._served:
                self._served[served.link.sock] = self._served.pop(served.link.sock)

    def _send(self, served: _Served, now: float, share: int = 1) -> None:
        if served.link.sock not in self._served:
            return
        budget = self._limit.budget(now)
        if share > 1:
            budget = max(1024, budget // share) if budget else 0
        count = 0
        try:
            served.upload.pump()
            # Until the socket takes no more, the budget is used up, or nothing waits.
            while count < budget and served.link.conversation.waiting:
                sent = served.link.flush(budget - count)
                count += sent
                served.upload.pump()
                if not sent or served.link.full:
                    break
        except SourceChanged as error:
            self._close(served, error.message)
            self._told("changed", served.link.endpoint, served.link.sent, error.message)
            return
        except OSError as error:
            self._close(served, str(error))
            return
        self.total += count
        self._limit.spend(count)
        waits = served.link.conversation.waiting > 0 or served.upload.wants_to_send
        if waits and count >= budget and self._limit.pause():
            # Out of tokens: the clock says when to go on, not the socket.
            self._turn_at = min(self._turn_at or now + 60, now + self._limit.pause())
            served.writing = False
            self._interest(served, selectors.EVENT_READ)
            return
        if waits != served.writing:
            served.writing = waits
            self._interest(served, selectors.EVENT_READ | (selectors.EVENT_WRITE if waits else 0))

    def _interest(self, served: _Served, events: int) -> None:
        key = self._selector.get_key(served.link.sock)
        if key.events != events:
            self._selector.modify(served.link.sock, events, key.data)

    def _close(self, served: _Served, reason: str) -> None:
        if self._served.pop(served.link.sock, None) is None:
            return
        self._selector.unregister(served.link.sock)
        served.link.close()
        if served.upload.sent_blocks:
            self._told("upload", served.link.endpoint, served.upload.queued_bytes, reason)
