"""Requests to the tracker, each repeated until it is answered (BEP 15). No socket, no clock: both are the caller's."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from torrentnet.wire.errors import PacketError
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.connection_id import CLIENT_LIFETIME

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

FIRST_TIMEOUT = 0.5
"""Seconds before the first repeat: BEP 15 says 15, for the open Internet; a LAN answers within milliseconds."""
MAX_TIMEOUT = 15.0
JITTER = 0.1
"""Part of a pause by which a repeat may come earlier."""
MIN_CONNECTION_ID_AGE = 1.0
"""Seconds that a connection id is kept at least, where the keep-alive interval is not shorter."""
SILENT_AFTER_TRIES = 3
"""Unanswered tries after which the tracker counts as silent."""
_ID_REFUSED = "connection id refused"


class RequestKind(Enum):
    """What is asked; at most one of each kind is under way, a newer one takes the older one's place."""

    ANNOUNCE = packets.Action.ANNOUNCE
    LOOKUP = packets.Action.LOOKUP
    POSSESSION = packets.Action.POSSESSION
    OUTCOME = packets.Action.OUTCOME


@dataclass(frozen=True, slots=True)
class TrackerReply:
    """The tracker answered a request."""

    kind: RequestKind
    reply: packets.ReplyPacket
    tag: object
    """What the caller gave with the request."""


@dataclass(frozen=True, slots=True)
class TrackerErrorReply:
    """The tracker answered a request with an error."""

    kind: RequestKind
    message: str
    tag: object


@dataclass(slots=True)
class _Pending:
    kind: RequestKind
    build: Callable[[int, int], bytes]
    tag: object
    transaction_id: int
    due: float
    tries: int = 0


@dataclass(slots=True)
class PendingRequests:
    """Keeps requests under way until they are answered.

    A request is a function from connection id and transaction id to bytes: the transaction id stays the same over
    all repeats, so that the tracker makes one record of it, while the connection id may have to be fetched anew.
    """

    rng: random.Random
    max_pause: float = MAX_TIMEOUT
    """The longest pause between repeats, seconds; the owner lowers it to the keep-alive interval."""
    dropped_datagrams: int = 0
    """Datagrams that answered nothing we asked."""
    _pending: dict[RequestKind, _Pending] = field(default_factory=dict)
    _connection_id: int | None = None
    _connected_at: float = 0.0
    _connect: _Pending | None = None
    _unanswered_tries: int = 0

    @property
    def tracker_silent(self) -> bool:
        """Whether the tracker has left several tries in a row without an answer."""
        return self._unanswered_tries >= SILENT_AFTER_TRIES

    def is_pending(self, kind: RequestKind) -> bool:
        """Whether a request of this kind is under way."""
        return kind in self._pending

    def unanswered(self, kind: RequestKind) -> bool:
        """Whether a request of this kind was sent several times in vain, by the connection id that is in force."""
        pending = self._pending.get(kind)
        return self._connection_id is not None and pending is not None and pending.tries > SILENT_AFTER_TRIES

    def start(self, kind: RequestKind, build: Callable[[int, int], bytes], now: float, tag: object = None) -> None:
        """Put a request under way, at once; one of the same kind that was not answered is given up."""
        self._pending[kind] = _Pending(kind, build, tag, self._transaction_id(), now)

    def cancel(self, kind: RequestKind) -> None:
        """Give up the request of this kind, if there is one."""
        self._pending.pop(kind, None)

    def due(self) -> float | None:
        """When :meth:`datagrams` next has something to say; None while nothing is under way."""
        if not self._pending:
            return None
        if self._connect:
            return self._connect.due
        return min(pending.due for pending in self._pending.values())

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """What is to be sent now: first sendings and repeats that are due."""
        if not self._pending:
            return []
        if self._connection_id is not None and now - self._connected_at >= CLIENT_LIFETIME:
            self._connection_id = None
        if self._connection_id is None:
            if self._connect is None:
                self._connect = _Pending(RequestKind.ANNOUNCE, lambda _, tid: packets.pack_connect(tid), None, 0, now)
                self._connect.transaction_id = self._transaction_id()
            return self._send([self._connect], 0, now)
        return self._send(list(self._pending.values()), self._connection_id, now)

    def receive_datagram(self, data: bytes, now: float) -> TrackerReply | TrackerErrorReply | None:
        """Take a datagram from the tracker; None when it answers nothing that is under way (it is counted)."""
        try:
            reply = packets.parse_reply(data)
            if self._connect and reply.transaction_id == self._connect.transaction_id:
                self._handle_connect(reply, now)
                return None
        except PacketError:
            self.dropped_datagrams += 1
            return None
        for pending in self._pending.values():
            if pending.transaction_id != reply.transaction_id:
                continue
            if reply.action == packets.Action.ERROR:
                return self._handle_error(pending, packets.parse_error(reply), now)
            if reply.action == pending.kind.value:
                self._unanswered_tries = 0
                del self._pending[pending.kind]
                return TrackerReply(pending.kind, reply, pending.tag)
        self.dropped_datagrams += 1
        return None

    def _handle_connect(self, reply: packets.ReplyPacket, now: float) -> None:
        if reply.action != packets.Action.CONNECT:
            self.dropped_datagrams += 1
            return
        self._connection_id = packets.parse_connect_reply(reply)
        self._connected_at = now
        self._connect = None
        self._unanswered_tries = 0
        for pending in self._pending.values():
            pending.due = now
            pending.tries = 0

    def _handle_error(self, pending: _Pending, message: str, now: float) -> TrackerErrorReply | None:
        if message.startswith(_ID_REFUSED) or message.lower().startswith("connection id"):
            # A tracker that was restarted has another secret. Once an interval is enough: one that refuses
            # each new id must not draw us into an endless exchange.
            if self._connection_id is not None:
                again = self._connected_at + min(MIN_CONNECTION_ID_AGE, self.max_pause)
                if now >= again:
                    self._connection_id = None
                pending.due = min(pending.due, max(now, again))
            return None
        self._unanswered_tries = 0
        del self._pending[pending.kind]
        return TrackerErrorReply(pending.kind, message, pending.tag)

    def _send(self, candidates: list[_Pending], connection_id: int, now: float) -> list[bytes]:
        sent: list[bytes] = []
        for pending in candidates:
            if pending.due > now:
                continue
            pause = min(FIRST_TIMEOUT * 2.0**pending.tries, MAX_TIMEOUT, max(self.max_pause, FIRST_TIMEOUT))
            # Earlier by chance, so that many peers spread, and never later: ``slowest`` is a promise.
            pending.due = now + pause * self.rng.uniform(1 - JITTER, 1)
            pending.tries = min(pending.tries + 1, 8)
            # A tracker without the extension may never answer reports; the announces tell whether it lives.
            if pending.kind is not RequestKind.POSSESSION:
                self._unanswered_tries = max(self._unanswered_tries, pending.tries - 1)
            sent.append(pending.build(connection_id, pending.transaction_id))
        return sent

    def _transaction_id(self) -> int:
        return self.rng.getrandbits(32)
