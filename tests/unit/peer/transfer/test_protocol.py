"""Two ends of the peer protocol over a stream that is split anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.streams import (
    LEECH_ID,
    PIECE,
    SEED_ID,
    Leech,
    Seed,
    at_random,
    bytewise,
    content,
    converse,
    cut_at,
    drained,
    make_store,
    pour,
    whole,
)
from torrentnet.peer.transfer.protocol import CLIENT_NAME, Credit, LocalIdentity, PeerProtocol, SelfConnectionError
from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.extension_protocol import (
    METADATA_ID,
    OFFER_ID,
    ExtensionHandshake,
    Metadata,
    MetadataKind,
    pack_extension_handshake,
    pack_metadata,
)
from torrentnet.wire.peer.handshake import PROTOCOL, Handshake, pack_handshake
from torrentnet.wire.peer.messages import (
    MAX_BLOCK,
    Bitfield,
    Extended,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    Message,
    Port,
    Request,
    Unknown,
    pack,
)
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

HASH = bytes(range(20))


def opened(initiator: bool = False, pieces: int = 100, other: Handshake | None = None) -> PeerProtocol:
    """A protocol that has received a handshake."""
    protocol = PeerProtocol(HASH, SEED_ID, initiator=initiator, pieces=pieces)
    list(pour(protocol, pack_handshake(other or Handshake(HASH, LEECH_ID))))
    drained(protocol)
    return protocol


# -- A complete transfer ---------------------------------------------------------------------------

SIZES = {"empty": 0, "one-byte": 1, "one-piece": PIECE, "one-more": PIECE + 1, "several": 3 * PIECE + 20_000}


@pytest.mark.parametrize("chunks", [whole, bytewise, at_random(1), at_random(2), at_random(3)])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_a_file_is_transferred_in_chunks_of_any_size(
    tmp_path: Path, size: int, chunks: Callable[[bytes], Iterable[bytes]]
) -> None:
    data = content(size)
    store = make_store(tmp_path / "myfile.txt", data)
    leech = Leech(store.info.info_hash)
    converse(leech, Seed(store), chunks)
    store.close()
    assert leech.info == store.info
    assert leech.data == data
    assert leech.bad == []
    assert leech.todo is not None
    assert not leech.todo


def test_a_file_is_transferred_wherever_the_stream_is_split(tmp_path: Path) -> None:
    data = content(2 * PIECE + 7)
    store = make_store(tmp_path / "myfile.txt", data)
    for position in (*range(1, 300), *range(PIECE - 5, PIECE + 30)):
        leech = Leech(store.info.info_hash)
        converse(leech, Seed(store), cut_at(position))
        assert leech.data == data
    store.close()


def test_the_stream_may_be_split_within_the_handshake() -> None:
    messages: list[Message] = [HaveNone(), Interested(), Request(1, 2, 3), Port(7), Have(9)]
    stream = pack_handshake(Handshake(HASH, LEECH_ID)) + b"".join(pack(message) for message in messages)
    for chunks in (whole, bytewise):
        protocol = PeerProtocol(HASH, SEED_ID, initiator=False)
        events = [event for chunk in chunks(stream) for event in pour(protocol, chunk)]
        assert events == [Handshake(HASH, LEECH_ID), *messages]
        assert protocol.received_bytes == len(stream)


# -- Handshakes ------------------------------------------------------------------------------------


def test_only_a_valid_handshake_is_answered() -> None:
    first = PeerProtocol(HASH, LEECH_ID, initiator=True)
    second = PeerProtocol(HASH, SEED_ID, initiator=False)
    assert drained(second) == b""
    greeting = drained(first)
    assert greeting == pack_handshake(Handshake(HASH, LEECH_ID))
    assert list(pour(second, greeting)) == [Handshake(HASH, LEECH_ID)]
    assert drained(second) == pack_handshake(Handshake(HASH, SEED_ID))


@pytest.mark.parametrize(
    "first", [b"\x14", b"\x00", b"G", b"\xff" * 96, b"\x13bitTorrent", b"GET / HTTP/1.1\r\n"], ids=repr
)
def test_an_invalid_handshake_is_refused_at_the_first_wrong_byte(first: bytes) -> None:
    """An early refusal lets other clients fall back to plain text.

    They try encryption first, and reconnect in plain text when their connection is closed.
    """
    protocol = PeerProtocol(HASH, SEED_ID, initiator=False)
    wrong = next(number for number, byte in enumerate(first) if byte != PROTOCOL[number])
    assert list(pour(protocol, first[:wrong])) == []
    with pytest.raises(PeerProtocolError, match="not a BitTorrent handshake"):
        list(pour(protocol, first[wrong : wrong + 1]))
    assert drained(protocol) == b""


def test_another_info_hash_is_refused_without_a_reply() -> None:
    protocol = PeerProtocol(HASH, SEED_ID, initiator=False)
    with pytest.raises(PeerProtocolError, match="another info-hash"):
        list(pour(protocol, pack_handshake(Handshake(bytes(20), LEECH_ID))))
    assert drained(protocol) == b""


@pytest.mark.parametrize("initiator", [True, False])
def test_a_connection_to_oneself_is_detected(initiator: bool) -> None:
    protocol = PeerProtocol(HASH, SEED_ID, initiator=initiator)
    with pytest.raises(SelfConnectionError, match="connected to itself"):
        list(pour(protocol, pack_handshake(Handshake(HASH, SEED_ID))))


@pytest.mark.parametrize(
    ("held", "fast", "expected"),
    [
        (None, True, [HaveNone()]),
        (PieceSet(10), True, [HaveNone()]),
        (PieceSet(10, [0, 9]), True, [Bitfield(b"\x80\x40")]),
        (PieceSet.full(10), True, [HaveAll()]),
        (PieceSet(0), True, [HaveNone()]),
        (None, False, []),
        (PieceSet(10), False, []),
        (PieceSet(10, [0, 9]), False, [Bitfield(b"\x80\x40")]),
        (PieceSet.full(10), False, [Bitfield(b"\xff\xc0")]),
        (PieceSet(0), False, []),
    ],
)
@pytest.mark.parametrize("extended", [True, False])
def test_held_pieces_and_extensions_follow_the_handshake(
    held: PieceSet | None, fast: bool, expected: list[object], extended: bool
) -> None:
    other = Handshake(HASH, LEECH_ID, extended=extended, fast=fast)
    protocol = opened(other=other)
    assert protocol.fast is fast
    protocol.send_initial_state(held, 1234)
    reader = opened(initiator=True)
    messages = list(pour(reader, drained(protocol)))
    if extended:
        assert messages.pop() == ExtensionHandshake(METADATA_ID, 1234, CLIENT_NAME, 250, MAX_BLOCK, makes_offers=True)
    assert messages == expected


# -- Messages --------------------------------------------------------------------------------------


def test_an_oversized_message_is_refused_by_its_length() -> None:
    protocol = opened()
    with pytest.raises(PeerProtocolError, match="at most 65536 are allowed"):
        list(pour(protocol, (65_537).to_bytes(4, "big")))


def test_a_bitfield_of_a_huge_file_is_accepted() -> None:
    protocol = opened(pieces=1_000_000)
    (message,) = pour(protocol, pack(Bitfield(bytes(125_000))))
    assert message == Bitfield(bytes(125_000))


def test_unknown_messages_are_passed_on_undecoded() -> None:
    protocol = opened()
    stream = (
        b"\0\0\0\x03\x63ab"
        + pack(Extended(77, b"anything"))
        + pack(Extended(METADATA_ID, b"d8:msg_typei9e5:piecei0ee"))
    )
    assert list(pour(protocol, stream)) == [
        Unknown(99),
        Extended(77, b"anything"),
        Extended(METADATA_ID, b"d8:msg_typei9e5:piecei0ee"),
    ]


def test_ipv6_peers_of_a_peer_exchange_are_ignored() -> None:
    """BEP 11 is not offered; some clients send it all the same."""
    pex = Extended(77, b"d5:added6:" + bytes(6) + b"6:added618:" + bytes(18) + b"8:added6.f1:" + bytes(1) + b"e")
    protocol = opened()
    assert list(pour(protocol, pack(pex) + pack(Interested()))) == [pex, Interested()]
    assert drained(protocol) == b""


@pytest.mark.parametrize(
    "payload",
    [b"", b"i1e", b"d", b"le", b"d1:mi1e1:mi2ee", b"d" * 100, b"x" * 20_000],
    ids=lambda value: repr(value[:9]),
)
def test_an_invalid_extension_handshake_is_refused(payload: bytes) -> None:
    with pytest.raises(PeerProtocolError, match="extension handshake"):
        list(pour(opened(), pack(Extended(0, payload))))


def test_metadata_is_sent_under_the_remote_peers_id() -> None:
    protocol = opened()
    request = Metadata(MetadataKind.REQUEST, 3)
    protocol.send_metadata(request)
    assert drained(protocol) == b""
    list(pour(protocol, pack(Extended(0, b"d1:md11:ut_metadatai42eee"))))
    protocol.send_metadata(request)
    assert drained(protocol) == pack(Extended(42, pack_metadata(request)))


def test_larger_blocks_need_both_peers_consent() -> None:
    protocol = opened()
    assert protocol.max_block_size() == 16_384
    list(pour(protocol, pack(Extended(0, b"d1:md11:ut_metadatai1eee"))))
    assert protocol.max_block_size() == 16_384
    list(pour(protocol, pack(Extended(0, b"d1:md11:ut_metadatai1ee8:tn_blocki131072ee"))))
    assert protocol.max_block_size() == 131_072
    # A remote peer cannot raise the limit above the reader's.
    list(pour(protocol, pack(Extended(0, b"d1:md11:ut_metadatai1ee8:tn_blocki1048576ee"))))
    assert protocol.max_block_size() == 16_384


@pytest.mark.parametrize("block", [16_384, 262_144])
def test_the_local_limit_of_blocks_is_announced(block: int) -> None:
    protocol = PeerProtocol(HASH, SEED_ID, initiator=True, identity=LocalIdentity(max_block=block))
    remote = opened()
    list(pour(protocol, pack_handshake(Handshake(HASH, LEECH_ID))))
    protocol.output.clear()
    protocol.send_extension_handshake(0)
    for part in protocol.output:
        assert isinstance(part, bytes)
        list(pour(remote, part))
    assert remote.max_block_size() == block


# -- Credits ---------------------------------------------------------------------------------------


def connected(*, uses_credits: bool) -> PeerProtocol:
    """A protocol, with credits or without, whose remote peer uses credits."""
    protocol = PeerProtocol(
        HASH, LEECH_ID, initiator=True, identity=LocalIdentity("leecher-1", 6881, uses_credits=uses_credits)
    )
    extension = ExtensionHandshake(METADATA_ID, offer_id=9, makes_offers=True)
    list(pour(protocol, pack_handshake(Handshake(HASH, SEED_ID))))
    list(pour(protocol, pack(Extended(0, pack_extension_handshake(extension)))))
    drained(protocol)
    return protocol


def test_a_credit_is_decoded_only_by_peers_that_use_them() -> None:
    data = pack(Extended(OFFER_ID, b""))
    assert list(pour(connected(uses_credits=True), data)) == [Credit()]
    assert list(pour(connected(uses_credits=False), data)) == [Extended(OFFER_ID, b"")]
    # A payload of a later version is ignored.
    assert list(pour(connected(uses_credits=True), pack(Extended(OFFER_ID, b"de")))) == [Credit()]


def test_a_credit_is_sent_under_the_remote_peers_id() -> None:
    protocol = connected(uses_credits=True)
    protocol.send_credit()
    assert drained(protocol) == pack(Extended(9, b""))
    assert drained(protocol) == b""


def test_credits_are_needed_if_both_peers_use_them() -> None:
    assert connected(uses_credits=True).needs_credits
    assert not connected(uses_credits=False).needs_credits
    assert connected(uses_credits=False).remote_uses_credits
    assert not opened(initiator=True).remote_uses_credits
    assert not opened(initiator=True).needs_credits


def test_the_extension_handshake_contains_the_identity() -> None:
    for uses_credits in (True, False):
        protocol = connected(uses_credits=uses_credits)
        protocol.send_initial_state(None, 0)
        reader = opened()
        events = list(pour(reader, drained(protocol)))
        (extension,) = (event for event in events if isinstance(event, ExtensionHandshake))
        assert (extension.name, extension.port, extension.makes_offers) == ("leecher-1", 6881, True)
        assert bool(extension.offer_id) == uses_credits
