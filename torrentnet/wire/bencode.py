"""Encoder and decoder of bencoded values (BEP 3, "bencoding").

A value is an integer, a byte string, a list or a dictionary with byte-string keys. The decoder keeps its own stack, so
that nesting cannot exhaust Python's, and checks every length against the bytes that are present.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from torrentnet.wire.errors import BencodeError

Value: TypeAlias = "int | bytes | list[Value] | dict[bytes, Value]"

MAX_DEPTH: Final = 32
MAX_ITEMS: Final = 200_000
MAX_DIGITS: Final = 20
"""Digits of an integer or a length: 64 bits need 20."""

_MISSING: Final = object()


def encode(value: Value) -> bytes:
    """Return ``value`` in bencoded form.

    Dictionary keys are in raw byte order, as BEP 3 demands.
    """
    out: list[bytes] = []
    _encode(value, out)
    return b"".join(out)


def _encode(value: Value, out: list[bytes]) -> None:
    if isinstance(value, bytes):
        out.append(b"%d:%b" % (len(value), value))
    elif isinstance(value, bool):
        raise TypeError("bencoding has no booleans")
    elif isinstance(value, int):
        out.append(b"i%de" % value)
    elif isinstance(value, list):
        out.append(b"l")
        for item in value:
            _encode(item, out)
        out.append(b"e")
    else:
        out.append(b"d")
        for key in sorted(value):
            _encode(key, out)
            _encode(value[key], out)
        out.append(b"e")


def decode(data: bytes) -> Value:
    """Decode ``data``, which must hold exactly one bencoded value.

    Raises :class:`BencodeError`, also for bytes after the value.
    """
    value, end = decode_prefix(data)
    if end != len(data):
        raise BencodeError(f"{len(data) - end} bytes after the end of the value")
    return value


def decode_prefix(data: bytes) -> tuple[Value, int]:
    """Return the value at the start of ``data`` and the offset of the next byte.

    BEP 9 puts raw bytes behind the value. Raises :class:`BencodeError` for leading zeros, ``-0``, duplicate keys, and
    anything past the limits of this module. Unsorted keys are accepted: some clients send them in handshakes, and an
    info dictionary is hashed as it came.
    """
    stack: list[tuple[list[Value] | dict[bytes, Value], object]] = []
    position = 0
    items = 0
    while True:
        if position >= len(data):
            raise BencodeError("value ends too early")
        items += 1
        if items > MAX_ITEMS:
            raise BencodeError(f"more than {MAX_ITEMS} items")
        token = data[position]
        value: Value
        if token == 0x65:  # e
            if not stack:
                raise BencodeError(f"end without a beginning at offset {position}")
            container, key = stack.pop()
            if key is not _MISSING:
                raise BencodeError(f"key without a value at offset {position}")
            value = container
            position += 1
        elif token in {0x6C, 0x64}:  # l, d
            if len(stack) >= MAX_DEPTH:
                raise BencodeError(f"nested deeper than {MAX_DEPTH}")
            stack.append(([] if token == 0x6C else {}, _MISSING))
            position += 1
            continue
        elif token == 0x69:  # i
            value, position = _integer(data, position + 1, 0x65)
        else:
            length, position = _integer(data, position, 0x3A)
            if length < 0 or length > len(data) - position:
                raise BencodeError(f"string of {length} bytes, only {len(data) - position} follow")
            value = data[position : position + length]
            position += length
        if not stack:
            return value, position
        _put(stack, value, position)


def _put(stack: list[tuple[list[Value] | dict[bytes, Value], object]], value: Value, position: int) -> None:
    container, key = stack[-1]
    if isinstance(container, list):
        container.append(value)
    elif key is _MISSING:
        if not isinstance(value, bytes):
            raise BencodeError(f"key that is not a string before offset {position}")
        if value in container:
            raise BencodeError(f"key {value[:40]!r} twice")
        stack[-1] = (container, value)
    else:
        assert isinstance(key, bytes)
        container[key] = value
        stack[-1] = (container, _MISSING)


def _integer(data: bytes, start: int, end_byte: int) -> tuple[int, int]:
    end = data.find(end_byte, start, start + MAX_DIGITS + 2)
    if end < 0:
        raise BencodeError(f"number without an end at offset {start}")
    text = data[start:end]
    digits = text[1:] if text.startswith(b"-") else text
    if not digits.isdigit() or len(digits) > MAX_DIGITS or (digits.startswith(b"0") and text != b"0"):
        raise BencodeError(f"bad number {text[:24]!r} at offset {start}")
    return int(text), end + 1
