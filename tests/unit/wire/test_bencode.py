"""Bencoding: canonical output, strict input, and limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.wire import bencode
from torrentnet.wire.errors import BencodeError

values: st.SearchStrategy[bencode.Value] = st.recursive(
    st.integers(-(10**20) + 1, 10**20 - 1) | st.binary(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.binary(max_size=8), inner, max_size=5),
    max_leaves=25,
)


@given(value=values)
def test_encoded_values_decode_to_themselves(value: bencode.Value) -> None:
    encoded = bencode.encode(value)
    assert bencode.decode(encoded) == value
    assert bencode.encode(bencode.decode(encoded)) == encoded


@given(value=values, behind=st.binary(max_size=20))
def test_a_prefix_ends_where_the_value_ends(value: bencode.Value, behind: bytes) -> None:
    encoded = bencode.encode(value)
    assert bencode.decode_prefix(encoded + behind) == (value, len(encoded))


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, b"i0e"),
        (-42, b"i-42e"),
        (b"", b"0:"),
        (b"spam", b"4:spam"),
        ([], b"le"),
        ([b"a", [1]], b"l1:ali1eee"),
        ({}, b"de"),
        # Raw byte order: upper case before lower case, a prefix before a longer key, 0xff last.
        ({b"b": 1, b"B": 2, b"ba": 3, b"\xff": 4}, b"d1:Bi2e1:bi1e2:bai3e1:\xffi4ee"),
    ],
)
def test_golden(value: bencode.Value, encoded: bytes) -> None:
    assert bencode.encode(value) == encoded
    assert bencode.decode(encoded) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"i01e",
        b"i-01e",
        b"i-0e",
        b"ie",
        b"i-e",
        b"i+1e",
        b"i 1e",
        b"i1.0e",
        b"i1_0e",
        "i١e".encode(),
        b"i1",
        b"01:a",
        b"00:",
        b"-1:a",
        b"+1:a",
        b"1:",
        b"2:a",
        b"1a",
        b":a",
        b"18446744073709551616:a",
        b"e",
        b"l",
        b"d",
        b"li1e",
        b"i1ei2e",
        b"x",
        b"d1:ae",
        b"di1ei2ee",
        b"dlei2ee",
        b"d1:a1:b1:a1:ce",
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(BencodeError):
        bencode.decode(data)


def test_unsorted_keys_are_accepted() -> None:
    assert bencode.decode(b"d1:b1:x1:a1:ye") == {b"b": b"x", b"a": b"y"}


def test_a_boolean_is_not_silently_a_number() -> None:
    with pytest.raises(TypeError):
        bencode.encode(True)


def test_depth_limit() -> None:
    deepest = b"l" * bencode.MAX_DEPTH + b"e" * bencode.MAX_DEPTH
    bencode.decode(deepest)
    with pytest.raises(BencodeError, match="nested deeper than 32"):
        bencode.decode(b"l" + deepest + b"e")
    with pytest.raises(BencodeError, match="nested deeper than 32"):
        bencode.decode(b"d1:a" * (bencode.MAX_DEPTH + 1))


@pytest.mark.parametrize("opening", [b"l", b"d", b"d1:a", b"li1e"])
def test_a_million_openings_do_not_exhaust_the_stack(opening: bytes) -> None:
    with pytest.raises(BencodeError):
        bencode.decode(opening * 1_000_000)


def test_item_limit() -> None:
    # The list's beginning and end count too.
    most = b"l" + b"0:" * (bencode.MAX_ITEMS - 2) + b"e"
    value = bencode.decode(most)
    assert isinstance(value, list)
    assert len(value) == bencode.MAX_ITEMS - 2
    with pytest.raises(BencodeError, match="more than 200000 items"):
        bencode.decode(b"l0:" + most[1:])


@pytest.mark.parametrize("sign", [b"", b"-"])
def test_digit_limit(sign: bytes) -> None:
    most = sign + b"9" * bencode.MAX_DIGITS
    assert bencode.decode(b"i" + most + b"e") == int(most)
    with pytest.raises(BencodeError, match=r"bad number|without an end"):
        bencode.decode(b"i" + most + b"9e")


def test_the_search_for_a_numbers_end_is_bounded() -> None:
    with pytest.raises(BencodeError, match="number without an end at offset 1"):
        bencode.decode(b"i" + b"1" * 1_000_000 + b"e")


@pytest.mark.parametrize("length", [b"2", b"4294967296", b"99999999999999999999"])
def test_a_length_is_compared_with_the_data(length: bytes) -> None:
    with pytest.raises(BencodeError, match="only 1 follow"):
        bencode.decode(length + b":a")
