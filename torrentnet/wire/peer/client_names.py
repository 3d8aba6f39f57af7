"""The names and versions of clients, from their peer ids (BEP 20).

A peer id is what its sender wants it to be: a name is for people to read, and nothing is decided by it. No name has a
blank, because names are values in event lines and in lists.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CLIENT_NAME: Final = 32
"""Longest name, in characters."""
_AZUREUS: Final = re.compile(rb"-([A-Za-z0-9]{2})([0-9A-Z]{3})([0-9A-Za-z])-").match
"""Two letters of the client, then its version: nearly always one base-36 digit for each number."""
_MAINLINE: Final = re.compile(rb"([A-Z][0-9]?)((?:-[0-9]{1,3}){2,3})-").match
_LFTP: Final = b"-lftp"
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def client_name(peer_id: bytes) -> str:
    """Return the client that a peer id names.

    Examples are ``aria2-1.37.0``, ``Deluge-2.0.3`` and, of an unknown client, ``XY0100``. Without a readable part,
    return hex digits.
    """
    if match := _AZUREUS(peer_id):
        code, digits, tag = (part.decode("ascii") for part in match.groups())
        known = _CLIENTS.get(code)
        return f"{known[0]}-{known[1](digits, tag)}" if known is not None else code + digits + tag
    match = _MAINLINE(peer_id)
    if match and (name := _DASHED.get(match[1])):
        return name + "-" + match[2][1:].decode("ascii").replace("-", ".")
    return "lftp" if peer_id.startswith(_LFTP) else _readable_part(peer_id)


def _readable_part(peer_id: bytes) -> str:
    head = peer_id[:12].split(b"-")
    if peer_id.startswith(b"-") and len(head) >= 2 and head[1].isalnum():
        return head[1].decode("ascii")
    words: list[str] = []
    for word in head:
        if not (word.isalnum() and word.isascii()):
            break
        words.append(word.decode("ascii"))
    return "-".join(words[:4]) if len(words) >= 3 else peer_id[:6].hex()


def _numbers(digits: str) -> list[str]:
    return [str(_DIGITS.index(digit)) for digit in digits]


def _three(digits: str, _tag: str) -> str:
    """Three numbers; the fourth character says how the program was built."""
    return ".".join(_numbers(digits))


def _four(digits: str, tag: str) -> str:
    """Three numbers, and a fourth one if it is not 0."""
    return ".".join(_numbers(digits) + (_numbers(tag) if tag in _DIGITS[1:] else []))


def _transmission(digits: str, tag: str) -> str:
    """Two numbers up to 3.00, of which the second has two digits; three since 4.0."""
    if digits < "4":
        return f"{digits[0]}.{digits[1:]}"
    return _three(digits, tag) + {"B": "-beta", "X": "-beta", "Z": "-dev"}.get(tag, "")


def _two_pairs(digits: str, tag: str) -> str:
    """Two numbers of two digits each."""
    text = digits + tag
    return f"{int(text[:2])}.{int(text[2:])}" if text.isdecimal() else text


_CLIENTS: Final[dict[str, tuple[str, Callable[[str, str], str]]]] = {
    "AZ": ("Vuze", _four),
    "BI": ("BiglyBT", _four),
    "BT": ("BitTorrent", _three),
    "DE": ("Deluge", _three),
    "KT": ("KTorrent", _three),
    "LT": ("libtorrent", _four),
    "NL": ("torrentnet", _four),
    "TR": ("Transmission", _transmission),
    "UM": ("uTorrent-Mac", _three),
    "UT": ("uTorrent", _three),
    "WW": ("WebTorrent", _two_pairs),
    "lt": ("rTorrent-libtorrent", _four),
    "qB": ("qBittorrent", _four),
}
"""Name and version by the code of BEP 20. rTorrent gives the version of its library."""
_DASHED: Final = {b"A2": "aria2", b"M": "BitTorrent"}
"""Clients whose version has dashes between its numbers."""
