"""Packets become events, within limits, and what probes need is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.adapters.observer.network.known_nodes import KnownNodes
from torrentnet.adapters.observer.network.packet_watch import EVENT_RATE, MAX_KEPT, PacketWatch
from torrentnet.adapters.observer.network.packets import ACK, FIN, SYN, TCP, UDP, Packet
from torrentnet.adapters.observer.settings import ObserverSettings, WantedFile
from torrentnet.runtime.events import Event, EventLog, parse_event
from torrentnet.wire.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN, PEER, TRACKER = Endpoint("198.18.0.4", 6882), Endpoint("198.18.0.3", 6881), Endpoint("198.18.0.2", 6771)
TOLD = Endpoint("127.0.0.1", 6771)
NODES = (("tracker", TRACKER), ("s1", PEER), ("me", OWN))


class World:
    """A watch of the node `me`, and its events."""

    def __init__(self, role: str = "get", *, datagrams: bool = True) -> None:
        self.lines: list[str] = []
        settings = ObserverSettings(
            role=role,
            name="me",
            argv=("x",),
            directory=Path(),
            listen=Endpoint("127.0.0.1", OWN.port),
            tracker=TOLD,
            wanted=WantedFile("a.txt", 14, ""),
            nodes=NODES,
            datagrams=datagrams,
        )
        nodes = KnownNodes("me", NODES, OWN.ip)
        self.watch = PacketWatch(settings, nodes, EventLog(self.lines.append), lambda: 5.0, frozenset)

    def events(self) -> list[Event]:
        return [event for line in self.lines if (event := parse_event(line)) is not None]

    def fields(self) -> list[Mapping[str, str]]:
        return [event.fields for event in self.events()]

    def datagram(
        self, payload: bytes, now: float = 100.0, *, outgoing: bool = True, target: Endpoint = TRACKER
    ) -> None:
        ends = (OWN, target) if outgoing else (target, OWN)
        self.watch.add(Packet(UDP, outgoing, *ends, payload, len(payload)), now)

    def segment(self, flags: int, payload: bytes = b"", sequence: int = 0, port: int = 40_000, **more: object) -> None:
        outgoing = bool(more.get("outgoing", True))
        here, there = Endpoint(OWN.ip, port), PEER
        ends = (here, there) if outgoing else (there, here)
        now = float(str(more.get("now", 100.0)))
        self.watch.add(Packet(TCP, outgoing, *ends, payload, len(payload), flags, sequence), now)


def test_a_datagram_is_reported_with_what_it_mentions() -> None:
    world = World()
    world.datagram(b"PEERS 127.0.0.1:6881 size=14", outgoing=False)
    assert world.fields() == [
        {
            "direction": "in",
            "from": "198.18.0.2:6771",
            "to": "198.18.0.4:6882",
            "bytes": "28",
            "nodes": "s1",
            "size": "true",
            "file": "false",
        }
    ]
    assert world.watch.kept[0].payload.startswith(b"PEERS")
    assert not world.watch.called_tracker


def test_a_datagram_to_the_tracker_is_noticed_without_reports() -> None:
    world = World(datagrams=False)
    world.datagram(b"GET a.txt", target=PEER)
    assert not world.watch.called_tracker
    world.datagram(b"HELLO")
    world.datagram(b"GET a.txt")
    world.datagram(b"GET a.txt again")
    assert world.watch.called_tracker
    assert world.watch.first_datagram == b"GET a.txt"
    assert not world.lines
    assert not world.watch.kept


def test_a_flood_of_datagrams_is_counted() -> None:
    world = World()
    for _ in range(2 * MAX_KEPT):
        world.datagram(b"x" * 3000)
    assert len(world.lines) == EVENT_RATE
    assert len(world.watch.kept) == MAX_KEPT
    assert len(world.watch.kept[0].payload) == 1500
    world.watch.lost(7)
    world.datagram(b"x", 101.0)
    assert world.fields()[-1]["left_out"] == str(2 * MAX_KEPT - int(EVENT_RATE) + 7)


def test_a_dialled_address_is_reported_once_a_second() -> None:
    world = World()
    for now in (100.0, 100.5, 101.2):
        world.segment(SYN, now=now)
    world.segment(SYN | ACK)
    world.segment(SYN, outgoing=False)
    assert [event.name for event in world.events()] == ["dialled", "dialled"]
    assert world.fields()[0] == {"address": "198.18.0.3:6881", "peer": "s1"}


def test_words_are_kept_up_to_the_files_name() -> None:
    world = World()
    world.segment(ACK, b"HELLO")
    world.segment(ACK, b"other", port=40_001)
    world.segment(ACK, b"served", port=OWN.port)
    assert world.watch.wants_words
    world.segment(ACK, b"GET a.txt\n")
    world.segment(ACK, b"GET a.txt\n", port=40_001)
    assert world.watch.first_words == [b"HELLO", b"GET a.txt\n"]
    assert not world.watch.wants_words
    assert not World("share").watch.wants_words


def test_a_fin_is_told_from_a_byte() -> None:
    world = World()
    first = (1 << 32) - 10
    world.segment(SYN | ACK, sequence=first, outgoing=False)
    assert world.watch.counts_fin(40_000, PEER.port, 500) is False
    world.segment(FIN | ACK, b"12345", sequence=(first + 1 + 1000) % (1 << 32), outgoing=False)
    assert world.watch.counts_fin(40_000, PEER.port, 1006) is True
    assert world.watch.counts_fin(40_000, PEER.port, 1005) is False
    assert world.watch.counts_fin(40_001, PEER.port, 1005) is None


def test_the_observers_own_probes_are_passed_over() -> None:
    world = World()
    world.watch.own_ports.add(OWN.port)
    world.datagram(b"GET a.txt")
    world.datagram(b"answer", outgoing=False)
    assert not world.lines
    assert not world.watch.called_tracker
