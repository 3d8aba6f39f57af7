"""The 68 bytes of a handshake, real clients' bits in them, and names in peer ids."""

from __future__ import annotations

import pytest

from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer import handshake
from torrentnet.wire.peer.handshake import Handshake

HASH, PEER = b"H" * 20, b"-NL0100-abcdefghijkl"


@pytest.mark.parametrize(
    ("extended", "fast", "reserved"),
    [
        (True, True, "0000000000100004"),
        (True, False, "0000000000100000"),
        (False, True, "0000000000000004"),
        (False, False, "00" * 8),
    ],
)
def test_golden(extended: bool, fast: bool, reserved: str) -> None:
    packet = handshake.pack_handshake(Handshake(HASH, PEER, extended, fast))
    assert packet == b"\x13BitTorrent protocol" + bytes.fromhex(reserved) + HASH + PEER
    assert len(packet) == handshake.HANDSHAKE_SIZE == 68
    assert handshake.parse_handshake(packet) == Handshake(HASH, PEER, extended, fast)


@pytest.mark.parametrize(
    ("client", "reserved"),
    [("aria2", "0000000000100005"), ("transmission", "0000000000100004"), ("bits we do not know", "ffffffffffffffff")],
)
def test_other_clients_bits(client: str, reserved: str) -> None:
    packet = handshake.PROTOCOL + bytes.fromhex(reserved) + HASH + PEER
    assert handshake.parse_handshake(packet) == Handshake(HASH, PEER, extended=True, fast=True), client


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x13BitTorrent protocol",
        bytes(68),
        b"\x13bittorrent protocol" + bytes(48),
        handshake.PROTOCOL + bytes(49),
    ],
)
def test_other_bytes_are_not_a_handshake(data: bytes) -> None:
    with pytest.raises(PeerProtocolError, match="not a BitTorrent handshake"):
        handshake.parse_handshake(data)


def test_every_beginning_of_a_handshake_looks_like_one() -> None:
    packet = handshake.pack_handshake(Handshake(HASH, PEER))
    assert all(handshake.may_be_handshake(packet[:size]) for size in range(69))


@pytest.mark.parametrize("data", [b"\x12", b"\x14BitTorrent", b"GET / HTTP/1.1", b"\x13BitTorrent protocoL", b"\x13X"])
def test_other_bytes_are_rejected_at_once(data: bytes) -> None:
    assert not handshake.may_be_handshake(data)


def test_our_own_peer_id() -> None:
    made = handshake.make_peer_id(b"abcdefghijkl")
    assert made == PEER
    for size in (11, 13):
        with pytest.raises(ValueError, match="12 random bytes"):
            handshake.make_peer_id(bytes(size))
