"""Nodes are recognised by their own address, and by the port that they were told."""

from __future__ import annotations

import pytest

from torrentnet.adapters.observer.network.known_nodes import KnownNodes
from torrentnet.wire.endpoint import Endpoint

OWN = "198.18.0.2"
TOLD = KnownNodes(
    "a",
    [("a", Endpoint(OWN, 6881)), ("b", Endpoint("198.18.0.3", 6882)), ("c", Endpoint("198.18.0.4", 6883))],
    OWN,
)
REAL = KnownNodes("a", [(name, Endpoint(f"198.18.0.{n}", 6881)) for n, name in enumerate("abc", 2)], OWN)


@pytest.mark.parametrize(
    ("remote", "peer"),
    [
        (Endpoint("198.18.0.3", 6882), "198.18.0.3"),
        (Endpoint("198.18.0.3", 40_000), "198.18.0.3"),
        (Endpoint("127.0.0.1", 6883), "198.18.0.4"),
        (Endpoint("127.0.0.1", 40_000), None),
        (Endpoint("127.0.0.1", 6881), None),
        (Endpoint(OWN, 6881), None),
        (Endpoint("203.0.113.9", 80), "203.0.113.9"),
    ],
)
def test_the_far_end_of_a_connection_is_a_node(remote: Endpoint, peer: str | None) -> None:
    assert TOLD.peer_address(remote) == peer


def test_other_nodes_have_names() -> None:
    assert TOLD.name_of(Endpoint("127.0.0.1", 6883)) == "c"
    assert TOLD.name_of(Endpoint("198.18.0.3", 1)) == "b"
    assert TOLD.name_of(Endpoint("203.0.113.9", 80)) is None
    assert TOLD.name_of(Endpoint(OWN, 6881)) is None


def test_a_port_of_all_tells_nothing() -> None:
    assert REAL.peer_address(Endpoint("127.0.0.1", 6881)) is None
    assert REAL.peer_address(Endpoint("198.18.0.4", 6881)) == "198.18.0.4"


def test_loopback_addresses_are_of_a_shared_network() -> None:
    assert not TOLD.shared_network
    shared = KnownNodes("a", [("a", Endpoint("127.64.0.2", 6881)), ("b", Endpoint("127.64.0.3", 6881))], "127.64.0.2")
    assert shared.shared_network
    assert shared.peer_address(Endpoint("127.64.0.3", 5)) == "127.64.0.3"
    assert KnownNodes("a", [], "").shared_network
