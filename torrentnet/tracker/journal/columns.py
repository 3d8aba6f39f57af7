"""Many rows as a few columns of bytes: what is alike stands together, and each column is packed by few calls.

A :class:`Column` is one kind of values. Where one is given what its kind does not have it raises ValueError or
OverflowError; so does reading what nobody packed.
"""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

ID_SIZE: Final = 20
"""Bytes of a peer id, and of an info-hash."""
_END: Final = "\n"
_SIZE: Final = "I"
_SIZE_BYTES: Final = array(_SIZE).itemsize


class Column(NamedTuple):
    """How values of one kind are packed, and read: of the bytes, and how many they are."""

    pack: Callable[[Sequence[Any]], bytes]
    read: Callable[[bytes, int], Sequence[Any]]


def number_column(kind: str) -> Column:
    """Numbers of that kind (a code of :mod:`array`), little-endian."""
    return Column(lambda values: _pack_numbers(values, kind), lambda raw, _count: _read_numbers(raw, kind))


def _pack_numbers(values: Iterable[int], kind: str) -> bytes:
    packed = array(kind, values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _read_numbers(raw: bytes, kind: str) -> array[int]:
    values = array(kind)
    values.frombytes(raw)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _pack_texts(values: Sequence[str]) -> bytes:
    joined = _END.join(values)
    if joined.count(_END) != len(values) - 1:
        raise ValueError("a text with a line's end in it")
    return joined.encode("utf-8")


def _read_texts(raw: bytes, count: int) -> list[str]:
    return raw.decode("utf-8").split(_END) if count else []


def _pack_ids(values: Sequence[bytes]) -> bytes:
    packed = b"".join(values)
    if len(packed) != ID_SIZE * len(values):
        raise ValueError(f"an id that has not {ID_SIZE} bytes")
    return packed


def _read_ids(raw: bytes, _count: int) -> list[bytes]:
    return [raw[at : at + ID_SIZE] for at in range(0, len(raw), ID_SIZE)]


def _repeated(plain: Column) -> Column:
    """Values of the kind ``plain`` of which many are the same, and some may be None."""

    def pack(values: Sequence[Any]) -> bytes:
        different = dict.fromkeys(values)
        different.pop(None, None)
        places = dict(zip(different, range(1, len(different) + 1), strict=True))
        places[None] = 0
        found = map(places.__getitem__, values)
        return join_sized((_pack_numbers(found, _SIZE), plain.pack(tuple(different)) if different else b""))

    def read(raw: bytes, _count: int) -> list[Any]:
        found, packed = split_sized(raw, 2)
        places = _read_numbers(found, _SIZE)
        different = [None, *plain.read(packed, max(places, default=0))]
        return [different[place] for place in places]

    return Column(pack, read)


TEXTS: Final = Column(_pack_texts, _read_texts)
"""Texts without an end of line in them."""
IDS: Final = Column(_pack_ids, _read_ids)
"""Peer ids."""
REPEATED_TEXTS: Final = _repeated(TEXTS)
REPEATED_IDS: Final = _repeated(IDS)


def pack_columns(columns: Sequence[Column], values: Sequence[Sequence[object]]) -> bytes:
    """The values of each column; none at all where there are no rows."""
    return join_sized([column.pack(some) for column, some in zip(columns, values, strict=True)]) if values else b""


def read_columns(columns: Sequence[Column], raw: bytes, count: int) -> list[Sequence[Any]]:
    """What :func:`pack_columns` packed, ``count`` values in each."""
    if not count:
        return []
    return [column.read(one, count) for column, one in zip(columns, split_sized(raw, len(columns)), strict=True)]


def join_sized(parts: Sequence[bytes]) -> bytes:
    """Parts one behind the other, and before them how long each is."""
    return b"".join((_pack_numbers(map(len, parts), _SIZE), *parts))


def split_sized(raw: bytes, count: int) -> list[bytes]:
    """The ``count`` parts that :func:`join` was given."""
    at = count * _SIZE_BYTES
    sizes = _read_numbers(raw[:at], _SIZE)
    if len(sizes) != count or at + sum(sizes) != len(raw):
        raise ValueError(f"{len(raw)} bytes are not {count} parts")
    found: list[bytes] = []
    for size in sizes:
        found.append(raw[at : at + size])
        at += size
    return found
