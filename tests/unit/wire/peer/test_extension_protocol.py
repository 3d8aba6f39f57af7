"""The extension handshake (BEP 10) and the exchange of metadata (BEP 9).

Valid and invalid messages are tested.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.wire import bencode
from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.info import MAX_INFO_SIZE
from torrentnet.wire.peer import extension_protocol
from torrentnet.wire.peer.extension_protocol import ExtensionHandshake, Metadata, MetadataKind
from torrentnet.wire.peer.messages import BLOCK, MAX_BLOCK

handshakes = st.builds(
    ExtensionHandshake,
    st.integers(0, 255),
    st.integers(0, MAX_INFO_SIZE),
    st.text(st.characters(categories=("L", "N", "P")), max_size=16),
    st.integers(1, 2000),
    st.integers(BLOCK, MAX_BLOCK),
    st.integers(0, 255),
    st.booleans(),
    st.sampled_from(["", "leecher-1", "x" * 64]),
    st.integers(0, 65_535),
)


def _parse(**keys: bencode.Value) -> ExtensionHandshake:
    return extension_protocol.parse_extension_handshake(
        bencode.encode({key.encode(): value for key, value in keys.items()})
    )


@given(handshake=handshakes)
def test_extension_handshake_round_trip(handshake: ExtensionHandshake) -> None:
    assert (
        extension_protocol.parse_extension_handshake(extension_protocol.pack_extension_handshake(handshake))
        == handshake
    )


def test_an_empty_dictionary_offers_nothing() -> None:
    assert _parse() == ExtensionHandshake()


def test_a_real_clients_dictionary() -> None:
    parsed = _parse(
        m={b"ut_metadata": 3, b"ut_pex": 1, b"lt_donthave": 7},
        metadata_size=31235,
        p=6881,
        reqq=512,
        v=b"Transmission 3.00",
        yourip=b"\x7f\x00\x00\x01",
        upload_only=0,
        e=1,
    )
    assert parsed == ExtensionHandshake(3, 31235, "Transmission 3.00", 512, BLOCK, port=6881)


def test_ipv6_addresses_of_a_handshake_are_ignored() -> None:
    """BEP 10 has the sender's IPv6 address, and ``yourip`` of either length."""
    assert _parse(ipv6=bytes(15) + b"\x01", yourip=bytes(16), ipv4=bytes(4)) == ExtensionHandshake()


def test_unsorted_keys_of_a_handshake_are_accepted() -> None:
    assert extension_protocol.parse_extension_handshake(b"d1:v3:abc1:mdee").client == "abc"


@pytest.mark.parametrize(
    ("key", "limit", "otherwise"),
    [("metadata_size", MAX_INFO_SIZE, 0), ("reqq", 2000, 250), ("tn_block", MAX_BLOCK, BLOCK)],
)
def test_upper_limits(key: str, limit: int, otherwise: int) -> None:
    field = {"metadata_size": "metadata_size", "reqq": "requests", "tn_block": "block"}[key]
    assert getattr(_parse(**{key: limit}), field) == limit
    odd: tuple[bencode.Value, ...] = (limit + 1, 2**63, -1, b"12", [12], {b"a": 12})
    for value in odd:
        assert getattr(_parse(**{key: value}), field) == otherwise


@pytest.mark.parametrize(
    ("key", "field", "least", "otherwise"), [("reqq", "requests", 1, 250), ("tn_block", "block", BLOCK, BLOCK)]
)
def test_lower_limits(key: str, field: str, least: int, otherwise: int) -> None:
    assert getattr(_parse(**{key: least}), field) == least
    assert getattr(_parse(**{key: least - 1}), field) == otherwise


@pytest.mark.parametrize("offered", [b"x", [], 7, {b"ut_metadata": 256}, {b"ut_metadata": -1}, {b"ut_metadata": b"1"}])
def test_an_odd_offer_counts_as_none(offered: bencode.Value) -> None:
    assert _parse(m=offered).metadata_id == 0


def test_metadata_can_be_switched_off_and_has_one_byte_of_id() -> None:
    assert _parse(m={b"ut_metadata": 0}).metadata_id == 0
    assert _parse(m={b"ut_metadata": 255}).metadata_id == 255


def test_a_clients_name_is_escaped() -> None:
    assert _parse(v=b"a\x1b[2J\nb\xff").client == "a?[2J?b\ufffd"
    assert len(_parse(v=b"x" * 5000).client) == 64


def test_the_handshakes_size_is_limited() -> None:
    def sized(size: int) -> bytes:
        return bencode.encode({b"v": b"x" * (size - 11)})

    assert len(sized(extension_protocol.MAX_HANDSHAKE)) == extension_protocol.MAX_HANDSHAKE
    extension_protocol.parse_extension_handshake(sized(extension_protocol.MAX_HANDSHAKE))
    with pytest.raises(PeerProtocolError, match="extension handshake of 16385 bytes"):
        extension_protocol.parse_extension_handshake(sized(extension_protocol.MAX_HANDSHAKE + 1))


