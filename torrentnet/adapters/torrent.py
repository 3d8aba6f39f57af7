"""The .torrent of one node, which names the tracker, the node and the file.

Tested by tests/unit/adapters/test_torrent.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from torrentnet.wire.metainfo import torrent_with_url

if TYPE_CHECKING:
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.info import Info

MAX_URL_DATA: Final = 255
"""Bytes of an announce URL's path and query that libtorrent sends: one option of BEP 41."""


def node_torrent(info: Info, tracker: Endpoint, name: str) -> bytes:
    """Return the .torrent of a node with this name."""
    return torrent_with_url(info, announce_url(tracker, info, name))


def announce_url(tracker: Endpoint, info: Info, name: str) -> str:
    """Return the announce URL that names the node and its file (BEP 41).

    The tracker reads the names from the URL. libtorrent sends the path and query of its announce URL. A file name that
    does not fit is left out.
    """
    parts = [f"/announce?peer={quote(name, safe='')}", f"&size={info.length}&piece={info.piece_length}"]
    parts.append(f"&name={quote(info.name, safe='')}")
    while len("".join(parts)) > MAX_URL_DATA:
        parts.pop()
    return f"udp://{tracker}{''.join(parts)}"
