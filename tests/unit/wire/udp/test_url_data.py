"""BEP 41 options, and the publication that they carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.wire import names
from torrentnet.wire.errors import InvalidNameError, PacketError
from torrentnet.wire.info import MAX_PIECE_LENGTH, MAX_PIECES, piece_count
from torrentnet.wire.udp.packets import ANNOUNCE_SIZE, MAX_DATAGRAM
from torrentnet.wire.udp.url_data import Publication, pack_publication, pack_url_data, parse_publication, parse_url_data


def _is_peer_name(name: str) -> bool:
    try:
        names.check_peer_name(name)
    except InvalidNameError:
        return False
    return True


file_names = st.text(
    st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"), exclude_characters="/\\"), min_size=1
)
good_file_names = file_names.filter(
    lambda name: name not in {".", ".."} and len(name.encode()) <= 255 and names.canonical_name(name) == name
)
good_peer_names = file_names.filter(_is_peer_name)
publications = st.builds(
    Publication,
    st.none() | good_file_names,
    st.none() | st.integers(0, 1 << 40),
    st.none() | st.integers(1 << 20, MAX_PIECE_LENGTH),
    st.none() | good_peer_names,
    st.booleans(),
)


def _query(query: str) -> Publication:
    return parse_publication(pack_url_data(f"/announce?{query}".encode("ascii")))


@given(publication=publications)
def test_publication_round_trip(publication: Publication) -> None:
    assert parse_publication(pack_publication(publication)) == publication


def test_golden() -> None:
    packed = pack_publication(Publication("a b&c=ü.txt", 5, 16384, "seeder-1", extended=True))
    assert packed == b"\x02\x4b/announce?tn=1&name=a%20b%26c%3D%C3%BC.txt&size=5&piece=16384&peer=seeder-1"


def test_the_longest_publication_fits_into_a_datagram() -> None:
    longest = Publication("ü" * 127, 1 << 62, MAX_PIECE_LENGTH, "ü" * 32, extended=True)
    options = pack_publication(longest)
    assert ANNOUNCE_SIZE + len(options) <= MAX_DATAGRAM
    assert parse_url_data(options).startswith(b"/announce?tn=1&name=%C3%BC")


@pytest.mark.parametrize("size", [0, 1, 254, 255, 256, 510, 511, 1200])
def test_a_long_url_takes_several_options(size: int) -> None:
    url = bytes(0x61 + at % 26 for at in range(size))
    options = pack_url_data(url)
    assert len(options) == size + 2 * -(-size // 255)
    assert parse_url_data(options) == url


@pytest.mark.parametrize(
    ("options", "url"),
    [
        (b"", b""),
        (b"\0", b""),
        (b"\0\0", b""),
        (b"\x01\x01\x01", b""),
        (b"\x02\x00", b""),
        (b"\x02\x01/", b"/"),
        (b"\x01\x02\x01a\x01\x02\x01b\x01", b"ab"),
        (b"\x02\x01a\x00\x02\x05junk", b"a"),
        (b"\x03\x00\x80\x03xyz\xff\x01q\x02\x01a", b"a"),
        (b"\x02\x17/announce?name=seed.bin", b"/announce?name=seed.bin"),
    ],
)
def test_options(options: bytes, url: bytes) -> None:
    assert parse_url_data(options) == url


@pytest.mark.parametrize("options", [b"\x02", b"\x02\x01", b"\x02\x05abcd", b"\x80", b"\x80\xff", b"\x01\x02\x03ab"])
def test_an_option_that_runs_past_the_end_is_an_error(options: bytes) -> None:
    with pytest.raises(PacketError, match="past the end") as refused:
        parse_url_data(options)
    assert refused.value.sendable


@pytest.mark.parametrize(
    ("query", "publication"),
    [
        ("", Publication()),
        ("name=a+b.txt", Publication(name="a b.txt")),
        ("name=a%2Bb%20c.txt", Publication(name="a+b c.txt")),
        ("NAME=a", Publication()),
        ("other=1&name=a&more", Publication(name="a")),
        ("name=a&name=b", Publication(name="b")),
        ("tn=1", Publication(extended=True)),
        ("tn=2", Publication()),
        ("tn=", Publication()),
        ("size=0&piece=1", Publication(size=0, piece_length=1)),
        ("size=0009", Publication(size=9)),
    ],
)
def test_queries(query: str, publication: Publication) -> None:
    assert _query(query) == publication


def test_a_url_that_libtorrent_cut_is_parsed() -> None:
    url = b"/announce?name=" + b"x" * 233 + b"&size=123456"
    assert parse_publication(pack_url_data(url[:255])) == Publication(name="x" * 233, size=1)


@pytest.mark.parametrize(
    "query",
    [
        "name=",
        "name=..",
        "name=%2e%2e",
        "name=..%2F..%2Fetc%2Fpasswd",
        "name=a%00b",
        "name=a%5Cb",
        "name=%C0%AE%C0%AE",
        "name=%FF",
        "name=" + "x" * 256,
        "peer=",
        "peer=seeder+1",
        "peer=" + "p" * 65,
        "peer=a%0Ab",
        "size=",
        "size=-1",
        "size=1.5",
        "size=%D9%A1",
        "size=0x10",
        f"size={(1 << 62) + 1}",
        "size=" + "9" * 5000,
        "piece=0",
        f"piece={MAX_PIECE_LENGTH + 1}",
        "piece=-1",
        f"size={1 << 62}&piece=1",
        "&".join(f"f{number}=1" for number in range(17)),
    ],
)
def test_a_bad_query_may_be_reported_to_its_sender(query: str) -> None:
    with pytest.raises(PacketError) as refused:
        _query(query)
    assert refused.value.sendable
    assert len(refused.value.message) < 200


def test_bytes_that_are_not_a_url_are_refused() -> None:
    for url in (b"\xff\xfe", "/announce?name=ü".encode(), b"//[bad"):
        with pytest.raises(PacketError, match="cannot be read"):
            parse_publication(pack_url_data(url))


def test_limits() -> None:
    assert _query(f"size={1 << 62}").size == 1 << 62
    assert _query(f"piece={MAX_PIECE_LENGTH}").piece_length == MAX_PIECE_LENGTH
    most = MAX_PIECES * 16384
    assert piece_count(most, 16384) == MAX_PIECES
    assert _query(f"size={most}&piece=16384").size == most
    with pytest.raises(PacketError, match="1048577 pieces, at most 1048576"):
        _query(f"size={most + 1}&piece=16384")
    assert _query("&".join([*(f"f{number}=1" for number in range(15)), "name=a"])).name == "a"
