"""Magnet links and .torrent files, by which other clients join and publish a file."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from torrentnet.wire import bencode, info, metainfo
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.udp.url_data import Publication, pack_url_data, parse_publication

NAMES = ["myfile.txt", "with spaces & signs=?#.txt", "Grüße, 世界.txt", "100% x+y.txt"]


def _info(name: str) -> info.Info:
    return info.make_info(name, 5, 16384, b"h" * 20)


@pytest.mark.parametrize("name", NAMES)
def test_magnet_link_round_trip(name: str) -> None:
    made = _info(name)
    link = metainfo.magnet_link(made, "198.18.0.2:6771", Endpoint("198.18.0.4", 6881))
    parts = urlsplit(link)
    query = parse_qs(parts.query, strict_parsing=True)
    assert parts.scheme == "magnet"
    assert query["xt"] == ["urn:btih:" + made.info_hash.hex()]
    assert query["dn"] == [name]
    assert query["tr"] == [metainfo.announce_url("198.18.0.2:6771", made)]
    assert query["x.pe"] == ["198.18.0.4:6881"]
    assert "x.pe" not in metainfo.magnet_link(made, "198.18.0.2:6771")


@pytest.mark.parametrize("name", NAMES)
def test_a_client_with_bep_41_publishes_the_file_by_its_announce_url(name: str) -> None:
    parts = urlsplit(metainfo.announce_url("198.18.0.2:6771", _info(name)))
    assert (parts.scheme, parts.netloc) == ("udp", "198.18.0.2:6771")
    sent = pack_url_data(f"{parts.path}?{parts.query}".encode("ascii"))
    assert parse_publication(sent) == Publication(name=name, size=5)


@pytest.mark.parametrize("name", NAMES)
def test_a_torrent_file_holds_the_dictionary_as_it_was_hashed(name: str) -> None:
    made = _info(name)
    raw = metainfo.torrent_file(made, "tracker:6771")
    value = bencode.decode(raw)
    assert isinstance(value, dict)
    assert value[b"announce"] == metainfo.announce_url("tracker:6771", made).encode()
    assert raw.endswith(b"4:info" + made.raw + b"e")
    # Canonical: another client that encodes it anew gets the same bytes, and the same hash.
    assert bencode.encode(value) == raw


@pytest.mark.parametrize("name", NAMES)
def test_torrent_file_round_trip(name: str) -> None:
    made = _info(name)
    for url in (metainfo.announce_url("198.18.0.2:6771", made), None):
        assert metainfo.parse_torrent(metainfo.torrent_with_url(made, url)) == made
    link = metainfo.magnet_link(made, "198.18.0.2:6771", Endpoint("198.18.0.4", 6881))
    assert metainfo.parse_magnet(link) == metainfo.Magnet(made.info_hash, name)


def test_unknown_keys_of_a_torrent_are_ignored() -> None:
    made = _info("a")
    raw = b"d8:announce3:udp10:created by3:tn!4:info" + made.raw + b"8:url-list0:e"
    assert metainfo.parse_torrent(raw) == made


def test_a_magnet_link_may_have_its_hash_in_base32() -> None:
    made = _info("a")
    digits = base64.b32encode(made.info_hash).decode()
    for text in (digits, digits.lower()):
        assert metainfo.parse_magnet(f"magnet:?xt=urn:btih:{text}&dn=a") == metainfo.Magnet(made.info_hash, "a")


def test_ipv6_addresses_in_a_link_are_ignored() -> None:
    """Trackers and peers of a link are not used; the command line names the tracker."""
    made = _info("a")
    link = metainfo.magnet_link(made, "198.18.0.2:6771") + "&tr=udp://[::1]:6771/announce&x.pe=[::1]:6881&x.pe=::1"
    assert metainfo.parse_magnet(link) == metainfo.Magnet(made.info_hash, "a")


def test_ipv6_trackers_of_a_torrent_are_ignored() -> None:
    made = _info("a")
    urls: list[bencode.Value] = [[b"udp://[::1]:6771"], [b"udp://198.18.0.2:6771"]]
    raw = bencode.encode({b"announce": b"udp://[::1]:6771", b"announce-list": urls, b"info": bencode.decode(made.raw)})
    assert metainfo.parse_torrent(raw) == made
