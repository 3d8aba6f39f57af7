"""Which IPv4 addresses a lab gets.

The subnets come from 198.18.0.0/15, which RFC 2544 reserves for benchmarks: no office, home or cloud uses it. Each lab
has a subnet of its own, so that two labs on one machine do not meet.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import typed_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

POOL: Final = ipaddress.IPv4Network("198.18.0.0/15")
LONGEST_PREFIX: Final = 24
RESERVED: Final = 3
"""Addresses of the network itself, the gateway and the broadcast."""
BRIDGE_PORTS: Final = 1023
"""A Linux bridge has 1,024 ports; the host uses one."""
ROUTES: Final = Path("/proc/net/route")


def prefix_length(nodes: int) -> int:
    """Return the longest prefix whose subnet has an address for each node.

    The prefix is at most /24. Raises EngineError.
    """
    if nodes > BRIDGE_PORTS:
        raise EngineError(
            f"{nodes} nodes do not fit on one bridge, which has {BRIDGE_PORTS} ports",
            hint="lower the counts in the scenario",
        )
    return min(LONGEST_PREFIX, 32 - (nodes + RESERVED - 1).bit_length())


def choose_subnet(nodes: int, used: Iterable[IPv4Network]) -> IPv4Network:
    """Return the first free subnet of the pool that is large enough.

    A free subnet overlaps none of ``used``. Raises EngineError.
    """
    used = [network for network in used if network.overlaps(POOL)]
    for candidate in POOL.subnets(new_prefix=prefix_length(nodes)):
        if not any(candidate.overlaps(network) for network in used):
            return candidate
    raise EngineError(
        f"no free subnet is left in {POOL}",
        hint=f"see `docker network ls`; `{typed_command('down')}` in the other directories ends their labs",
    )


def assign_addresses(subnet: IPv4Network, nodes: Sequence[str]) -> dict[str, IPv4Address]:
    """Return an address for each node, in the nodes' order.

    The subnet's first address is the gateway's.
    """
    return {node: subnet[index + 2] for index, node in enumerate(nodes)}


def host_routes(table: str | None = None) -> list[IPv4Network]:
    """Return the networks that this machine has routes to.

    The result is empty where the machine does not publish its routes.

    ``table`` is the text of ``/proc/net/route``: one route a line, address and mask as little-endian hexadecimal.
    """
    if table is None:
        try:
            table = ROUTES.read_text(encoding="ascii")
        except OSError:
            return []
    networks = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8:
            continue
        address = int.from_bytes(bytes.fromhex(fields[1]), "little")
        mask = int.from_bytes(bytes.fromhex(fields[7]), "little")
        if mask:
            networks.append(IPv4Network((address, mask.bit_count())))
    return networks
