"""Which packet goes on when. No socket and no clock: the time is an argument."""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass

from torrentnet.shaper.corruption import flip_random_bit
from torrentnet.shaper.netlink import QueuedPacket
from torrentnet.shaper.state import NO_IMPAIRMENT, QueueImpairment, ShaperState

MAX_WAITING = 65536
"""Packets that may wait in a node, all queues together; the next one is dropped, and counted."""
ALLOWED_NS = 1_000_000
ALLOWED_SHARE = 0.02
"""The promise: a packet's delay is the asked one, within 1 ms + 2 %."""


@dataclass(frozen=True, slots=True)
class PacketRelease:
    """A packet whose time has come."""

    queue: int
    number: int | None
    """The kernel's number of it; None for a copy, which the kernel does not know."""
    due_ns: int
    payload: bytes | None
    """What goes on in the packet's place; None for the packet as it came."""


@dataclass(slots=True)
class QueueStatistics:
    """What was done in one queue since it came into being."""

    packets: int = 0
    late: int = 0
    """Packets that went on later than the promise allows."""
    worst_ns: int = 0
    """The largest error of all."""
    error_ns: int = 0
    """The sum of all errors."""
    corrupted: int = 0
    duplicated: int = 0
    overtaking: int = 0
    dropped: int = 0
    """Packets for which there was no room in MAX_WAITING."""


class PacketSchedule:
    """Holds what waits, in the order in which it is due.

    Changing the state leaves alone what waits already: it has its time.
    """

    def __init__(self, state: ShaperState | None = None, max_waiting: int = MAX_WAITING) -> None:
        self._state = state or ShaperState()
        self._chance = random.Random(self._state.seed)
        self._max_waiting = max_waiting
        self._order = 0
        self._waiting: list[tuple[int, int, int, int | None, bytes | None, int]] = []
        self.tallies: dict[int, QueueStatistics] = {queue: QueueStatistics() for queue in self._state.queues}

    @property
    def state(self) -> ShaperState:
        """The state in force."""
        return self._state

    def __len__(self) -> int:
        return len(self._waiting)

    def replace(self, state: ShaperState) -> None:
        """Puts another state in force, for packets that arrive from now on."""
        if state.seed != self._state.seed:
            self._chance = random.Random(state.seed)
        self._state = state
        for queue in state.queues:
            self.tallies.setdefault(queue, QueueStatistics())

    def arrive(self, packet: QueuedPacket, at_ns: int) -> bool:
        """Takes in a packet that arrived at `at_ns` (ns of any steady clock). False: no room, it is to be dropped."""
        tally = self.tallies.get(packet.queue)
        if tally is None:
            tally = self.tallies[packet.queue] = QueueStatistics()
        if len(self._waiting) >= self._max_waiting:
            tally.dropped += 1
            return False
        impairment = self._state.queues.get(packet.queue, NO_IMPAIRMENT)
        payload = None
        if impairment.corruption and packet.payload is not None and self._chance.random() < impairment.corruption:
            payload = flip_random_bit(packet.payload, self._chance)
            tally.corrupted += 1
        self._wait(at_ns, self._delay(impairment, tally), packet.queue, packet.number, payload)
        if impairment.duplication and packet.payload is not None and self._chance.random() < impairment.duplication:
            tally.duplicated += 1
            self._wait(at_ns, self._delay(impairment, tally), packet.queue, None, packet.payload)
        return True

    def next_due(self) -> int | None:
        """When the next packet has to go on; None when none waits."""
        return self._waiting[0][0] if self._waiting else None

    def due(self, now_ns: int, early_ns: int = 0, most: int = MAX_WAITING) -> Iterator[PacketRelease]:
        """Takes out what is due by now, at most `most`; with `early_ns` also what would be due so soon after.

        Each counts as gone on at `now_ns`.
        """
        waiting = self._waiting
        horizon = now_ns + early_ns
        while waiting and waiting[0][0] <= horizon and most > 0:
            due_ns, _, queue, number, payload, delay_ns = heapq.heappop(waiting)
            most -= 1
            error = abs(now_ns - due_ns)
            tally = self.tallies[queue]
            tally.packets += 1
            tally.error_ns += error
            tally.worst_ns = max(tally.worst_ns, error)
            if error > ALLOWED_NS + delay_ns * ALLOWED_SHARE:
                tally.late += 1
            yield PacketRelease(queue, number, due_ns, payload)

    def _wait(self, at_ns: int, delay_ns: int, queue: int, number: int | None, payload: bytes | None) -> None:
        # The count keeps those with one due time in the order of their arrival.
        self._order += 1
        heapq.heappush(self._waiting, (at_ns + delay_ns, self._order, queue, number, payload, delay_ns))

    def _delay(self, impairment: QueueImpairment, tally: QueueStatistics) -> int:
        if impairment.reordering and self._chance.random() < impairment.reordering:
            tally.overtaking += 1
            return 0
        if not impairment.jitter_ns:
            return impairment.delay_ns
        return max(0, impairment.delay_ns + int((2 * self._chance.random() - 1) * impairment.jitter_ns))
