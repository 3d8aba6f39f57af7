"""The blocks of a pcapng file, as bytes; little-endian, times in nanoseconds.

The format is draft-ietf-opsawg-pcapng. Wireshark lists a systemd journal block as a row of its own.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SECTION, INTERFACE, NAMES, STATISTICS, PACKET, JOURNAL = 0x0A0D0D0A, 1, 4, 5, 6, 9
MAGIC: Final = struct.pack("<I", SECTION)
ETHERNET: Final = 1
MAX_OPTION: Final = 4000
"""Bytes of a text; the format allows 65,535."""

_BYTE_ORDER: Final = 0x1A2B3C4D
_COMMENT: Final = 1
_END: Final = struct.pack("<HH", 0, 0)
_NANOSECONDS: Final = b"\x09"
_PACKET: Final = struct.Struct("<IIIII")


def section_block(program: str, comment: str) -> bytes:
    """Return the first block of a file."""
    body = struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1)
    return _block(SECTION, body + _text(4, program) + _text(_COMMENT, comment) + _END)


def interface_block(name: str, description: str, snap: int) -> bytes:
    """Return the block that says where packets were captured.

    ``snap`` is how many bytes of each were kept.
    """
    options = _text(2, name) + _text(3, description) + _option(9, _NANOSECONDS)
    return _block(INTERFACE, struct.pack("<HHI", ETHERNET, 0, snap) + options + _END)


def names_block(names: Mapping[str, str]) -> bytes:
    """Return the block with the names of IPv4 addresses."""
    records = [_option(1, socket.inet_aton(address) + name.encode() + b"\0") for address, name in names.items()]
    return _block(NAMES, b"".join(records) + _END)


def packet_block(time: int, length: int, data: bytes, comments: Iterable[str] = ()) -> bytes:
    """Return a packet of the first interface. ``length`` is its length on the network."""
    head = _PACKET.pack(0, time >> 32, time & 0xFFFFFFFF, len(data), max(length, len(data)))
    options = b"".join(_text(_COMMENT, comment) for comment in comments)
    return _block(PACKET, head + _padded(data) + (options + _END if options else b""))


def journal_block(time: int, fields: Mapping[str, str]) -> bytes:
    """Return an entry of a journal; no value may have more than one line."""
    lines = [f"__REALTIME_TIMESTAMP={time // 1000}", *(f"{name}={value}" for name, value in fields.items())]
    return _block(JOURNAL, _padded(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")))


def statistics_block(time: int, received: int, dropped: int) -> bytes:
    """Return how many packets the first interface has seen and lost."""
    options = _option(4, struct.pack("<Q", received)) + _option(5, struct.pack("<Q", dropped))
    return _block(STATISTICS, struct.pack("<III", 0, time >> 32, time & 0xFFFFFFFF) + options + _END)


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _text(code: int, text: str) -> bytes:
    # A character that is cut in two at the end would be no UTF-8.
    value = text.encode("utf-8", "backslashreplace")[:MAX_OPTION].decode("utf-8", "ignore").encode()
    return _option(code, value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
