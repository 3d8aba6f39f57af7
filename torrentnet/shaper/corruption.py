"""Corruption of a packet's bytes. No I/O."""

import random
from typing import Final

_MIN_IP_HEADER: Final = 20


def flip_random_bit(packet: bytes, rng: random.Random) -> bytes:
    """Return the packet (from its IPv4 header on) with one bit flipped, as netem does.

    The bit is behind the IP header: the packet still reaches its protocol, whose checksum detects any single bit (RFC
    1071, section 2). The receiver's kernel counts the packet (InCsumErrors) and drops it: TCP retransmits it, UDP loses
    it. A packet that ends with its IP header is returned unchanged.
    """
    header = (packet[0] & 0x0F) * 4 if packet else 0
    if header < _MIN_IP_HEADER or len(packet) <= header:
        return packet
    at = rng.randrange(header, len(packet))
    changed = bytearray(packet)
    changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def destination_address(packet: bytes) -> str | None:
    """Return the destination of an IPv4 packet (RFC 791, section 3.1).

    The result is None for bytes that are not an IPv4 packet.
    """
    if len(packet) < _MIN_IP_HEADER or packet[0] >> 4 != 4:
        return None
    return ".".join(map(str, packet[16:20]))
