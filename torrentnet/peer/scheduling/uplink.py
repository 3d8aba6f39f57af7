"""The uplink that all connections share: which piece leaves next.

Data that the kernel has can be neither reordered nor overtaken, and the kernel divides the uplink among all connections
with data, which makes every piece late. So while the uplink is known to be slow, the kernel gets a moment's worth at a
time, for the first connection in line that can take it. That also keeps the machine's own queue short whatever
congestion control is in force: BBR mistakes data that is sent piece by piece behind a token bucket for a path of
Gbit/s, and would fill that queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from torrentnet.peer.scheduling.choker import SendRate, WaitingPeer, choose_next

if TYPE_CHECKING:
    import random
    from collections.abc import Collection

QUEUE_TARGET: Final = 0.06
"""Seconds of sending that wait in the machine's queue for the uplink."""
MIN_QUEUE_BYTES: Final = 24 * 1024
INITIAL_QUEUE_BYTES: Final = 64 * 1024
"""The same until the rate is known."""
UNSENT_TARGET: Final = 0.02
MIN_UNSENT_BYTES: Final = 16 * 1024
"""Seconds of sending, and bytes, that wait in one socket for TCP: with more, the uplink is not the bottleneck."""
SEGMENT_PAYLOAD: Final = 1448
"""Bytes of data in a full TCP segment on an Ethernet."""
UNSHAPED_RATE: Final = 50e6
"""Bytes a second from which on nothing is held back: queues are short anyway, and looking at them costs time."""
POLL_INTERVAL: Final = 0.01
INITIAL_POLL_INTERVAL: Final = 0.001
"""Seconds until there may be room again; the second until the rate is known."""


class ServingSide(Protocol):
    """The serving side of a connection: the ``Upload`` of room ``transfer``."""

    @property
    def backlog(self) -> int:
        """Bytes that were requested and granted, and have not left."""

    @property
    def has_requests(self) -> bool:
        """Whether requests wait."""

    @property
    def has_granted_requests(self) -> bool:
        """Whether requests wait that need no further turn."""

    def promised_bytes(self, now: float) -> int:
        """Return the bytes that the peer may request at any moment."""

    def wants_turn(self, now: float, max_bytes: int) -> bool:
        """Whether the peer is considered for the next turn."""

    def grant_turn(self, now: float) -> int:
        """Let the peer have a piece; returns the bytes that this promises."""


