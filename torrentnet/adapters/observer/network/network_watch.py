"""Everything that is seen of a program's network, as events."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from torrentnet.adapters.observer.network.known_nodes import KnownNodes
from torrentnet.adapters.observer.network.packet_watch import PacketWatch
from torrentnet.adapters.observer.network.packets import PacketCapture
from torrentnet.adapters.observer.network.pairs import PairBytes, PairCounter
from torrentnet.adapters.observer.network.sock_diag import CONNECTING, ConnectionSource
from torrentnet.adapters.observer.network.socket_table import OpenSocket, Readiness, SocketOwner, read_sockets
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.errors import os_error_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torrentnet.adapters.observer.network.sock_diag import TcpConnection
    from torrentnet.adapters.observer.settings import ObserverSettings
    from torrentnet.runtime.events import EventLog
    from torrentnet.runtime.system import System

BUSY_INTERVAL: Final = 0.05
"""Seconds between two looks at the connections of a node that downloads."""
IDLE_INTERVAL: Final = 0.1
SOCKETS_INTERVAL: Final = 0.5
"""Seconds between two looks at the sockets of a program that is up."""
SETTLED_INTERVAL: Final = 2.0
"""Seconds between two looks at the sockets of a program of which everything is known."""
FILE_ROLES: Final = ("share", "get")
CONNECTING_TIME: Final = 1.5
"""Seconds after a SYN in which a new connection may appear."""
DUMP_INTERVAL: Final = 5.0
"""Longest time between two looks at all connections."""
DIAL_INTERVAL: Final = 1.0
"""The same while the node may call others. No packet shows a call to a dead node: its ARP request is not answered."""
DUMP_SHARE_OF_TIME: Final = 0.05
"""Most of the time that these looks take: in a kernel with a large table, one takes many milliseconds."""
PACKETS_AT_ONCE: Final = 1000
"""Packets that are read in one turn, so that the program's terminal does not wait long."""


