"""Magnet links (BEP 9) and .torrent files (BEP 3).

With either, any other client can join.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlsplit

from torrentnet.wire import bencode
from torrentnet.wire.errors import BencodeError, InvalidNameError, MetainfoError
from torrentnet.wire.info import HASH_SIZE, Info, parse_info
from torrentnet.wire.names import check_file_name

if TYPE_CHECKING:
    from torrentnet.wire.endpoint import Endpoint

_BTIH: Final = "urn:btih:"
_BTMH: Final = "urn:btmh:"
"""Version 2 (BEP 52)."""
_MAX_FIELDS: Final = 64


@dataclass(frozen=True, slots=True)
class Magnet:
    """The fields of a magnet link that we use."""

    info_hash: bytes
    name: str


def announce_url(tracker: str, info: Info) -> str:
    """Return the announce URL of a file, with its name and size.

    Clients with BEP 41 send both to the tracker, and so publish the file by themselves. ``tracker`` is ``host:port``.
    """
    return f"udp://{tracker}/announce?name={quote(info.name, safe='')}&size={info.length}"


def magnet_link(info: Info, tracker: str, seed: Endpoint | None = None) -> str:
    """Return the magnet link of a file.

    It holds the info-hash, the name, the tracker, and a peer's address if given (``x.pe``).
    """
    link = f"magnet:?xt=urn:btih:{info.info_hash.hex()}&dn={quote(info.name, safe='')}"
    link += f"&tr={quote(announce_url(tracker, info), safe='')}"
    return link + (f"&x.pe={seed}" if seed else "")


def torrent_file(info: Info, tracker: str) -> bytes:
    """Return a .torrent file; the info dictionary in it is exactly what was hashed."""
    return torrent_with_url(info, announce_url(tracker, info))


def torrent_with_url(info: Info, url: str | None) -> bytes:
    """Return a .torrent file with ``url`` as its announce URL.

    Without a URL, the file's user has to name a tracker.
    """
    announce = b"" if url is None else b"8:announce" + bencode.encode(url.encode("ascii"))
    return b"d" + announce + b"4:info" + info.raw + b"e"


def parse_torrent(data: bytes) -> Info:
    """Return the info dictionary in a .torrent file.

    The file's trackers are ignored. Raises :class:`MetainfoError`.
    """
    try:
        value = bencode.decode(data)
    except BencodeError as error:
        raise MetainfoError(f"not a .torrent file: {error.message}") from None
    info = value.get(b"info") if isinstance(value, dict) else None
    if not isinstance(info, dict):
        raise MetainfoError("not a .torrent file: it has no info dictionary")
    raw = bencode.encode(info)
    # The hash is over the bytes of the file (BEP 3), and only a canonical dictionary encodes to the same bytes.
    if b"4:info" + raw not in data:
        raise MetainfoError("the info dictionary of this .torrent file is not canonical")
    return parse_info(raw)


def parse_magnet(link: str) -> Magnet:
    """Parse a magnet link (BEP 9).

    The info-hash is ``xt=urn:btih:`` with 40 hexadecimal or 32 base32 digits, the name is ``dn``; without one, the
    info-hash stands for it. Trackers and peers in the link are ignored. Raises :class:`MetainfoError`.
    """
    parts = urlsplit(link)
    if parts.scheme != "magnet":
        raise MetainfoError("a magnet link begins with magnet:?")
    try:
        fields = parse_qsl(parts.query, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise MetainfoError("the magnet link cannot be read") from None
    digits = next((text.removeprefix(_BTIH) for key, text in fields if key == "xt" and text.startswith(_BTIH)), None)
    if digits is None and any(key == "xt" and text.startswith(_BTMH) for key, text in fields):
        raise MetainfoError("the magnet link is of BitTorrent v2 only; use one with an xt=urn:btih")
    if digits is None:
        raise MetainfoError("the magnet link has no info-hash (xt=urn:btih:...)")
    try:
        info_hash = bytes.fromhex(digits) if len(digits) == 2 * HASH_SIZE else base64.b32decode(digits.upper())
    except (ValueError, binascii.Error):
        info_hash = b""
    if len(info_hash) != HASH_SIZE:
        raise MetainfoError(f"the magnet link's info-hash is not a hash: {digits[:44]!r}")
    name = next((text for key, text in fields if key == "dn"), None) or info_hash.hex()
    try:
        return Magnet(info_hash, check_file_name(name))
    except InvalidNameError as error:
        raise MetainfoError(f"the magnet link: {error.message}") from None
