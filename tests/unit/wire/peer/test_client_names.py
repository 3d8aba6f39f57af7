"""The names of clients, from peer ids as the programs send them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.wire.names import MAX_PEER_NAME, check_peer_name
from torrentnet.wire.peer.client_names import MAX_CLIENT_NAME, client_name
from torrentnet.wire.peer.handshake import make_peer_id

LONGEST_ENDPOINT = len("@255.255.255.255:65535")


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"-LT20B0-", "libtorrent-2.0.11"),
        (b"-LT1213-", "libtorrent-1.2.1.3"),
        (b"-lt0D80-", "rTorrent-libtorrent-0.13.8"),
        (b"-DE203s-", "Deluge-2.0.3"),
        (b"-qB5100-", "qBittorrent-5.1.0"),
        (b"-TR2940-", "Transmission-2.94"),
        (b"-TR3000-", "Transmission-3.00"),
        (b"-TR4060-", "Transmission-4.0.6"),
        (b"-TR410B-", "Transmission-4.1.0-beta"),
        (b"-TR410Z-", "Transmission-4.1.0-dev"),
        (b"-UT355S-", "uTorrent-3.5.5"),
        (b"-AZ5750-", "Vuze-5.7.5"),
        (b"-WW0102-", "WebTorrent-1.2"),
        (b"-WW01a2-", "WW01a2"),
        (b"-WW010x-", "WebTorrent-010x"),
        (b"-lftp47-", "lftp"),
        (b"A2-1-37-0-", "aria2-1.37.0"),
        (b"A2-1-36-0-\xff\xff", "aria2-1.36.0"),
        (b"M7-9-2--", "M7-9-2"),
        (b"M-9-2-0-", "BitTorrent-9.2.0"),
        # Unknown clients and versions keep their code.
        (b"-XY0100-", "XY0100"),
        (b"-DE2x3s-", "DE2x3s"),
        (b"-NOCLIENT-", "NOCLIENT"),
        (b"\x00\x01\x02\x03\x04\x05", "000102030405"),
        (b"----------", "2d2d2d2d2d2d"),
        (b"-\xff\xff\xff\xff-", "2dffffffff2d"),
        (b"-DE20\x1bs-", "2d444532301b"),
    ],
)
def test_client_names(start: bytes, name: str) -> None:
    assert client_name(start.ljust(20, b"k" if not start.startswith(b"\x00") else b"\x00")) == name


def test_our_own_name() -> None:
    assert client_name(make_peer_id(bytes(12))) == "torrentnet-0.1.0"


STARTS = [b"-LT", b"-TR", b"-WW", b"-lt", b"-UM", b"-XX", b"A2-", b"M-", b"-lftp", b""]


@given(start=st.sampled_from(STARTS), rest=st.binary(min_size=20, max_size=20))
def test_any_peer_id_has_a_short_displayable_name(start: bytes, rest: bytes) -> None:
    name = client_name((start + rest)[:20])
    assert check_peer_name(name) == name
    assert name.isascii()
    assert len(name) <= MAX_CLIENT_NAME
    assert MAX_CLIENT_NAME + LONGEST_ENDPOINT <= MAX_PEER_NAME
