"""How any other client can join: a magnet link (BEP 9) or a .torrent file (BEP 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from torrentnet.wire import bencode

if TYPE_CHECKING:
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp import Endpoint


def announce_url(tracker: str, info: Info) -> str:
    """The announce URL: it carries name and size, so that clients with BEP 41 publish the file by themselves.

    ``tracker`` is ``host:port``.
    """
    return f"udp://{tracker}/announce?name={quote(info.name, safe='')}&size={info.length}"


def magnet_link(info: Info, tracker: str, seed: Endpoint | None = None) -> str:
    """A magnet link: info-hash, name, tracker, and a peer's address where one is given (``x.pe``)."""
    link = f"magnet:?xt=urn:btih:{info.info_hash.hex()}&dn={quote(info.name, safe='')}"
    link += f"&tr={quote(announce_url(tracker, info), safe='')}"
    return link + (f"&x.pe={seed}" if seed else "")


def torrent_file(info: Info, tracker: str) -> bytes:
    """The bytes of a .torrent file; the info dictionary goes in exactly as it was hashed."""
    url = announce_url(tracker, info).encode("ascii")
    return b"d8:announce" + bencode.encode(url) + b"4:info" + info.raw + b"e"