@pytest.mark.parametrize("payload", [b"", b"le", b"i1e", b"3:abc", b"d", b"d1:mi1e", b"l" * 1000])
def test_other_values_than_a_dictionary_are_refused(payload: bytes) -> None:
    with pytest.raises(PeerProtocolError):
        extension_protocol.parse_extension_handshake(payload)
    with pytest.raises(PeerProtocolError):
        extension_protocol.parse_metadata(payload)


def test_tn_block_is_sent_only_if_it_differs() -> None:
    assert b"tn_block" not in extension_protocol.pack_extension_handshake(ExtensionHandshake())
    assert b"8:tn_blocki262144e" in extension_protocol.pack_extension_handshake(ExtensionHandshake(block=MAX_BLOCK))


@pytest.mark.parametrize(
    ("metadata", "payload"),
    [
        (Metadata(MetadataKind.REQUEST, 3), b"d8:msg_typei0e5:piecei3ee"),
        (Metadata(MetadataKind.DATA, 0, 34256, b"xyz"), b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexyz"),
        (Metadata(MetadataKind.REJECT, 0), b"d8:msg_typei2e5:piecei0ee"),
    ],
)
def test_golden_metadata(metadata: Metadata, payload: bytes) -> None:
    """The examples of BEP 9, with the number that its reject lacks."""
    assert extension_protocol.pack_metadata(metadata) == payload
    assert extension_protocol.parse_metadata(payload) == metadata


@given(piece=st.integers(0, 2**31), total=st.integers(0, 2**40), data=st.binary(max_size=200))
def test_metadata_round_trip(piece: int, total: int, data: bytes) -> None:
    metadata = Metadata(MetadataKind.DATA, piece, total, data)
    assert extension_protocol.parse_metadata(extension_protocol.pack_metadata(metadata)) == metadata


@pytest.mark.parametrize("kind", [3, 99, -1, 2**60])
def test_a_type_that_bep_9_does_not_know_is_ignored(kind: int) -> None:
    assert extension_protocol.parse_metadata(bencode.encode({b"msg_type": kind, b"piece": 0})) is None


@pytest.mark.parametrize(
    "value",
    [
        {},
        {b"msg_type": 0},
        {b"piece": 0},
        {b"msg_type": b"0", b"piece": 0},
        {b"msg_type": 0, b"piece": b"0"},
        {b"msg_type": 0, b"piece": -1},
        {b"msg_type": 1, b"piece": 0, b"total_size": -1},
        {b"msg_type": 1, b"piece": 0, b"total_size": b"big"},
    ],
)
def test_odd_metadata_is_refused(value: dict[bytes, bencode.Value]) -> None:
    with pytest.raises(PeerProtocolError, match="metadata message"):
        extension_protocol.parse_metadata(bencode.encode(value))


# Our own keys, and the port


def test_our_own_keys_are_sent_only_if_they_differ() -> None:
    plain = extension_protocol.pack_extension_handshake(ExtensionHandshake())
    assert not [key for key in (b"tn_", b"1:p") if key in plain]
    full = extension_protocol.pack_extension_handshake(
        ExtensionHandshake(offer_id=2, makes_offers=True, name="leecher-1", port=6881)
    )
    for said in (b"8:tn_offeri2e", b"8:tn_turnsi1e", b"7:tn_name9:leecher-1", b"1:pi6881e"):
        assert said in full


@pytest.mark.parametrize("odd", [256, -1, 2**63, b"2", [2], {b"a": 2}])
def test_an_odd_id_for_offers_counts_as_none(odd: bencode.Value) -> None:
    assert _parse(m={b"tn_offer": odd}).offer_id == 0
    # The other ids are unchanged.
    assert _parse(m={b"tn_offer": odd, b"ut_metadata": 3}).metadata_id == 3


@pytest.mark.parametrize("identifier", [0, 1, 2, 255])
def test_an_id_for_offers_has_one_byte(identifier: int) -> None:
    assert _parse(m={b"tn_offer": identifier}).offer_id == identifier


@pytest.mark.parametrize("odd", [0, 2, -1, b"1", [1], {}])
def test_only_1_makes_offers(odd: bencode.Value) -> None:
    assert _parse(tn_turns=1).makes_offers
    assert not _parse(tn_turns=odd).makes_offers


@pytest.mark.parametrize("odd", [65_536, -1, 2**63, b"6881", []])
def test_an_odd_port_counts_as_none(odd: bencode.Value) -> None:
    assert _parse(p=odd).port == 0
    assert _parse(p=65_535).port == 65_535
    assert _parse(p=1).port == 1


@pytest.mark.parametrize("odd", [b"", b"x" * 65, b"a\x1b[2J", b"a\nb", b"\xff\xfe", b"a b", 7, [b"x"]])
def test_an_odd_name_counts_as_none(odd: bencode.Value) -> None:
    """The name is written into logs and event lines."""
    assert _parse(tn_name=odd).name == ""


def test_a_name() -> None:
    assert _parse(tn_name=b"leecher-1").name == "leecher-1"
    assert _parse(tn_name=b"x" * 64).name == "x" * 64
