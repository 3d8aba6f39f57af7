"""Encode many rows column by column, with few calls per column.

A :class:`Column` encodes values of one type. Encoding other values, or decoding other bytes, raises ValueError or
OverflowError.

Tested by tests/unit/tracker/journal/test_request_store.py.
"""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

ID_SIZE: Final = 20
"""Bytes of a peer id, and of an info-hash."""
_SEPARATOR: Final = "\n"
_SIZE: Final = "I"
_SIZE_BYTES: Final = array(_SIZE).itemsize


class Column(NamedTuple):
    """A pair of functions that encode values to bytes, and decode bytes and a count."""

    encode: Callable[[Sequence[Any]], bytes]
    decode: Callable[[bytes, int], Sequence[Any]]


def number_column(typecode: str) -> Column:
    """Return a column of little-endian numbers; ``typecode`` is that of :mod:`array`."""
    return Column(lambda values: _encode_numbers(values, typecode), lambda raw, _count: _decode_numbers(raw, typecode))


def _encode_numbers(values: Iterable[int], typecode: str) -> bytes:
    numbers = array(typecode, values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _decode_numbers(raw: bytes, typecode: str) -> array[int]:
    numbers = array(typecode)
    numbers.frombytes(raw)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _encode_texts(values: Sequence[str]) -> bytes:
    joined = _SEPARATOR.join(values)
    if joined.count(_SEPARATOR) != len(values) - 1:
        raise ValueError("a text contains a newline")
    return joined.encode("utf-8")


def _decode_texts(raw: bytes, count: int) -> list[str]:
    return raw.decode("utf-8").split(_SEPARATOR) if count else []


def _encode_ids(values: Sequence[bytes]) -> bytes:
    joined = b"".join(values)
    if len(joined) != ID_SIZE * len(values):
        raise ValueError(f"an id does not have {ID_SIZE} bytes")
    return joined


def _decode_ids(raw: bytes, _count: int) -> list[bytes]:
    return [raw[at : at + ID_SIZE] for at in range(0, len(raw), ID_SIZE)]


def _dictionary_column(plain: Column) -> Column:
    """Return a column for values of ``plain`` or None, which stores equal values once."""

    def encode(values: Sequence[Any]) -> bytes:
        distinct = dict.fromkeys(values)
        distinct.pop(None, None)
        indices = dict(zip(distinct, range(1, len(distinct) + 1), strict=True))
        indices[None] = 0
        found = map(indices.__getitem__, values)
        return join_sized((_encode_numbers(found, _SIZE), plain.encode(tuple(distinct)) if distinct else b""))

    def decode(raw: bytes, _count: int) -> list[Any]:
        found, encoded = split_sized(raw, 2)
        indices = _decode_numbers(found, _SIZE)
        distinct = [None, *plain.decode(encoded, max(indices, default=0))]
        return [distinct[index] for index in indices]

    return Column(encode, decode)


TEXTS: Final = Column(_encode_texts, _decode_texts)
"""Texts without a newline."""
IDS: Final = Column(_encode_ids, _decode_ids)
"""Peer ids."""
REPEATED_TEXTS: Final = _dictionary_column(TEXTS)
REPEATED_IDS: Final = _dictionary_column(IDS)


def encode_columns(columns: Sequence[Column], values: Sequence[Sequence[object]]) -> bytes:
    """Encode the values of each column; without values, return no bytes."""
    return join_sized([column.encode(some) for column, some in zip(columns, values, strict=True)]) if values else b""


def decode_columns(columns: Sequence[Column], raw: bytes, count: int) -> list[Sequence[Any]]:
    """Decode the result of :func:`encode_columns` for ``count`` rows."""
    if not count:
        return []
    return [column.decode(one, count) for column, one in zip(columns, split_sized(raw, len(columns)), strict=True)]


def join_sized(parts: Sequence[bytes]) -> bytes:
    """Return a list of the sizes of ``parts``, followed by ``parts``."""
    return b"".join((_encode_numbers(map(len, parts), _SIZE), *parts))


def split_sized(raw: bytes, count: int) -> list[bytes]:
    """Return the ``count`` parts that :func:`join_sized` has joined."""
    at = count * _SIZE_BYTES
    sizes = _decode_numbers(raw[:at], _SIZE)
    if len(sizes) != count or at + sum(sizes) != len(raw):
        raise ValueError(f"{len(raw)} bytes are not {count} parts")
    parts: list[bytes] = []
    for size in sizes:
        parts.append(raw[at : at + size])
        at += size
    return parts
