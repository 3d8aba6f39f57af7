"""A second reader of pcapng files, which shares nothing with the writer."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field


@dataclass
class ReadPacket:
    """A packet: nanoseconds since the epoch, true length, first bytes, comments."""

    time: int
    length: int
    data: bytes
    comments: list[str]


@dataclass
class ReadFile:
    """What a file has, and the order of its rows."""

    packets: list[ReadPacket] = field(default_factory=list)
    entries: list[dict[str, str]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    """The time of each packet and entry, in the file's order, in microseconds."""
    sections: dict[int, str] = field(default_factory=dict)
    interfaces: list[tuple[int, int, dict[int, bytes]]] = field(default_factory=list)
    dropped: int | None = None


def read_pcapng(data: bytes) -> ReadFile:
    """Read a file; raises ValueError where a block is not whole or of an unknown type."""
    found = ReadFile()
    position = 0
    while position < len(data):
        kind, size = struct.unpack_from("<II", data, position)
        if size % 4 or position + size > len(data):
            raise ValueError(f"the block at {position} is not whole")
        if struct.unpack_from("<I", data, position + size - 4)[0] != size:
            raise ValueError(f"the block at {position} has two lengths")
        _read_block(found, kind, data[position + 8 : position + size - 4])
        position += size
    return found


def _read_block(found: ReadFile, kind: int, body: bytes) -> None:
    match kind:
        case 0x0A0D0D0A:
            if struct.unpack_from("<IHHq", body) != (0x1A2B3C4D, 1, 0, -1):
                raise ValueError("another byte order or version")
            found.sections = {code: value.decode() for code, value in _options(body[16:])}
        case 1:
            link, _, snap = struct.unpack_from("<HHI", body)
            found.interfaces.append((link, snap, dict(_options(body[8:]))))
        case 4:
            for code, value in _options(body):
                if code == 1:
                    found.names[str(ipaddress.IPv4Address(value[:4]))] = value[4:].rstrip(b"\0").decode()
        case 5:
            found.dropped = struct.unpack("<Q", dict(_options(body[12:]))[5])[0]
        case 6:
            interface, high, low, captured, length = struct.unpack_from("<IIIII", body)
            if interface >= len(found.interfaces):
                raise ValueError("a packet of an unknown interface")
            rest = 20 + captured + -captured % 4
            comments = [value.decode() for code, value in _options(body[rest:]) if code == 1]
            time = high << 32 | low
            found.packets.append(ReadPacket(time, length, body[20 : 20 + captured], comments))
            found.rows.append(time // 1000)
        case 9:
            lines = body.rstrip(b"\0").decode().splitlines()
            entry = dict(line.split("=", 1) for line in lines)
            found.entries.append(entry)
            found.rows.append(int(entry["__REALTIME_TIMESTAMP"]))
        case _:
            raise ValueError(f"an unknown block {kind:x}")


def _options(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    position = 0
    while position < len(data):
        code, size = struct.unpack_from("<HH", data, position)
        if code == 0:
            break
        found.append((code, data[position + 4 : position + 4 + size]))
        position += 4 + size + -size % 4
    return found
