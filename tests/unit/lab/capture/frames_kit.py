"""Frames for tests."""

from __future__ import annotations

import socket
import struct


def udp_frame(source: str, target: str, payload: bytes = b"") -> bytes:
    """Return an Ethernet frame with a UDP datagram."""
    datagram = struct.pack("!HHHH", 5000, 6771, 8 + len(payload), 0) + payload
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0) + ends
    return bytes(12) + b"\x08\x00" + header + datagram


def arp_frame(source: str, target: str) -> bytes:
    """Return a frame in which ``source`` asks for the address of ``target``."""
    addresses = bytes(6) + socket.inet_aton(source) + bytes(6) + socket.inet_aton(target)
    return bytes(12) + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + addresses
