"""What the desired state means for each node: rules for what arrives, shaping for what leaves. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torrentnet.lab.network.impairment import PacketImpairment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.network.impairment import CapabilitySplit
    from torrentnet.lab.scenario.qualities import LinkQualities, Pair

NO_IMPAIRMENT = PacketImpairment()
MAX_NODES = 0xFFF
"""A u32 filter's number has twelve bits; a bridge has 1,023 ports anyway."""


@dataclass(frozen=True, slots=True)
class IncomingLink:
    """What happens to the packets of one source when they arrive."""

    source: str
    address: str
    """The source's IPv4 address."""
    cut: bool
    loss: float
    """Share of packets that are thrown away, 0 to 1."""
    impairment: PacketImpairment
    """What the user-space path does."""


@dataclass(frozen=True, slots=True)
class OutgoingLink:
    """What happens to the packets for one destination when they leave."""

    destination: str
    address: str
    """The destination's IPv4 address."""
    number: int
    """From 1; the same for this destination as long as the lab lives, so that one class can be changed alone."""
    rate: float | None
    """Bits a second."""
    impairment: PacketImpairment
    """What netem does."""
    uplink: float | None = None
    """Bits a second of all that the node sends together; None for no limit."""
    sharers: int = 1
    """How many destinations have that in common, each with an equal right to it."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Everything that is set in one node. Two equal settings need no work."""

    node: str
    address: str
    incoming: tuple[IncomingLink, ...] = ()
    outgoing: tuple[OutgoingLink, ...] = ()
    single_packets: bool = False
    """Whether the node must hand single packets to the network, not 64 KiB that a network card would cut up."""

    @property
    def empty(self) -> bool:
        """Whether nothing is set."""
        return not (self.incoming or self.outgoing or self.single_packets)

    @property
    def uplink(self) -> float | None:
        """Bits a second of all that the node sends together; None for no limit."""
        return min((way.uplink for way in self.outgoing if way.uplink), default=None)

    @property
    def impaired(self) -> dict[str, PacketImpairment]:
        """What the user-space path does, by the source's address."""
        return {way.address: way.impairment for way in self.incoming if way.impairment}

    @property
    def dropping(self) -> tuple[IncomingLink, ...]:
        """The sources of which packets are thrown away, as if nothing else were done to them."""
        return tuple(replace(way, impairment=NO_IMPAIRMENT) for way in self.incoming if way.cut or way.loss)


def node_settings(
    links: Mapping[Pair, LinkQualities], nodes: Mapping[str, str], division: CapabilitySplit
) -> dict[str, NodeSettings]:
    """The settings of all nodes (name to IPv4 address) for the links of a state.

    ``nodes`` must be the same, in the same order, as long as the lab lives. Raises ValueError for more than
    :data:`MAX_NODES` nodes, KeyError for a pair with a node that is not among them.
    """
    if len(nodes) > MAX_NODES:
        raise ValueError(f"{len(nodes)} nodes: the network shapes {MAX_NODES} at most")
    numbers = {node: index for index, node in enumerate(nodes, 1)}
    incoming: defaultdict[str, list[IncomingLink]] = defaultdict(list)
    outgoing: defaultdict[str, list[OutgoingLink]] = defaultdict(list)
    single: set[str] = set()
    sharers = Counter(
        source for (source, destination), asked in links.items() if asked.uplink and source != destination
    )
    for pair in sorted(links, key=lambda pair: (numbers[pair[0]], numbers[pair[1]])):
        source, destination = pair
        if source == destination:
            continue  # what a node sends to itself crosses no network
        asked = links[pair]
        received, sent = division.at_receiver(asked), division.at_sender(asked)
        if asked.cut or asked.loss or received:
            incoming[destination].append(
                IncomingLink(source, nodes[source], bool(asked.cut), asked.loss or 0.0, received)
            )
        if asked.rate or asked.uplink or sent:
            shared = (asked.uplink, sharers[source]) if asked.uplink else ()
            outgoing[source].append(
                OutgoingLink(destination, nodes[destination], numbers[destination], asked.rate, sent, *shared)
            )
        if asked.rate or asked.uplink or asked.loss or received or sent:
            single.add(source)
    return {
        node: NodeSettings(node, address, tuple(incoming[node]), tuple(outgoing[node]), node in single)
        for node, address in nodes.items()
    }