class NetworkWatch:
    """Sockets, connections and packets of one program.

    ``processes`` returns the program's processes.
    """

    def __init__(
        self,
        settings: ObserverSettings,
        events: EventLog,
        system: System,
        processes: Callable[[], Iterable[int]],
    ) -> None:
        self._settings = settings
        self._events = events
        self._system = system
        self.nodes = KnownNodes(settings.name, settings.nodes, settings.address)
        shared = self.nodes.shared_network
        self._owner = SocketOwner(
            settings.user[0] if settings.user is not None else None, processes if shared else None
        )
        self._sockets: list[OpenSocket] = []
        self._readiness = Readiness(
            settings.role, settings.listen, settings.address, settings.ready, system.monotonic()
        )
        self._sockets_at = self._connections_at = 0.0
        self._dumped_at = float("-inf")
        self._dump_took = 0.0
        self._have = 0
        self._told_missing = False
        self.up = False
        """Whether the program counts as up."""
        self.totals: dict[str, PairBytes] = {}
        """Bytes to and from each peer, by its address."""
        self.packets = PacketWatch(settings, self.nodes, events, system.wall_time, self._udp_ports)
        self._pairs = PairCounter(self.nodes, self._owns, self.packets.counts_fin)
        self._source: ConnectionSource | None = None
        self.capture: PacketCapture | None = None
        """The captured packets; None where the kernel does not allow to capture any."""
        self._filter: tuple[bool, bool] | None = None

    @property
    def listens(self) -> bool:
        """Whether the program had a socket that others can reach at the last look."""
        return self._readiness.address is not None

    @property
    def received(self) -> int:
        """Payload bytes that peers have sent, without the tracker's."""
        tracker = self._settings.tracker
        other = self.nodes.peer_address(tracker) if tracker is not None else None
        return sum(total.received for peer, total in self.totals.items() if peer != other)

    def start(self) -> None:
        """Begin to watch, before the program runs."""
        try:
            self._source = ConnectionSource()
        except OSError as error:
            self._blind("bytes between nodes are not measured", error)
        try:
            self.capture = PacketCapture(shared=self.nodes.shared_network)
            self._set_filter()
        except OSError as error:
            if self._settings.datagrams:
                self._blind("datagrams are not seen", error)

    def _blind(self, what: str, error: OSError) -> None:
        self._events.warning("blind", reason=f"{what}: {os_error_text(error)}")

    def begin(self) -> None:
        """Count the time until the program is up from now on."""
        settings = self._settings
        now = self._system.monotonic()
        self._readiness = Readiness(settings.role, settings.listen, settings.address, settings.ready, now)

    def sockets(self) -> list[OpenSocket]:
        """Return the program's sockets as they are now."""
        return read_sockets(self._owner, self._source.listening if self._source is not None else None)

    # -- looks -------------------------------------------------------------------------------------

    def look(self, now: float, *, complete: bool) -> None:
        """Look at what has changed; ``complete`` says that the node has its file."""
        settled = self.up and (self._settings.role not in FILE_ROLES or (complete and self.listens))
        if now >= self._sockets_at + (SETTLED_INTERVAL if settled else SOCKETS_INTERVAL if self.up else BUSY_INTERVAL):
            self._sockets_at = now
            self._look_at_sockets(now)
        busy = self._settings.role == "get" and not complete
        if now >= self._connections_at + (BUSY_INTERVAL if busy else IDLE_INTERVAL):
            self._connections_at = now
            self.count(now, dump=self._dump_is_due(now, DIAL_INTERVAL if busy else DUMP_INTERVAL))
            if busy:
                self._report_progress()

    def _look_at_sockets(self, now: float) -> None:
        self._sockets = self.sockets()
        up = self._readiness.check(self._sockets, now, called_tracker=self.packets.called_tracker)
        if not self.up and not self._told_missing and (reason := self._readiness.missing(now)):
            self._told_missing = True
            self._events.error("error", reason=reason)
        if up and not self.up:
            self.up = True
            self._events.emit(
                "listening",
                program=os.path.basename(self._settings.argv[0]),
                name=self._settings.name,
                address=self._readiness.address,
            )

    def _dump_is_due(self, now: float, interval: float) -> bool:
        """Return whether connections may have changed, and looking is worth its time."""
        if now < self._dumped_at + self._dump_took / DUMP_SHARE_OF_TIME:
            return False
        fresh = now < self.packets.connecting_at + CONNECTING_TIME
        return self.capture is None or fresh or self._pairs.any_open or now >= self._dumped_at + interval

    def count(self, now: float, *, last: bool = False, dump: bool = True) -> None:
        """Count the bytes of all connections, and report the changes.

        Without ``dump``, only the connections that have ended are new.
        """
        if self._source is None:
            self.read_packets(now)
            return
        try:
            # In this order: what ends after the dump is in the second list, and its last packet has been captured.
            existing = self._source.existing() if dump else None
            if dump:
                self._dumped_at = now
                self._dump_took = self._system.monotonic() - now
            ended = self._source.ended()
        except OSError as error:
            self._source.close()
            self._source = None
            self._blind("bytes between nodes are no longer measured", error)
            return
        self.read_packets(now)
        if existing is not None:
            self._report_calls(existing, now)
            existing = [one for one in existing if one.state != CONNECTING]
        self._pairs.update(existing, ended)
        self.totals = self._pairs.totals()
        for peer in self._pairs.changed(self.totals, now, last=last):
            total = self.totals[peer]
            self._events.emit("pair", peer=peer, received=total.received, sent=total.sent)

    def _report_calls(self, connections: Iterable[TcpConnection], now: float) -> None:
        for one in connections:
            if one.state == CONNECTING and self._owns(one):
                address = self.nodes.peer_address(one.remote)
                if address is not None:
                    self.packets.dial(Endpoint(address, one.remote.port), now)

    def _report_progress(self) -> None:
        wanted = self._settings.wanted
        if wanted is None or not wanted.size:
            return
        have = min(99, 100 * self.received // wanted.size)
        if have > self._have:
            self._have = have
            self._emit_progress(have)

    def report_complete(self) -> None:
        """Report that the node has its whole file."""
        self._emit_progress(100)

    def _emit_progress(self, have: int) -> None:
        wanted = self._settings.wanted
        assert wanted is not None
        self._events.emit("progress", file=wanted.name, have=have, pieces=100, bytes=self.received, size=wanted.size)

    def _owns(self, connection: TcpConnection) -> bool:
        if connection.local.port in self.packets.own_ports:
            return False
        # A socket that the program has closed has neither user nor inode: in a network of its own, all are its.
        return not self.nodes.shared_network or self._owner.owns(connection.user, connection.inode)

    def _udp_ports(self) -> frozenset[int]:
        return frozenset(one.address.port for one in self._sockets if one.protocol == "udp")

    # -- packets -----------------------------------------------------------------------------------

    def read_packets(self, now: float) -> None:
        """Read the captured packets."""
        if self.capture is None:
            return
        for _ in range(PACKETS_AT_ONCE):
            try:
                packet = self.capture.read()
            except OSError:
                break
            if packet is not None:
                self.packets.add(packet, now)
        self.packets.lost(self.capture.lost())
        self._set_filter()

    def _set_filter(self) -> None:
        """Capture no more than what is still of use."""
        assert self.capture is not None
        wanted = (self._settings.datagrams or not self.up, self.packets.wants_words)
        if wanted != self._filter:
            self._filter = wanted
            self.capture.set_filter(datagrams=wanted[0], words=wanted[1])

    def close(self) -> None:
        """Stop watching."""
        if self._source is not None:
            self._source.close()
        if self.capture is not None:
            self.capture.close()
