"""A network of a test's or a benchmark's own, on a subnet that nobody else has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import docker.errors
from docker.types import IPAMConfig, IPAMPool

import docker
from torrentnet.lab.engines.docker.compose import OVERLAP, used_subnets
from torrentnet.lab.engines.subnets import choose_subnet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Network

ATTEMPTS: Final = 20


def make_network(
    client: docker.DockerClient, name: str, nodes: int, labels: Mapping[str, str]
) -> tuple[str, IPv4Network]:
    """Create a network for ``nodes`` nodes; return its id and its subnet.

    Another subnet is chosen if another process was first to use the chosen one.
    """
    attempts = 0
    while True:
        subnet = choose_subnet(nodes, used_subnets(client))
        try:
            made = client.api.create_network(
                name,
                driver="bridge",
                ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))]),
                internal=True,  # nobody out there is asked for anything
                labels=dict(labels),
            )
        except docker.errors.APIError as error:
            attempts += 1
            if OVERLAP not in str(error) or attempts == ATTEMPTS:
                raise
        else:
            return str(made["Id"]), subnet
