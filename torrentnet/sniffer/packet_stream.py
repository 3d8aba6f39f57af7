"""What the sniffer prints: records with a head of fixed size."""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD: Final = struct.Struct("<BxxxIIQ")
"""Kind, bytes of the data, number, nanoseconds since the epoch."""
MAX_DATA: Final = 1 << 18
"""Bytes of a record's data; longer ones are no records of ours."""


class RecordKind(enum.IntEnum):
    """What a record says."""

    READY = 1
    """From now on packets are seen."""
    PACKET = 2
    """The data is a packet's first bytes, the number is its length on the network."""
    LOST = 3
    """The number of packets that came too fast since the last such record."""
    END = 4
    """The sniffer was told to end: nothing is missing before this record."""
    FAILED = 5
    """The data is the reason why the sniffer ends, the number is that of the system's error."""


class SniffedRecord(NamedTuple):
    """One record."""

    kind: int
    time: int
    """Nanoseconds since the epoch."""
    number: int
    data: bytes


def pack_record(kind: RecordKind, time: int, number: int = 0, data: bytes = b"") -> bytes:
    """Return a record as bytes."""
    return HEAD.pack(kind, len(data), number, time) + data


class RecordReader:
    """Splits a stream into records."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[SniffedRecord]:
        """Yield the records that are complete.

        Raises ValueError for a stream that is not a sniffer's.
        """
        buffer = self._buffer + data if self._buffer else data
        position, end = 0, len(buffer)
        while position + HEAD.size <= end:
            kind, size, number, time = HEAD.unpack_from(buffer, position)
            if size > MAX_DATA or not RecordKind.READY <= kind <= RecordKind.FAILED:
                raise ValueError("not a stream of the sniffer")
            body = position + HEAD.size
            if body + size > end:
                break
            yield SniffedRecord(kind, time, number, buffer[body : body + size])
            position = body + size
        self._buffer = buffer[position:]
