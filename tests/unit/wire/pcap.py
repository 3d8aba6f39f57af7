"""Write a capture file, so that dissectors can be tested without traffic."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MAGIC = 0xA1B2C3D4
_LINK_RAW_IPV4 = 228
_UDP, _TCP = 17, 6
_PUSH_ACK = 0x18


class Datagram(NamedTuple):
    """One UDP datagram of a capture."""

    source: tuple[str, int]
    target: tuple[str, int]
    payload: bytes


class Segment(NamedTuple):
    """One TCP segment of a capture; ``sequence`` is the number of its first byte."""

    source: tuple[str, int]
    target: tuple[str, int]
    sequence: int
    payload: bytes


def write_capture(path: Path, packets: Iterable[Datagram | Segment]) -> None:
    """Write ``packets`` to ``path`` in the classic pcap format, a millisecond apart."""
    with path.open("wb") as file:
        file.write(struct.pack(">IHHiIII", _MAGIC, 2, 4, 0, 0, 65535, _LINK_RAW_IPV4))
        for number, packet in enumerate(packets):
            raw = _ipv4(packet)
            file.write(struct.pack(">IIII", 1_700_000_000, number * 1000, len(raw), len(raw)) + raw)


def _ipv4(packet: Datagram | Segment) -> bytes:
    ports = struct.pack(">HH", packet.source[1], packet.target[1])
    if isinstance(packet, Datagram):
        protocol, inner = _UDP, ports + struct.pack(">HH", 8 + len(packet.payload), 0)
    else:
        protocol = _TCP
        inner = ports + struct.pack(">IIBBHHH", packet.sequence, 1, 5 << 4, _PUSH_ACK, 65535, 0, 0)
    addresses = socket.inet_aton(packet.source[0]) + socket.inet_aton(packet.target[0])
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(inner) + len(packet.payload), 0, 0, 64, protocol, 0) + addresses
    return head + inner + packet.payload
