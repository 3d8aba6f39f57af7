"""Translation of 127.0.0.1 to the nodes of a lab.

A program that was written for one machine binds to 127.0.0.1, and expects the others there, each at a port of its
own. In its node, packets to another node's port of 127.0.0.1 get that node's address, and what arrives for a port on
which nothing listens but 127.0.0.1 gets there.

The rules are in chains of our own in the table ``nat``. Cuts, losses and shaping see the nodes' own addresses: what
leaves has been translated before it is shaped, and an arriving packet keeps its source.

Tested by tests/unit/lab/network/test_render.py and tests/integration/test_foreign_nodes.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.command_lines import listen_ports, uses_machine_addresses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.scenario.plan.plan import Plan

OUT: Final = "TORRENTNET-OUT"
IN: Final = "TORRENTNET-IN"
BACK: Final = "TORRENTNET-BACK"
HOOKS: Final = {OUT: "OUTPUT", IN: "PREROUTING", BACK: "POSTROUTING"}
"""Our chains, and where the kernel jumps to them."""

REMOVE: Final = "".join(
    f"while iptables -w -t nat -D {hook} -j {chain} 2>/dev/null; do :; done\n"
    f"if iptables -w -t nat -F {chain} 2>/dev/null; then iptables -w -t nat -X {chain}; fi\n"
    for chain, hook in HOOKS.items()
)
"""Removes what is ours, whatever exists of it."""

# A container has this setting from its creation, and cannot write it.
ALLOW_ROUTES: Final = """\
allowed=/proc/sys/net/ipv4/conf/all/route_localnet
[ "$(cat $allowed)" = 1 ] || echo 1 >$allowed
"""


@dataclass(frozen=True, slots=True)
class LoopbackTranslation:
    """What 127.0.0.1 means in one node."""

    others: tuple[tuple[str, str, int], ...]
    """The other nodes: name, IPv4 address, and the port at which programs are told to expect it."""

    def script(self, address: str) -> str:
        """Return the shell lines that set the rules in the node with this address.

        None of the rules may exist.
        """
        lines = ["*nat", *(f":{chain} - [0:0]" for chain in HOOKS)]
        for name, other, port in self.others:
            lines.append(f"# port {port} of this machine is {name}")
            lines += [
                f"-A {OUT} -d 127.0.0.1/32 -p {protocol} --dport {port} -j DNAT --to-destination {other}:{port}"
                for protocol in ("tcp", "udp")
            ]
        # The kernel drops what leaves with this source.
        lines.append(f"-A {BACK} -s 127.0.0.0/8 ! -o lo -j SNAT --to-source {address}")
        for protocol in ("tcp", "udp"):
            # A socket that is open for this address replies from it: a translated request would not get that reply.
            lines.append(f"-A {IN} -d {address}/32 ! -i lo -p {protocol} -m socket --nowildcard -j RETURN")
            lines.append(f"-A {IN} -d {address}/32 ! -i lo -p {protocol} -j DNAT --to-destination 127.0.0.1")
        lines += [f"-I {hook} -j {chain}" for chain, hook in HOOKS.items()]
        text = "\n".join([*lines, "COMMIT", ""])
        return f"{ALLOW_ROUTES}iptables-restore --noflush -w <<END\n{text}END\n"


def translations(plan: Plan, addresses: Mapping[str, str]) -> dict[str, LoopbackTranslation]:
    """Return the translation of each node whose program is told 127.0.0.1.

    ``addresses``: name to IPv4 address of every node.
    """
    ports = listen_ports(plan.nodes)
    return {
        node.name: LoopbackTranslation(
            tuple((other, addresses[other], port) for other, port in ports.items() if other != node.name)
        )
        for node in plan.nodes
        if uses_machine_addresses(node)
    }
