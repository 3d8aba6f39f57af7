"""The uplink that all connections share, and the choice of the next piece to send.

Data in the kernel can be neither reordered nor overtaken, and the kernel divides the uplink among all connections with
data, which makes every piece late. So while the uplink is slow, the kernel gets the data of a moment at a time, from
the first connection in line whose path has room. That also keeps the machine's own queue short under any congestion
control: BBR mistakes data that is sent piece by piece behind a token bucket for a path of Gbit/s, and would fill the
queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.peer.scheduling.choker import SendRate, choose_next

if TYPE_CHECKING:
    import random
    from collections.abc import Collection

    from torrentnet.peer.transfer.connection import Connection

QUEUE_TARGET: Final = 0.06
"""Seconds of sending that wait in the machine's queue for the uplink."""
MIN_QUEUE_BYTES: Final = 24 * 1024
INITIAL_QUEUE_BYTES: Final = 64 * 1024
"""Bytes in the machine's queue until the rate is known."""
UNSENT_TARGET: Final = 0.02
MIN_UNSENT_BYTES: Final = 16 * 1024
"""Seconds of sending, or bytes, that may wait in one socket for TCP. With more, the uplink is not the bottleneck."""
SEGMENT_PAYLOAD: Final = 1448
"""Bytes of data in a full TCP segment on an Ethernet."""
UNSHAPED_RATE: Final = 50e6
"""Bytes a second from which on nothing is held back: queues are short then, and reading their length costs time."""
POLL_INTERVAL: Final = 0.01
INITIAL_POLL_INTERVAL: Final = 0.001
"""Seconds between two checks for room, and those until the rate is known."""


class Uplink:
    """The line of connections that wait while choking, in order of their requests."""

    def __init__(self, rng: random.Random, now: float) -> None:
        self._rng = rng
        self._send_rate = SendRate(now)
        self._line: dict[Connection, None] = {}
        self._loaded: dict[Connection, None] = {}
        self.choking = False
        """Whether peers are served in turns."""
        self.more_turns_due = False
        """Whether more turns are due, for which no event will wake the loop."""

    @property
    def line(self) -> list[Connection]:
        """The waiting connections, in order."""
        return list(self._line)

    def forget(self, connection: Connection) -> None:
        """Remove a closed connection."""
        self._line.pop(connection, None)
        self._loaded.pop(connection, None)

    def sent(self, connection: Connection, count: int) -> None:
        """Count bytes that were handed to the kernel."""
        self._send_rate.sent(count)
        if count and self.choking:
            self._loaded[connection] = None

    def may_send(self, connection: Connection, now: float) -> bool:
        """Return whether a piece may leave: no connection earlier in line could send.

        A connection whose own path is narrow blocks no other connection.
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

    def room(self, connection: Connection, now: float) -> int | None:
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

    def _has_room(self, connection: Connection) -> bool:
        return _whole_segments(self._max_unsent - connection.unsent_bytes()) > 0

    @property
    def _max_unsent(self) -> float:
        return max(self._send_rate.rate * UNSENT_TARGET, MIN_UNSENT_BYTES)

    @property
    def poll_interval(self) -> float:
        """Seconds until the next check for room."""
        return POLL_INTERVAL if self._send_rate.rate else INITIAL_POLL_INTERVAL

    # -- turns -------------------------------------------------------------------------------------

    def grant_turns(self, connections: Collection[Connection], now: float) -> list[Connection]:
        """Promise what can leave soon, and return the connections with data to send."""
        # Data for a peer that receives nothing does not keep the uplink busy.
        backlog = sum(one.upload.backlog for one in connections if one.upload.backlog and not one.is_stalled(now))
        self._send_rate.update(now, busy=backlog > 0)
        backlog += sum(connection.upload.promised_bytes(now) for connection in connections)
        lookahead = self._send_rate.lookahead()
        granted: dict[Connection, None] = {}
        while backlog < lookahead:
            connection = choose_next(self._waiting(connections, lookahead, now), self._rng, now)
            if connection is None:
                break
            backlog += connection.upload.grant_turn(now)
            granted[connection] = None
        # A peer that has requested much at once sends no further message that would wake the loop for its next turn.
        self.more_turns_due = bool(granted) and bool(self._waiting(connections, lookahead, now))
        return [*granted, *(one for one in self._line if one not in granted)]

    def _waiting(self, connections: Collection[Connection], lookahead: int, now: float) -> list[Connection]:
        waiting = [one for one in connections if one.upload.wants_turn(now, lookahead)]
        # No peer may be promised more than its share of the lookahead.
        return [one for one in waiting if one.upload.wants_turn(now, lookahead // len(waiting))]


def _whole_segments(room: float) -> int:
    """Round down to whole segments, because each segment costs a header."""
    return int(room // SEGMENT_PAYLOAD) * SEGMENT_PAYLOAD
