"""What corruption does to a packet's bytes. No I/O."""

import random

_MIN_IP_HEADER = 20


def flip_random_bit(packet: bytes, chance: random.Random) -> bytes:
    """The packet (from its IPv4 header on) with one bit flipped, as netem does it.

    The bit is behind the IP header: the packet still reaches its protocol, whose checksum a single bit always breaks
    (RFC 1071, section 2). So the receiver's kernel counts it (InCsumErrors) and throws it away: TCP sends it again,
    UDP loses it.
    A packet without anything behind its IP header is returned as it is.
    """
    header = (packet[0] & 0x0F) * 4 if packet else 0
    if header < _MIN_IP_HEADER or len(packet) <= header:
        return packet
    at = chance.randrange(header, len(packet))
    changed = bytearray(packet)
    changed[at] ^= 1 << chance.randrange(8)
    return bytes(changed)


def destination_address(packet: bytes) -> str | None:
    """The address an IPv4 packet is for (RFC 791, section 3.1); None when it is no IPv4 packet."""
    if len(packet) < _MIN_IP_HEADER or packet[0] >> 4 != 4:
        return None
    return ".".join(map(str, packet[16:20]))
