"""Info dictionaries: our own, and those that must be refused."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.wire import bencode, info
from torrentnet.wire.errors import MetainfoError

PIECE = 16 * 1024


def _raw(**changed: bencode.Value | None) -> bytes:
    """Return a valid dictionary of two pieces with some keys changed.

    A key whose new value is None is removed.
    """
    value: dict[bytes, bencode.Value] = {
        b"length": PIECE + 1,
        b"name": b"myfile.txt",
        b"piece length": PIECE,
        b"pieces": b"h" * 40,
    }
    for key, replacement in changed.items():
        raw_key = key.replace("_", " ").encode()
        if replacement is None:
            del value[raw_key]
        else:
            value[raw_key] = replacement
    return bencode.encode(value)


@given(length=st.integers(0, 200_000), shift=st.integers(10, 16))
def test_info_round_trip(length: int, shift: int) -> None:
    piece_length = 1 << shift
    hashes = bytes(20 * info.piece_count(length, piece_length))
    made = info.make_info("my file.txt", length, piece_length, hashes)
    read = info.parse_info(made.raw)
    assert read == made
    assert read.info_hash == hashlib.sha1(made.raw, usedforsecurity=False).digest()
    assert sum(read.piece_size(piece) for piece in range(read.pieces)) == length
    assert all(0 < read.piece_size(piece) <= piece_length for piece in range(read.pieces))


def test_golden() -> None:
    made = info.make_info("a.txt", 3, 262144, bytes.fromhex("a9993e364706816aba3e25717850c26c9cd0d89d"))
    assert made.raw == (
        b"d6:lengthi3e4:name5:a.txt12:piece lengthi262144e6:pieces20:"
        b"\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d7:privatei1ee"
    )
    assert made.piece_hash(0).hex() == "a9993e364706816aba3e25717850c26c9cd0d89d"


@pytest.mark.parametrize(("length", "sizes"), [(0, []), (1, [1]), (PIECE, [PIECE]), (PIECE + 1, [PIECE, 1])])
def test_small_files(length: int, sizes: list[int]) -> None:
    made = info.parse_info(_raw(length=length, pieces=b"h" * 20 * len(sizes)))
    assert made.pieces == len(sizes)
    assert [made.piece_size(piece) for piece in range(made.pieces)] == sizes


def test_the_hash_covers_the_received_bytes() -> None:
    """Unsorted and unknown keys of the info dictionary stay as they are.

    Encoding the dictionary anew would give another hash.
    """
    raw = b"d4:name1:a6:pieces0:6:lengthi0e12:piece lengthi1e1:zi1ee"
    assert info.parse_info(raw).info_hash == hashlib.sha1(raw, usedforsecurity=False).digest()
    assert info.parse_info(raw).raw == raw


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"length": -1}, "'length' is -1"),
        ({"length": -(2**63)}, "'length' is -"),
        ({"length": (1 << 62) + 1}, "'length' is 4611686018427387905"),
        ({"length": None}, "no 'length'"),
        ({"length": b"5"}, "no 'length'"),
        ({"length": 0}, "40 bytes of piece hashes in place of 0"),
        ({"length": 1 << 62, "piece_length": 1}, "4611686018427387904 pieces, at most 1048576"),
        ({"piece_length": None}, "no 'piece length'"),
        ({"piece_length": 0}, "'piece length' is 0"),
        ({"piece_length": -PIECE}, "'piece length' is -16384"),
        (
            {"piece_length": info.MAX_PIECE_LENGTH + 1},
            "pieces of 67108865 bytes, at most 67108864 .64 MiB. are allowed",
        ),
        ({"pieces": None}, "no piece hashes"),
        ({"pieces": 5}, "no piece hashes"),
        ({"pieces": [b"h" * 20, b"h" * 20]}, "no piece hashes"),
        ({"pieces": b""}, "0 bytes of piece hashes in place of 40"),
        ({"pieces": b"h" * 39}, "39 bytes of piece hashes in place of 40"),
        ({"pieces": b"h" * 60}, "60 bytes of piece hashes in place of 40"),
        ({"name": None}, "has no name"),
        ({"name": 5}, "has no name"),
        ({"name": b""}, "file name is empty"),
        ({"name": b".."}, "names a directory"),
        ({"name": b"../../etc/passwd"}, "holds '/'"),
        ({"name": b"/etc/passwd"}, "holds '/'"),
        ({"name": b"a\\b"}, "holds"),
        ({"name": b"a\0b"}, "holds"),
        ({"name": b"\xc0\xae\xc0\xae"}, "not UTF-8"),
        ({"name": b"x" * 256}, "256 bytes of UTF-8"),
        ({"files": [{b"length": 1, b"path": [b"a"]}]}, "several files"),
    ],
)
def test_a_bad_dictionary_is_refused(changed: dict[str, bencode.Value | None], text: str) -> None:
    with pytest.raises(MetainfoError, match=text):
        info.parse_info(_raw(**changed))


@pytest.mark.parametrize(
    "raw", [b"", b"le", b"i0e", b"4:spam", _raw() + b"x", _raw()[:-1], b"d4:name1:a4:name1:be", b"l" * 99]
)
def test_other_values_than_a_dictionary_are_refused(raw: bytes) -> None:
    with pytest.raises(MetainfoError):
        info.parse_info(raw)


def test_piece_limits() -> None:
    most = info.parse_info(_raw(length=info.MAX_PIECES, piece_length=1, pieces=bytes(20 * info.MAX_PIECES)))
    assert most.pieces == info.MAX_PIECES
    with pytest.raises(MetainfoError, match="1048577 pieces"):
        info.parse_info(_raw(length=info.MAX_PIECES + 1, piece_length=1, pieces=bytes(20 * info.MAX_PIECES + 20)))
    assert info.parse_info(_raw(piece_length=info.MAX_PIECE_LENGTH, pieces=bytes(20))).pieces == 1


def test_size_limit() -> None:
    def sized(size: int) -> bytes:
        filling = size - len(_raw(z=b"")) - len(str(size))
        raw = _raw(z=bytes(filling + 1))
        return raw if len(raw) == size else _raw(z=bytes(filling + 1 + size - len(raw)))

    assert info.parse_info(sized(info.MAX_INFO_SIZE)).pieces == 2
    with pytest.raises(MetainfoError, match="info dictionary of 25165825 bytes"):
        info.parse_info(sized(info.MAX_INFO_SIZE + 1))


@pytest.mark.parametrize(
    ("length", "piece_length"),
    [
        (0, 256 * 1024),
        (8 << 20, 256 * 1024),
        (8192 * 256 * 1024, 256 * 1024),
        (8192 * 256 * 1024 + 1, 512 * 1024),
        (1 << 40, 64 * 1024 * 1024),
        (1 << 62, 64 * 1024 * 1024),
    ],
)
def test_the_possession_of_all_pieces_fits_into_a_datagram(length: int, piece_length: int) -> None:
    assert info.choose_piece_length(length) == piece_length


def test_the_private_mark_is_optional() -> None:
    private, public = (info.make_info("a", 5, 16384, b"h" * 20, private=private) for private in (True, False))
    assert b"7:privatei1e" in private.raw
    assert b"private" not in public.raw
    assert private.info_hash != public.info_hash
    assert info.parse_info(public.raw) == public
