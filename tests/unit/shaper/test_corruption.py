"""Corruption, checked with the checksum that a receiver computes."""

from __future__ import annotations

import random
import struct

from hypothesis import given
from hypothesis import strategies as st

from torrentnet.shaper.corruption import destination_address, flip_random_bit

ADDRESSES = bytes([198, 18, 0, 4, 198, 18, 0, 5])
TCP = 6


def total(data: bytes) -> int:
    """The ones' complement sum of RFC 1071."""
    data += bytes(len(data) % 2)
    value: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def segment(content: bytes) -> bytes:
    """A TCP segment with a correct checksum (RFC 9293, section 3.1) in an IPv4 packet."""
    pseudo = ADDRESSES + bytes([0, TCP]) + struct.pack("!H", 20 + len(content))
    header = struct.pack("!HHIIBBHHH", 6881, 40000, 1, 2, 0x50, 0x10, 500, 0, 0)
    checksum = total(pseudo + header + content) ^ 0xFFFF
    header = header[:16] + struct.pack("!H", checksum) + header[18:]
    return bytes([0x45, 0]) + struct.pack("!HHHBBH", 40 + len(content), 0, 0, 64, TCP, 0) + ADDRESSES + header + content


def is_sound(packet: bytes) -> bool:
    pseudo = packet[12:20] + bytes([0, TCP]) + struct.pack("!H", len(packet) - 20)
    return total(pseudo + packet[20:]) == 0xFFFF


@given(st.binary(max_size=100), st.integers())
def test_the_receivers_checksum_always_detects_it(content: bytes, seed: int) -> None:
    packet = segment(content)
    assert is_sound(packet)
    changed = flip_random_bit(packet, random.Random(seed))
    assert changed[:20] == packet[:20]
    assert not is_sound(changed)
    assert sum((a ^ b).bit_count() for a, b in zip(packet, changed, strict=True)) == 1


@given(st.binary(max_size=80))
def test_garbage_keeps_its_length(garbage: bytes) -> None:
    assert len(flip_random_bit(garbage, random.Random(1))) == len(garbage)


def test_a_packet_without_content_is_unchanged() -> None:
    packet = segment(b"")[:20]
    assert flip_random_bit(packet, random.Random(1)) == packet


def test_the_destination_address_is_parsed() -> None:
    assert destination_address(segment(b"x")) == "198.18.0.5"
    assert destination_address(b"\x45") is None
    assert destination_address(bytes([0x60]) + bytes(39)) is None
