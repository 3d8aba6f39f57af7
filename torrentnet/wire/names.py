"""File names and peer names: data from the network, never a path."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from torrentnet.wire.errors import InvalidNameError

MAX_FILE_NAME = 255
"""Bytes of UTF-8: what the usual file systems take for one component."""
MAX_PEER_NAME = 64
"""Bytes of UTF-8. A DNS label has 63."""

_REMEMBERED = 16_384
"""Names that were found good lately; the same ones come again and again."""
_FORBIDDEN = frozenset("/\\\0")


def check_file_name(name: str) -> str:
    """Return ``name`` if it is one plain path component, at most 255 bytes of UTF-8.

    Refuses separators of any system, ``.`` and ``..``, NUL, control and format characters (they can make one
    name look like another) and lone surrogates. Raises :class:`InvalidNameError`. Source: BEP 52, "path" rule, which
    is worth keeping for version 1 too.
    """
    return _check(name, "file name", MAX_FILE_NAME)


def check_peer_name(name: str) -> str:
    """Return ``name`` if it can stand in a list of peers: like a file name, at most 64 bytes, without blanks."""
    _check(name, "peer name", MAX_PEER_NAME)
    if name.split() != [name]:
        raise InvalidNameError(f"peer name {name!r} holds a blank", hint="use letters, digits, '-', '_' and '.'")
    return name


@lru_cache(_REMEMBERED)
def decode_file_name(raw: bytes) -> str:
    """The file name in ``raw`` (UTF-8 from the network). Raises :class:`InvalidNameError`."""
    return check_file_name(_decode(raw, "file name"))


@lru_cache(_REMEMBERED)
def decode_peer_name(raw: bytes) -> str:
    """The peer name in ``raw`` (UTF-8 from the network). Raises :class:`InvalidNameError`."""
    return check_peer_name(_decode(raw, "peer name"))


def _decode(raw: bytes, what: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidNameError(f"{what} is not UTF-8: {raw[:40]!r}") from None


def _check(name: str, what: str, most: int) -> str:
    if not name:
        raise InvalidNameError(f"{what} is empty")
    # First, so that no message below repeats more than a name's length of what was sent.
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > most:
        raise InvalidNameError(f"{what} has {size} bytes of UTF-8, at most {most} are allowed")
    if name in {".", ".."}:
        raise InvalidNameError(f"{what} {name!r} names a directory")
    if name.isascii() and name.isprintable() and _FORBIDDEN.isdisjoint(name):
        return name  # nearly all names: no need to look at each character
    for character in name:
        if character in _FORBIDDEN:
            raise InvalidNameError(f"{what} {name!r} holds {character!r}", hint="a name is one component, never a path")
        # Cc: control, Cf: invisible marks that reorder or hide text, Cs: half a code point, Zl/Zp: line ends.
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            raise InvalidNameError(f"{what} {name!r} holds the control character U+{ord(character):04X}")
    return name
