"""When each packet is released. No socket and no clock: the time is an argument."""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from torrentnet.shaper.corruption import flip_random_bit
from torrentnet.shaper.netlink import QueuedPacket
from torrentnet.shaper.state import NO_IMPAIRMENT, QueueImpairment, ShaperState

MAX_WAITING: Final = 65536
"""Packets that may wait in a node, all queues together; further ones are dropped, and counted."""
ALLOWED_NS: Final = 1_000_000
ALLOWED_SHARE: Final = 0.02
"""A packet's delay may differ from the requested one by 1 ms + 2 %."""


@dataclass(frozen=True, slots=True)
class PacketRelease:
    """A packet that is due."""

    queue: int
    number: int | None
    """The kernel's number; None for a copy, which the kernel does not know."""
    due_ns: int
    payload: bytes | None
    """Bytes that replace the packet's; None for the packet as it arrived."""


@dataclass(slots=True)
class QueueStatistics:
    """Counts of one queue since its creation."""

    packets: int = 0
    late: int = 0
    """Packets released later than allowed."""
    worst_ns: int = 0
    """The largest error."""
    error_ns: int = 0
    """The sum of all errors."""
    corrupted: int = 0
    duplicated: int = 0
    overtaking: int = 0
    dropped: int = 0
    """Packets beyond MAX_WAITING."""


class PacketSchedule:
    """Holds waiting packets in the order in which they are due.

    A change of the state does not affect packets that wait already.
    """

    def __init__(self, state: ShaperState | None = None, max_waiting: int = MAX_WAITING) -> None:
        self._state = state or ShaperState()
        self._rng = random.Random(self._state.seed)
        self._max_waiting = max_waiting
        self._order = 0
        self._waiting: list[tuple[int, int, int, int | None, bytes | None, int]] = []
        self.statistics: dict[int, QueueStatistics] = {queue: QueueStatistics() for queue in self._state.queues}

    @property
    def state(self) -> ShaperState:
        """The state in force."""
        return self._state

    def __len__(self) -> int:
        return len(self._waiting)

    def replace(self, state: ShaperState) -> None:
        """Replace the state, for packets that arrive from now on."""
        if state.seed != self._state.seed:
            self._rng = random.Random(state.seed)
        self._state = state
        for queue in state.queues:
            self.statistics.setdefault(queue, QueueStatistics())

    def arrive(self, packet: QueuedPacket, at_ns: int) -> bool:
        """Add a packet, and return False where the packet must be dropped.

        ``at_ns`` is when the packet arrived, in nanoseconds on the monotonic clock.
        """
        statistics = self.statistics.get(packet.queue)
        if statistics is None:
            statistics = self.statistics[packet.queue] = QueueStatistics()
        if len(self._waiting) >= self._max_waiting:
            statistics.dropped += 1
            return False
        impairment = self._state.queues.get(packet.queue, NO_IMPAIRMENT)
        payload = None
        if impairment.corruption and packet.payload is not None and self._rng.random() < impairment.corruption:
            payload = flip_random_bit(packet.payload, self._rng)
            statistics.corrupted += 1
        self._wait(at_ns, self._delay(impairment, statistics), packet.queue, packet.number, payload)
        if impairment.duplication and packet.payload is not None and self._rng.random() < impairment.duplication:
            statistics.duplicated += 1
            self._wait(at_ns, self._delay(impairment, statistics), packet.queue, None, packet.payload)
        return True

    def next_due(self) -> int | None:
        """Return when the next packet is due; None where none waits."""
        return self._waiting[0][0] if self._waiting else None

    def due(self, now_ns: int, early_ns: int = 0, most: int = MAX_WAITING) -> Iterator[PacketRelease]:
        """Remove and yield at most ``most`` packets that are due by ``now_ns + early_ns``.

        Each counts as released at ``now_ns``.
        """
        waiting = self._waiting
        horizon = now_ns + early_ns
        while waiting and waiting[0][0] <= horizon and most > 0:
            due_ns, _, queue, number, payload, delay_ns = heapq.heappop(waiting)
            most -= 1
            error = abs(now_ns - due_ns)
            statistics = self.statistics[queue]
            statistics.packets += 1
            statistics.error_ns += error
            statistics.worst_ns = max(statistics.worst_ns, error)
            if error > ALLOWED_NS + delay_ns * ALLOWED_SHARE:
                statistics.late += 1
            yield PacketRelease(queue, number, due_ns, payload)

    def _wait(self, at_ns: int, delay_ns: int, queue: int, number: int | None, payload: bytes | None) -> None:
        # The number keeps packets with the same due time in the order of their arrival.
        self._order += 1
        heapq.heappush(self._waiting, (at_ns + delay_ns, self._order, queue, number, payload, delay_ns))

    def _delay(self, impairment: QueueImpairment, statistics: QueueStatistics) -> int:
        if impairment.reordering and self._rng.random() < impairment.reordering:
            statistics.overtaking += 1
            return 0
        if not impairment.jitter_ns:
            return impairment.delay_ns
        return max(0, impairment.delay_ns + int((2 * self._rng.random() - 1) * impairment.jitter_ns))
