"""Which addresses a lab gets.

The subnets come from 198.18.0.0/15, which RFC 2544 sets aside for benches: no office, no home and no cloud uses it. A
lab has a subnet of its own, so that two labs on one machine do not meet.
"""

from __future__ import annotations

import contextlib
import ipaddress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import typed_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import docker

POOL = ipaddress.IPv4Network("198.18.0.0/15")
LONGEST_PREFIX = 24
RESERVED = 3
"""The network's own address, the gateway's and the broadcast's."""
BRIDGE_PORTS = 1023
"""A Linux bridge has 1,024 ports, and one is the host's."""
ROUTES = Path("/proc/net/route")


def prefix_length(nodes: int) -> int:
    """The longest prefix, /24 at most, whose subnet has an address for each node."""
    if nodes > BRIDGE_PORTS:
        raise EngineError(
            f"{nodes} nodes do not fit on one bridge, which has {BRIDGE_PORTS} ports",
            hint="lower the counts in the scenario",
        )
    return min(LONGEST_PREFIX, 32 - (nodes + RESERVED - 1).bit_length())


def choose_subnet(nodes: int, used: Iterable[IPv4Network]) -> IPv4Network:
    """The first subnet of the pool that is large enough and meets none of ``used``."""
    in_pool = [network for network in used if network.overlaps(POOL)]
    for candidate in POOL.subnets(new_prefix=prefix_length(nodes)):
        if not any(candidate.overlaps(network) for network in in_pool):
            return candidate
    raise EngineError(
        f"no free subnet is left in {POOL}",
        hint=f"see `docker network ls`; `{typed_command('down')}` in the other directories ends their labs",
    )


def assign_addresses(subnet: IPv4Network, nodes: Sequence[str]) -> dict[str, IPv4Address]:
    """One address a node, in their order; the first address of the subnet is the gateway's."""
    return {node: subnet[index + 2] for index, node in enumerate(nodes)}


def host_routes(table: str | None = None) -> list[IPv4Network]:
    """The networks that this machine has routes to; empty where it does not tell.

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


def used_subnets(client: docker.DockerClient) -> list[IPv4Network]:
    """The subnets that a new one must not meet: the engine's other networks and what this machine has routes to."""
    networks = host_routes()
    for row in client.api.networks():
        for config in (row.get("IPAM") or {}).get("Config") or []:
            # What is no IPv4 subnet is in nobody's way.
            with contextlib.suppress(ValueError):
                networks.append(IPv4Network(config.get("Subnet", "")))
    return networks
