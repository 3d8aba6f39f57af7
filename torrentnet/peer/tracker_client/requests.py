"""Requests that are repeated until the tracker replies (BEP 15), without I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from torrentnet.wire.errors import PacketError
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.connection_id import CLIENT_LIFETIME
from torrentnet.wire.udp.error_texts import CONNECTION_ID_REFUSED

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

FIRST_TIMEOUT: Final = 0.5
"""Seconds before the first retry. BEP 15 says 15, for the Internet; a LAN answers within milliseconds."""
MAX_TIMEOUT: Final = 15.0
JITTER: Final = 0.1
"""Fraction of a pause by which a retry may be earlier."""
MIN_CONNECTION_ID_AGE: Final = 1.0
"""Seconds to keep a connection id before a new one is requested; less if the keep-alive interval is shorter."""
SILENT_AFTER_TRIES: Final = 3
"""Consecutive unanswered tries after which the tracker counts as silent, ..."""
SILENCE_GRACE: Final = 0.2
"""... unless it answers the next try within this time: a tracker that is back is not called silent first."""


class RequestKind(Enum):
    """The kinds of requests. At most one of each is pending: a newer one replaces it."""

    ANNOUNCE = packets.Action.ANNOUNCE
    LOOKUP = packets.Action.LOOKUP
    POSSESSION = packets.Action.POSSESSION
    OUTCOME = packets.Action.OUTCOME


@dataclass(frozen=True, slots=True)
class TrackerReply:
    """The tracker's reply to a request."""

    kind: RequestKind
    reply: packets.ReplyPacket
    tag: object
    """What the caller passed to :meth:`PendingRequests.start`."""


@dataclass(frozen=True, slots=True)
class TrackerErrorReply:
    """The tracker's error reply to a request."""

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
    unheard_tries: int = 0
    """Tries since the tracker last replied to anything."""


@dataclass(slots=True)
class PendingRequests:
    """The requests that the tracker has not answered.

    A request is a function from connection id and transaction id to bytes. All tries have the same transaction id, so
    that the tracker records them once; the connection id may change.
    """

    rng: random.Random
    max_pause: float = MAX_TIMEOUT
    """Longest pause between two tries; the owner lowers it to the keep-alive interval."""
    _pending: dict[RequestKind, _Pending] = field(default_factory=dict)
    _connection_id: int | None = None
    _connected_at: float = 0.0
    _connect: _Pending | None = None
    tracker_silent: bool = False
    """Whether the tracker has ignored several tries in a row; changes when datagrams are sent and received."""
    _silent_at: float | None = None

    def is_pending(self, kind: RequestKind) -> bool:
        """Return whether a request of this kind is pending."""
        return kind in self._pending

    def unanswered(self, kind: RequestKind) -> bool:
        """Return whether the tracker has ignored several tries of this kind.

        Only tries with a valid connection id count.
        """
        pending = self._pending.get(kind)
        return self._connection_id is not None and pending is not None and pending.tries > SILENT_AFTER_TRIES

    def start(self, kind: RequestKind, build: Callable[[int, int], bytes], now: float, tag: object = None) -> None:
        """Send a request now and repeat it; a pending request of this kind is replaced."""
        self._pending[kind] = _Pending(kind, build, tag, self._transaction_id(), now)

    def cancel(self, kind: RequestKind) -> None:
        """Cancel the request of this kind, if there is one."""
        self._pending.pop(kind, None)

    def due(self) -> float | None:
        """Return when to call :meth:`datagrams_to_send` next; None if nothing is pending."""
        if not self._pending:
            return None
        due = self._connect.due if self._connect else min(pending.due for pending in self._pending.values())
        return due if self._silent_at is None or self.tracker_silent else min(due, self._silent_at)

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Return the datagrams to send now: first tries and retries."""
        if not self._pending:
            return []
        self.tracker_silent = self.tracker_silent or (self._silent_at is not None and now >= self._silent_at)
        if self._connection_id is not None and now - self._connected_at >= CLIENT_LIFETIME:
            self._connection_id = None
        if self._connection_id is None:
            if self._connect is None:
                # Any kind will do: a connect is not among the pending requests.
                self._connect = _Pending(
                    RequestKind.ANNOUNCE, lambda _, tid: packets.pack_connect(tid), None, self._transaction_id(), now
                )
            return self._send([self._connect], 0, now)
        return self._send(list(self._pending.values()), self._connection_id, now)

    def receive_datagram(self, data: bytes, now: float) -> TrackerReply | TrackerErrorReply | None:
        """Return the reply in a datagram; None if it belongs to no pending request."""
        try:
            reply = packets.parse_reply(data)
            if self._connect and reply.transaction_id == self._connect.transaction_id:
                self._handle_connect(reply, now)
                return None
        except PacketError:
            return None
        for pending in self._pending.values():
            if pending.transaction_id != reply.transaction_id:
                continue
            if reply.action == packets.Action.ERROR:
                return self._handle_error(pending, packets.parse_error(reply), now)
            if reply.action == pending.kind.value:
                self._note_reply()
                del self._pending[pending.kind]
                return TrackerReply(pending.kind, reply, pending.tag)
        return None

    def _handle_connect(self, reply: packets.ReplyPacket, now: float) -> None:
        if reply.action != packets.Action.CONNECT:
            return
        self._connection_id = packets.parse_connect_reply(reply)
        self._connected_at = now
        self._connect = None
        self._note_reply()
        for pending in self._pending.values():
            pending.due = now
            pending.tries = 0

    def _handle_error(self, pending: _Pending, message: str, now: float) -> TrackerErrorReply | None:
        if message.startswith(CONNECTION_ID_REFUSED) or message.lower().startswith("connection id"):
            # A restarted tracker has a new secret. Request at most one id per interval: each may be refused.
            if self._connection_id is not None:
                retry_at = self._connected_at + min(MIN_CONNECTION_ID_AGE, self.max_pause)
                if now >= retry_at:
                    self._connection_id = None
                pending.due = min(pending.due, max(now, retry_at))
            return None
        self._note_reply()
        del self._pending[pending.kind]
        return TrackerErrorReply(pending.kind, message, pending.tag)

    def _note_reply(self) -> None:
        """Note that the tracker replies; earlier tries say nothing any more."""
        self.tracker_silent, self._silent_at = False, None
        for pending in self._pending.values():
            pending.unheard_tries = 0

    def _send(self, candidates: list[_Pending], connection_id: int, now: float) -> list[bytes]:
        sent: list[bytes] = []
        for pending in candidates:
            if pending.due > now:
                continue
            pause = min(FIRST_TIMEOUT * 2.0**pending.tries, MAX_TIMEOUT, max(self.max_pause, FIRST_TIMEOUT))
            # Random jitter spreads many peers; a retry is never later than ``max_pause``.
            pending.due = now + pause * self.rng.uniform(1 - JITTER, 1)
            pending.tries = min(pending.tries + 1, 8)
            pending.unheard_tries += 1
            # A tracker without the extension ignores possession reports; only the announces show whether it answers.
            silent = pending.kind is not RequestKind.POSSESSION and pending.unheard_tries > SILENT_AFTER_TRIES
            if silent and self._silent_at is None:
                self._silent_at = now + SILENCE_GRACE
            sent.append(pending.build(connection_id, pending.transaction_id))
        return sent

    def _transaction_id(self) -> int:
        return self.rng.getrandbits(32)
