"""File names and peer names: data from the network, never a path."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

from torrentnet.wire.errors import InvalidNameError

MAX_FILE_NAME: Final = 255
"""Bytes of UTF-8: what the usual file systems allow in one component of a path."""
MAX_PEER_NAME: Final = 64
"""Bytes of UTF-8. A DNS label has 63."""

_CACHED: Final = 16_384
"""Valid names that are cached: the same ones come again and again."""
_FORBIDDEN: Final = frozenset("/\\\0")


def check_file_name(name: str) -> str:
    """Return ``name`` if it is one plain path component, at most 255 bytes of UTF-8.

    Raises :class:`InvalidNameError` for a name with a separator of any system, for ``.`` and ``..``, and for NUL,
    control and format characters (they can make one name look like another) and lone surrogates. The rule is that of
    BEP 52, "path", applied to version 1 too.
    """
    return _check(name, "file name", MAX_FILE_NAME)


def check_peer_name(name: str) -> str:
    """Return ``name`` if it is a valid peer name.

    The rules are those of a file name, but with at most 64 bytes and without blanks.
    """
    _check(name, "peer name", MAX_PEER_NAME)
    if name.split() != [name]:
        raise InvalidNameError(f"peer name {name!r} holds a blank", hint="use letters, digits, '-', '_' and '.'")
    return name


def canonical_name(name: str) -> str:
    """Return the form of a file name in which names are compared.

    One text may be written with composed characters or with combining marks (Unicode forms NFC and NFD: macOS stores
    the latter). This is NFC.
    """
    return unicodedata.normalize("NFC", name)


@lru_cache(_CACHED)
def decode_file_name(raw: bytes) -> str:
    """Decode a file name, which is UTF-8 from the network.

    Raises :class:`InvalidNameError`.
    """
    return check_file_name(_decode(raw, "file name"))


@lru_cache(_CACHED)
def decode_peer_name(raw: bytes) -> str:
    """Decode a peer name, which is UTF-8 from the network.

    Raises :class:`InvalidNameError`.
    """
    return check_peer_name(_decode(raw, "peer name"))


def _decode(raw: bytes, what: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidNameError(f"{what} is not UTF-8: {raw[:40]!r}") from None


def _check(name: str, what: str, most: int) -> str:
    if not name:
        raise InvalidNameError(f"{what} is empty")
    # Checked first, so that no message below quotes more than a name's length.
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > most:
        raise InvalidNameError(f"{what} has {size} bytes of UTF-8, at most {most} are allowed")
    if name in {".", ".."}:
        raise InvalidNameError(f"{what} {name!r} names a directory")
    if name.isascii() and name.isprintable() and _FORBIDDEN.isdisjoint(name):
        return name  # Nearly every name ends here, without a look at each character.
    for character in name:
        if character in _FORBIDDEN:
            raise InvalidNameError(f"{what} {name!r} holds {character!r}", hint="a name is one component, never a path")
        # Cc: control, Cf: invisible marks that reorder or hide text, Cs: half a code point, Zl/Zp: line ends.
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            raise InvalidNameError(f"{what} {name!r} holds the control character U+{ord(character):04X}")
    return name