class PendingOutput(Protocol):
    """What waits to be sent: :class:`~torrentnet.peer.transfer.protocol.PeerProtocol`."""

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait to be handed to the kernel."""


class SharingConnection(WaitingPeer, Protocol):
    """A connection over the uplink: the ``Connection`` of room ``transfer``."""

    @property
    def upload(self) -> ServingSide:
        """The serving side."""

    @property
    def protocol(self) -> PendingOutput:
        """The messages of both directions."""

    def unacknowledged_bytes(self, now: float) -> int:
        """Return the sent bytes that the other end has not acknowledged."""

    def unsent_bytes(self) -> int:
        """Return the bytes that wait in the socket for TCP."""

    def queued_on_host(self, unacknowledged: int) -> int:
        """Return how many of the unacknowledged bytes, roughly, wait in this machine."""

    def is_stalled(self, now: float) -> bool:
        """Whether the other end has acknowledged nothing for a while."""


C = TypeVar("C", bound=SharingConnection)


class Uplink(Generic[C]):
    """Decides what may be sent.

    With choking, connections wait in one line, in the order of their requests.
    """

    def __init__(self, rng: random.Random, now: float) -> None:
        self._rng = rng
        self._send_rate = SendRate(now)
        self._line: dict[C, None] = {}
        self._loaded: dict[C, None] = {}
        self.choking = False
        """Whether peers are served in turns: from the first peer on that uses credits."""
        self.more_turns_due = False
        """Whether more turns are due for which no event will wake up the loop."""

    @property
    def line(self) -> list[C]:
        """The waiting connections, the first one first."""
        return list(self._line)

    def forget(self, connection: C) -> None:
        """A connection is closed."""
        self._line.pop(connection, None)
        self._loaded.pop(connection, None)

    def sent(self, connection: C, count: int) -> None:
        """Count bytes that were handed to the kernel."""
        self._send_rate.sent(count)
        if count and self.choking:
            self._loaded[connection] = None

    def may_send(self, connection: C, now: float) -> bool:
        """Whether a piece may leave: no connection before this one in line could send.

        A connection whose own path is narrow blocks no other.
        """
        if not self.choking:
            return True
        if not connection.upload.has_granted_requests:
            return False
        self._line.setdefault(connection)
        for first in list(self._line):
            if first is connection:
                return True
            pending = first.protocol.pending_bytes > 0
            if not first.upload.has_requests and not pending:
                del self._line[first]
            elif (pending or first.upload.has_granted_requests) and self._has_room(first) and not first.is_stalled(now):
                return False
        return True

    # -- kernel queues -----------------------------------------------------------------------------

    def room(self, connection: C, now: float) -> int | None:
        """Return the bytes of pieces that the kernel may get now; None for no limit."""
        rate = self._send_rate.rate
        if not self.choking or rate >= UNSHAPED_RATE:
            return None
        queued = 0
        for loaded in list(self._loaded):
            if unacknowledged := loaded.unacknowledged_bytes(now):
                queued += loaded.queued_on_host(unacknowledged)
            else:
                del self._loaded[loaded]
        target = max(rate * QUEUE_TARGET, MIN_QUEUE_BYTES) if rate else INITIAL_QUEUE_BYTES
        return max(0, _whole_segments(min(target - queued, self._max_unsent - connection.unsent_bytes())))

    def _has_room(self, connection: C) -> bool:
        return _whole_segments(self._max_unsent - connection.unsent_bytes()) > 0

    @property
    def _max_unsent(self) -> float:
        return max(self._send_rate.rate * UNSENT_TARGET, MIN_UNSENT_BYTES)

    @property
    def poll_interval(self) -> float:
        """Seconds until there may be room again."""
        return POLL_INTERVAL if self._send_rate.rate else INITIAL_POLL_INTERVAL

    # -- turns -------------------------------------------------------------------------------------

    def grant_turns(self, connections: Collection[C], now: float) -> list[C]:
        """Promise as much as can leave soon; returns the connections with data to send."""
        # Data for a peer that takes nothing keeps the uplink from no other peer.
        backlog = sum(one.upload.backlog for one in connections if one.upload.backlog and not one.is_stalled(now))
        self._send_rate.update(now, busy=backlog > 0)
        backlog += sum(connection.upload.promised_bytes(now) for connection in connections)
        lookahead = self._send_rate.lookahead()
        granted: dict[C, None] = {}
        while backlog < lookahead:
            connection = choose_next(self._waiting(connections, lookahead, now), self._rng, now)
            if connection is None:
                break
            backlog += connection.upload.grant_turn(now)
            granted[connection] = None
        # A peer that has requested much at once sends nothing more that would wake up the loop for the next turn.
        self.more_turns_due = bool(granted) and bool(self._waiting(connections, lookahead, now))
        return [*granted, *(one for one in self._line if one not in granted)]

    def _waiting(self, connections: Collection[C], lookahead: int, now: float) -> list[C]:
        waiting = [one for one in connections if one.upload.wants_turn(now, lookahead)]
        # The first one must not be promised what is enough for all.
        return [one for one in waiting if one.upload.wants_turn(now, lookahead // len(waiting))]


def _whole_segments(room: float) -> int:
    """Round down to whole segments: data in bits and pieces costs a header each."""
    return int(room // SEGMENT_PAYLOAD) * SEGMENT_PAYLOAD
