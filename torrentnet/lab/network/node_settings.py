"""Each node's settings: rules for what arrives, shaping for what leaves.

The settings follow from the network's desired state. The functions are pure.

Tested by tests/unit/lab/network/test_render.py.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from torrentnet.lab.network.impairment import PacketImpairment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.network.impairment import CapabilitySplit
    from torrentnet.lab.network.loopback import LoopbackTranslation
    from torrentnet.lab.scenario.qualities import LinkQualities, Pair

NO_IMPAIRMENT: Final = PacketImpairment()
MAX_NODES: Final = 0xFFF
"""The number of a u32 filter has twelve bits; a bridge has 1,023 ports anyway."""


@dataclass(frozen=True, slots=True)
class IncomingLink:
    """What happens to packets from one source when they arrive."""

    source: str
    address: str
    """The source's IPv4 address."""
    cut: bool
    loss: float
    """Share of packets that are dropped, 0 to 1."""
    impairment: PacketImpairment
    """What the user-space path does."""

    @property
    def is_cut(self) -> bool:
        """Whether no packet passes."""
        return self.cut or self.loss >= 1


@dataclass(frozen=True, slots=True)
class OutgoingLink:
    """What happens to packets for one destination when they leave."""

    destination: str
    address: str
    """The destination's IPv4 address."""
    number: int
    """From 1; fixed for this destination as long as the lab exists, so that one class can be changed alone."""
    rate: float | None
    """Bits a second."""
    impairment: PacketImpairment
    """What netem does."""
    uplink: float | None = None
    """Bits a second of everything that the node sends; None for no limit."""
    sharers: int = 1
    """How many destinations share the uplink, each with an equal part."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Everything that is set in one node; equal settings need no work."""

    node: str
    address: str
    incoming: tuple[IncomingLink, ...] = ()
    outgoing: tuple[OutgoingLink, ...] = ()
    single_packets: bool = False
    """Whether the node must send single packets to the network, not segments of 64 KiB for a network card to split."""
    translation: LoopbackTranslation | None = None
    """What 127.0.0.1 means in the node; None for nothing but the node itself."""

    @property
    def empty(self) -> bool:
        """Whether nothing is set."""
        return not (self.incoming or self.outgoing or self.single_packets or self.translation)

    @property
    def uplink(self) -> float | None:
        """Bits a second of everything that the node sends; None for no limit."""
        return min((link.uplink for link in self.outgoing if link.uplink), default=None)

    @property
    def impaired(self) -> dict[str, PacketImpairment]:
        """What the user-space path does, by source address."""
        return {link.address: link.impairment for link in self.incoming if link.impairment}

    @property
    def dropping(self) -> tuple[IncomingLink, ...]:
        """The sources whose packets are dropped, without any other impairment."""
        return tuple(replace(link, impairment=NO_IMPAIRMENT) for link in self.incoming if link.cut or link.loss)


def node_settings(
    links: Mapping[Pair, LinkQualities],
    nodes: Mapping[str, str],
    split: CapabilitySplit,
    translations: Mapping[str, LoopbackTranslation] | None = None,
) -> dict[str, NodeSettings]:
    """Return the settings of all nodes for the links of a state.

    ``nodes``: name to IPv4 address. ``nodes`` must be the same, in the same order, as long as the lab exists. Raises
    ValueError for more than :data:`MAX_NODES` nodes, KeyError for a pair with an unknown node.
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
        received, sent = split.at_receiver(asked), split.at_sender(asked)
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
        node: NodeSettings(
            node,
            address,
            tuple(incoming[node]),
            tuple(outgoing[node]),
            node in single,
            (translations or {}).get(node),
        )
        for node, address in nodes.items()
    }
