"""The uplink below all connections: which piece leaves next, and how little of it waits in the kernel.

What the kernel has taken can be neither reordered nor overtaken, and it divides the uplink among all connections that
it has something for, which makes every piece late. So while the uplink is known to be slow, a moment's worth is handed
down at a time, to whoever is first in line and can take it. That also keeps the uplink's own queue short whatever
congestion control is in force: BBR takes what is sent piece by piece behind a token bucket for a path of Gbit/s, and
would fill the queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.peer.scheduling.choker import SendRate, choose_next

if TYPE_CHECKING:
    import random
    from collections.abc import Collection

    from torrentnet.peer.transfer.connection import Connection

QUEUE_TARGET = 0.06
"""Seconds of sending that wait in the machine's queue for the uplink."""
MIN_QUEUE_BYTES, INITIAL_QUEUE_BYTES = 24 * 1024, 64 * 1024
"""Bytes; the second until the rate is known."""
UNSENT_TARGET = 0.02
MIN_UNSENT_BYTES = 16 * 1024
"""Seconds and bytes that wait in one socket for TCP: with more than that the narrow place is not the uplink."""
SEGMENT_PAYLOAD = 1448
"""Bytes of content in a full packet on an Ethernet."""
UNSHAPED_RATE = 50e6
"""Bytes a second from which on nothing is held back: queues are short anyway, and looking at them costs time."""
POLL_INTERVAL, INITIAL_POLL_INTERVAL = 0.01, 0.001
"""Seconds after which room is looked for again; the second until the rate is known."""


class Uplink:
    """What may go out. Connections that take turns stand in one line for it, in the order of their requests."""

    def __init__(self, rng: random.Random, now: float) -> None:
        self._rng = rng
        self._pace = SendRate(now)
        self._line: dict[Connection, None] = {}
        self._loaded: dict[Connection, None] = {}
        self.choking = False
        """Whether turns are taken: from the first peer on that takes offers."""
        self.more_turns_due = False
        """Whether more turns are due that nothing will wake us up for."""

    @property
    def line(self) -> list[Connection]:
        """Who stands in line, the first one first."""
        return list(self._line)

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        self._line.pop(connection, None)
        self._loaded.pop(connection, None)

    def sent(self, connection: Connection, count: int) -> None:
        """``count`` bytes were handed to the kernel."""
        self._pace.sent(count)
        if count and self.choking:
            self._loaded[connection] = None

    def may_send(self, connection: Connection, now: float) -> bool:
        """Whether a piece may leave: nobody before it in line could go. One with a narrow path holds up nobody."""
        if not self.choking:
            return True
        if not connection.upload.has_granted_requests:
            return False
        self._line.setdefault(connection)
        for one in list(self._line):
            if one is connection:
                return True
            waiting = one.protocol.pending_bytes > 0
            if not one.upload.has_requests and not waiting:
                del self._line[one]
            elif (waiting or one.upload.has_granted_requests) and self._takes(one) and not one.is_stalled(now):
                return False
        return True

    # What waits in the kernel

    def room(self, connection: Connection, now: float) -> int | None:
        """Bytes of pieces that the kernel may be given for a connection now; None: as many as it takes."""
        rate = self._pace.rate
        if not self.choking or rate >= UNSHAPED_RATE:
            return None
        there = 0
        for one in list(self._loaded):
            if left := one.unacknowledged_bytes(now):
                there += one.queued_on_host(left)
            else:
                del self._loaded[one]
        below = max(rate * QUEUE_TARGET, MIN_QUEUE_BYTES) if rate else INITIAL_QUEUE_BYTES
        return max(0, _whole_segments(min(below - there, self._unsent - connection.unsent_bytes())))

    def _takes(self, connection: Connection) -> bool:
        """Whether what waits in its socket leaves room for more."""
        return _whole_segments(self._unsent - connection.unsent_bytes()) > 0

    @property
    def _unsent(self) -> float:
        return max(self._pace.rate * UNSENT_TARGET, MIN_UNSENT_BYTES)

    @property
    def step(self) -> float:
        """Seconds until there can be room again."""
        return POLL_INTERVAL if self._pace.rate else INITIAL_POLL_INTERVAL

    # Turns

    def grant_turns(self, everybody: Collection[Connection], now: float) -> list[Connection]:
        """Promise as much as can leave soon. Returns to whom something is to be said, or sent."""
        # What waits for a peer that takes nothing keeps the uplink from nobody.
        backlog = sum(one.upload.backlog for one in everybody if one.upload.backlog and not one.is_stalled(now))
        self._pace.look(now, busy=backlog > 0)
        backlog += sum(connection.upload.promised_bytes(now) for connection in everybody)
        ahead = self._pace.ahead()
        given: dict[Connection, None] = {}
        while backlog < ahead:
            waiting = self._waiting(everybody, ahead, now)
            connection = choose_next(waiting, self._rng, now)
            if connection is None:
                break
            backlog += connection.upload.grant_turn(now)
            given[connection] = None
        # Who has asked for much at once says nothing more that would wake us up for the next turn.
        self.more_turns_due = bool(given) and bool(self._waiting(everybody, ahead, now))
        return [*given, *(one for one in self._line if one not in given)]

    def _waiting(self, everybody: Collection[Connection], ahead: int, now: float) -> list[Connection]:
        waiting = [one for one in everybody if one.upload.wants_turn(now, ahead)]
        # Whoever comes first must not be promised what is enough for all.
        return [one for one in waiting if one.upload.wants_turn(now, ahead // len(waiting))]


def _whole_segments(room: float) -> int:
    """As many bytes in whole segments: what goes in bits and pieces costs a header each."""
    return int(room // SEGMENT_PAYLOAD) * SEGMENT_PAYLOAD
