"""The subnet of a lab, and the addresses of its nodes."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from torrentnet.lab.engines.subnets import assign_addresses, choose_subnet, host_routes, prefix_length
from torrentnet.lab.errors import EngineError


@pytest.mark.parametrize(
    ("nodes", "prefix"), [(1, 24), (20, 24), (253, 24), (254, 23), (509, 23), (510, 22), (1021, 22), (1022, 21)]
)
def test_every_node_gets_an_address_of_its_own(nodes: int, prefix: int) -> None:
    assert prefix_length(nodes) == prefix
    subnet = choose_subnet(nodes, [])
    addresses = assign_addresses(subnet, [f"n{index}" for index in range(nodes)])
    assert len(set(addresses.values())) == nodes
    assert all(address in subnet for address in addresses.values())
    # The first one is the gateway's.
    assert not {subnet[0], subnet[1], subnet.broadcast_address} & set(addresses.values())


def test_more_nodes_than_a_bridge_has_ports_are_refused() -> None:
    with pytest.raises(EngineError, match="1024 nodes do not fit on one bridge, which has 1023 ports"):
        choose_subnet(1024, [])


def test_used_subnets_are_not_chosen() -> None:
    used = [IPv4Network("198.18.0.0/24"), IPv4Network("198.18.1.128/25"), IPv4Network("10.0.0.0/8")]
    assert choose_subnet(5, used) == IPv4Network("198.18.2.0/24")
    assert choose_subnet(300, used) == IPv4Network("198.18.2.0/23")


def test_an_exhausted_pool_is_an_error() -> None:
    with pytest.raises(EngineError, match="no free subnet is left") as caught:
        choose_subnet(5, [IPv4Network("198.16.0.0/13")])
    assert "make down" in caught.value.hint


def test_host_routes_parses_the_kernels_table() -> None:
    table = (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "vpn\t000012C6\t00000000\t0001\t0\t0\t0\t0000FEFF\t0\t0\t0\n"
    )
    assert host_routes(table) == [IPv4Network("192.0.2.0/24"), IPv4Network("198.18.0.0/15")]
    assert host_routes("") == []
