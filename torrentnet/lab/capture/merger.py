"""Packets and events in the order of their times, with marks and comments.

Wireshark keeps the order of the file, and a fault is recorded a moment after its first packets. So everything waits
for a while before it is written. What waits is bounded: where too much does, the oldest goes first.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from torrentnet.lab.capture import pcapng

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.lab.capture.fault_marks import FaultHistory
    from torrentnet.lab.capture.frames import NodeAddresses

MAX_HELD: Final = 64 << 20
"""Bytes of packets that wait."""
REACTION: Final = 50_000_000
"""Nanoseconds from a packet to what its receiver says of it, at most."""
BATCH: Final = 1 << 20
"""Bytes that are written at once."""
MAX_COMMENTS: Final = 20
"""Events that one packet has as comments."""


@dataclass(slots=True)
class MergeCounts:
    """What a capture has."""

    packets: int = 0
    events: int = 0
    stopped: int = 0
    """Packets that a cut has stopped."""
    doubtful: int = 0
    """Packets that may have been stopped or lost."""
    hurried: int = 0
    """Packets that were written before the faults of their time were known."""


@dataclass(slots=True)
class _HeldPacket:
    time: int
    length: int
    data: bytes
    comments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _HeldEvent:
    time: int
    block: bytes
    node: str
    """The node that says it; empty where no packet has caused it."""
    comment: str


class CaptureMerger:
    """Puts packets and events into order. Not thread-safe."""

    def __init__(self, write: Callable[[bytes], None], addresses: NodeAddresses, faults: FaultHistory) -> None:
        self.counts = MergeCounts()
        self._write = write
        self._addresses = addresses
        self._faults = faults
        self._waiting: list[tuple[int, int, _HeldPacket | _HeldEvent]] = []
        self._number = 0
        self._held = 0
        self._ready: deque[_HeldPacket | _HeldEvent] = deque()
        """In order; an event may still become a packet's comment."""
        self._last_to: dict[str, _HeldPacket] = {}
        """The last packet to each node."""

    def add_packet(self, time: int, length: int, data: bytes) -> None:
        """Add a packet's first bytes, and its length on the network."""
        self._held += len(data)
        self._add(time, _HeldPacket(time, length, data))
        if self._held > MAX_HELD:
            before = self.counts.packets
            middle = sorted(entry[0] for entry in self._waiting)[len(self._waiting) // 2]
            self.flush(middle)
            self.counts.hurried += self.counts.packets - before

    def add_event(self, time: int, block: bytes, node: str = "", comment: str = "") -> None:
        """Add an event's block.

        ``comment`` is for the packet to ``node`` that has caused the event.
        """
        self._add(time, _HeldEvent(time, block, node, comment))

    def _add(self, time: int, entry: _HeldPacket | _HeldEvent) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (time, self._number, entry))

    def flush(self, until: int | None = None) -> None:
        """Write what has happened until a time, or everything."""
        while self._waiting and (until is None or self._waiting[0][0] <= until):
            entry = heapq.heappop(self._waiting)[2]
            self._ready.append(entry)
            if isinstance(entry, _HeldPacket):
                self._held -= len(entry.data)
                self._mark(entry)
            else:
                self.counts.events += 1
                self._comment(entry)
        blocks: list[bytes] = []
        size = 0
        while self._ready and (until is None or self._ready[0].time <= until - REACTION):
            entry = self._ready.popleft()
            blocks.append(_block(entry))
            size += len(blocks[-1])
            if size >= BATCH:
                self._write(b"".join(blocks))
                blocks, size = [], 0
        if blocks:
            self._write(b"".join(blocks))

    def _mark(self, packet: _HeldPacket) -> None:
        self.counts.packets += 1
        source, target, is_ip = self._addresses.ends(packet.data)
        if target:
            self._last_to[target] = packet
        if is_ip and source and target and (mark := self._faults.mark(source, target, packet.time)):
            packet.comments.append(mark)
            if mark.startswith("stopped"):
                self.counts.stopped += 1
            else:
                self.counts.doubtful += 1

    def _comment(self, event: _HeldEvent) -> None:
        packet = self._last_to.get(event.node) if event.comment else None
        if packet is not None and packet.time >= event.time - REACTION and len(packet.comments) < MAX_COMMENTS:
            packet.comments.append(event.comment)


def _block(entry: _HeldPacket | _HeldEvent) -> bytes:
    if isinstance(entry, _HeldEvent):
        return entry.block
    return pcapng.packet_block(entry.time, entry.length, entry.data, entry.comments)
