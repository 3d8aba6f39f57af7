"""What the captured packets say, as events and for the probes.

All memory and all events are bounded, whatever the program sends.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.adapters.observer.network.packets import ACK, FIN, SYN, UDP
from torrentnet.adapters.observer.network.sightings import DatagramReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.adapters.observer.network.known_nodes import KnownNodes
    from torrentnet.adapters.observer.network.packets import Packet
    from torrentnet.adapters.observer.settings import ObserverSettings
    from torrentnet.runtime.events import EventLog
    from torrentnet.wire.endpoint import Endpoint

MAX_KEPT: Final = 1000
"""Datagrams that are kept."""
KEPT_BYTES: Final = 1500
"""Bytes that are kept of each datagram."""
EVENT_RATE: Final = 50.0
"""Events a second about datagrams and dialled addresses."""
DIAL_INTERVAL: Final = 1.0
"""Seconds between two events about one dialled address."""
MAX_TARGETS: Final = 1000
MAX_CONNECTIONS: Final = 64
MAX_WORDS: Final = 8
"""Packets that are kept of each connection, and connections, while the file's name has not been seen."""
_WRAP: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class KeptDatagram:
    """A datagram that was sent or received."""

    time: float
    """Seconds since the epoch."""
    outgoing: bool
    source: Endpoint
    target: Endpoint
    payload: bytes


