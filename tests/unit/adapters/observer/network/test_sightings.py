"""Names, addresses, ports and sizes are found in datagrams of any format."""

from __future__ import annotations

import json
import pickle
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.adapters.observer.network.sightings import DatagramReader, Sighting
from torrentnet.wire.endpoint import Endpoint

SIZE = 1_048_583
NODES = [
    ("tracker", Endpoint("198.18.0.2", 6771)),
    ("s1", Endpoint("198.18.0.3", 6881)),
    ("s2", Endpoint("198.18.0.4", 6882)),
]
TOLD = DatagramReader(NODES, "my file.txt", SIZE)
REAL = DatagramReader([(name, Endpoint(one.ip, 6881)) for name, one in NODES], "my file.txt", SIZE)


def nodes(payload: bytes, reader: DatagramReader = TOLD) -> list[str]:
    return list(reader.read(payload).nodes)


@pytest.mark.parametrize(
    "payload",
    [
        b"PEERS 127.0.0.1:6881",
        json.dumps({"peers": [["127.0.0.1", 6881]]}).encode(),
        pickle.dumps([("127.0.0.1", 6881)]),
        socket.inet_aton("127.0.0.1") + struct.pack(">H", 6881),
        struct.pack("<IH", struct.unpack(">I", socket.inet_aton("127.0.0.1"))[0], 6881),
        b"127.0.0.1\0" + struct.pack("<H", 6881),
        socket.inet_aton("198.18.0.3") + struct.pack(">H", 40_000),
        b"198.18.0.3:40000",
        b"port=6881",
    ],
    ids=["text", "json", "pickle", "packed", "little endian", "mixed", "packed address", "address", "port alone"],
)
def test_a_node_is_seen_in_any_format(payload: bytes) -> None:
    assert nodes(payload) == ["s1"]


def test_several_nodes_are_seen_in_the_order_of_the_lab() -> None:
    assert nodes(b"127.0.0.1:6882,127.0.0.1:6881") == ["s1", "s2"]
    packed = b"".join(socket.inet_aton("127.0.0.1") + struct.pack(">H", port) for port in (6882, 6881, 6771))
    assert nodes(packed) == ["tracker", "s1", "s2"]


@pytest.mark.parametrize(
    "payload",
    [
        b"168810 26881 6881000",
        struct.pack(">H", 6881) * 3,
        b"127.0.0.1" + bytes(40) + struct.pack(">H", 6881),
        b"198.18.0.30 198.18.0.3.7 1198.18.0.3",
        b"",
    ],
    ids=["longer numbers", "no address", "far from an address", "other addresses", "nothing"],
)
def test_what_only_looks_like_a_node_is_none(payload: bytes) -> None:
    assert nodes(payload) == []


def test_a_port_that_all_nodes_have_tells_nothing() -> None:
    assert nodes(b"198.18.0.4:6881", REAL) == ["s2"]
    assert nodes(b"port 6881", REAL) == []


@pytest.mark.parametrize(
    ("payload", "size", "file"),
    [
        (b"my file.txt 1048583", True, True),
        (struct.pack(">Q", SIZE), True, False),
        (struct.pack("<I", SIZE), True, False),
        (b"GET my file.txt", False, True),
        (b"11048583 10485830", False, False),
    ],
)
def test_size_and_name_are_seen(payload: bytes, size: bool, file: bool) -> None:
    assert TOLD.read(payload) == Sighting((), size, file)


def test_a_name_in_json_is_seen() -> None:
    reader = DatagramReader([], 'ä"b.txt', None)
    assert reader.read(json.dumps({"file": 'ä"b.txt'}).encode()).file
    assert not reader.read(b"").file
    assert not DatagramReader([], "", None).read(b"x").file


@given(st.binary(max_size=200))
def test_any_datagram_can_be_read(payload: bytes) -> None:
    TOLD.read(payload)
