"""The announce URL names the node and its file."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from torrentnet.adapters.torrent import MAX_URL_DATA, announce_url
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.info import make_info
from torrentnet.wire.udp.url_data import Publication, pack_url_data, parse_publication

TRACKER = Endpoint("198.18.0.2", 6771)


@pytest.mark.parametrize("name", ["a.bin", "with spaces & signs=?#.txt", "Grüße, 世界.txt"])
def test_the_announce_url_names_the_node_and_its_file(name: str) -> None:
    info = make_info(name, 5, 16384, bytes(20))
    parts = urlsplit(announce_url(TRACKER, info, "seeder-1"))
    assert parts.netloc == "198.18.0.2:6771"
    sent = pack_url_data(f"{parts.path}?{parts.query}".encode("ascii"))
    assert parse_publication(sent) == Publication(name, 5, 16384, "seeder-1", extended=False)


def test_a_file_name_that_does_not_fit_is_left_out() -> None:
    info = make_info("世" * 80, 5, 16384, bytes(20))
    parts = urlsplit(announce_url(TRACKER, info, "seeder-1"))
    sent = f"{parts.path}?{parts.query}"
    assert len(sent) <= MAX_URL_DATA
    assert parse_publication(pack_url_data(sent.encode("ascii"))) == Publication(None, 5, 16384, "seeder-1")