class EventBudget:
    """Limit of so many events a second, with as many at once."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = rate
        self._at = 0.0

    def allows(self, now: float) -> bool:
        """Return whether one more event is allowed now, and count it."""
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class PacketWatch:
    """Turns packets into events, and keeps what probes need.

    ``udp_ports`` returns the ports of the program's UDP sockets: in a shared network they tell its datagrams.
    """

    def __init__(
        self,
        settings: ObserverSettings,
        nodes: KnownNodes,
        events: EventLog,
        wall_time: Callable[[], float],
        udp_ports: Callable[[], frozenset[int]],
    ) -> None:
        wanted = settings.wanted
        name, size = (wanted.name, wanted.size) if wanted is not None else ("", None)
        self._settings = settings
        self._nodes = nodes
        self._events = events
        self._wall_time = wall_time
        self._udp_ports = udp_ports
        self._reader = DatagramReader(settings.nodes, name, size)
        self._name = name.encode()
        self._budget = EventBudget(EVENT_RATE)
        self._left_out = 0
        self._dialled: dict[Endpoint, float] = {}
        self._words: dict[tuple[Endpoint, Endpoint], list[bytes]] = {}
        self._first: dict[tuple[int, int], int] = {}
        self._fins: dict[tuple[int, int], int] = {}
        self.kept: deque[KeptDatagram] = deque(maxlen=MAX_KEPT)
        """The newest datagrams, oldest first."""
        self.connecting_at = float("-inf")
        """When a SYN was seen last."""
        self.called_tracker = False
        """Whether the program has sent a datagram to the tracker."""
        self.first_words: list[bytes] = []
        """What the program has sent over a connection of its own, up to the file's name."""
        self.first_datagram = b""
        """The first datagram to the tracker with the file's name."""
        self.own_ports: set[int] = set()
        """Local ports of the observer's own probes, whose packets do not count."""

    @property
    def wants_words(self) -> bool:
        """Whether TCP payload is still to be seen."""
        return self._settings.role == "get" and bool(self._name) and not self.first_words

    def add(self, packet: Packet, now: float) -> None:
        """Look at a packet."""
        own = packet.source if packet.outgoing else packet.target
        if own.port in self.own_ports:
            return
        if packet.protocol == UDP:
            self._add_datagram(packet, now)
        else:
            self._add_segment(packet, now)

    def lost(self, packets: int) -> None:
        """Count packets that nobody has seen."""
        self._left_out += packets

    # -- datagrams ---------------------------------------------------------------------------------

    def _add_datagram(self, packet: Packet, now: float) -> None:
        outgoing = packet.outgoing
        if self._nodes.shared_network:
            ports = self._udp_ports()
            sent, received = packet.source.port in ports, packet.target.port in ports
            if sent == received:
                return
            outgoing = sent
        if outgoing and self.is_tracker(packet.target):
            self.called_tracker = True
            if not self.first_datagram and self._name and self._name in packet.payload:
                self.first_datagram = packet.payload
        if not self._settings.datagrams:
            return
        payload = packet.payload[:KEPT_BYTES]
        self.kept.append(KeptDatagram(self._wall_time(), outgoing, packet.source, packet.target, payload))
        if not self._budget.allows(now):
            self._left_out += 1
            return
        seen = self._reader.read(packet.payload)
        self._events.emit(
            "sighted",
            direction="out" if outgoing else "in",
            from_=packet.source,
            to=packet.target,
            bytes=packet.length,
            nodes=",".join(seen.nodes),
            size=seen.size,
            file=seen.file,
            left_out=self._left_out or None,
        )
        self._left_out = 0

    def is_tracker(self, target: Endpoint) -> bool:
        """Return whether an address is the tracker's, as it is or as the program was told."""
        tracker = self._settings.tracker
        if tracker is None:
            return False
        return target == tracker or (target.port == tracker.port and target.ip == self._nodes.peer_address(tracker))

    # -- connections -------------------------------------------------------------------------------

    def _add_segment(self, packet: Packet, now: float) -> None:
        outgoing = packet.outgoing
        if self._nodes.shared_network:
            ends = (packet.source.ip, packet.target.ip)
            if ends.count(self._nodes.own_address) != 1:
                return
            outgoing = packet.source.ip == self._nodes.own_address
        if packet.flags & SYN:
            self.connecting_at = now
        if packet.flags & SYN and outgoing and not packet.flags & ACK:
            self.dial(packet.target, now)
        if not outgoing:
            self._note_ends(packet)
        elif packet.length and self.wants_words:
            self._add_words(packet)

    def dial(self, target: Endpoint, now: float) -> None:
        """Report a call of the program's, once a second for each address."""
        known = self._dialled.get(target)
        if known is not None and now < known + DIAL_INTERVAL:
            return
        if known is None and len(self._dialled) >= MAX_TARGETS:
            self._dialled.clear()
        self._dialled[target] = now
        if self._budget.allows(now):
            self._events.emit("dialled", address=target, peer=self._nodes.name_of(target))
        else:
            self._left_out += 1

    def _add_words(self, packet: Packet) -> None:
        ends = (packet.source, packet.target)
        if packet.source.port == (self._settings.listen.port if self._settings.listen is not None else 0):
            return
        words = self._words.get(ends)
        if words is None:
            if len(self._words) >= MAX_CONNECTIONS:
                self._words.pop(next(iter(self._words)))
            words = self._words[ends] = []
        if len(words) < MAX_WORDS:
            words.append(packet.payload)
            if self._name in packet.payload:
                self.first_words = words
                self._words = {}

    def _note_ends(self, packet: Packet) -> None:
        ends = (packet.target.port, packet.source.port)
        if packet.flags & SYN:
            self._first[ends] = packet.sequence
            self._fins.pop(ends, None)
            _bound(self._first)
        if packet.flags & FIN and ends in self._first:
            # Bytes between the SYN and the FIN.
            self._fins[ends] = (packet.sequence + packet.length - self._first[ends] - 1) % _WRAP
            _bound(self._fins)

    def counts_fin(self, local_port: int, remote_port: int, received: int) -> bool | None:
        """Return whether the FIN of the other side is among the received bytes.

        None stands for a connection whose FIN or SYN was not seen.
        """
        payload = self._fins.get((local_port, remote_port))
        if payload is None:
            return False if (local_port, remote_port) in self._first else None
        return received % _WRAP == (payload + 1) % _WRAP


def _bound(table: dict[tuple[int, int], int]) -> None:
    if len(table) > MAX_TARGETS:
        del table[next(iter(table))]
