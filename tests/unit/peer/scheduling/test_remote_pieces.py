"""The pieces of a remote peer, from its messages."""

from __future__ import annotations

import pytest

from torrentnet.peer.scheduling.remote_pieces import MAX_REPEATS, STATE_WEIGHT, RemotePieces
from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.info import MAX_PIECES
from torrentnet.wire.peer.messages import Bitfield, Choke, Have, HaveAll, HaveNone, Message
from torrentnet.wire.piece_set import PieceSet


def test_pieces_are_unknown_before_the_first_message() -> None:
    pieces = RemotePieces(8)
    assert pieces.held is None
    assert not pieces.handle(Choke())
    assert pieces.held is None


@pytest.mark.parametrize(
    ("messages", "held"),
    [
        ([HaveAll()], PieceSet.full(8)),
        ([HaveNone()], PieceSet(8)),
        ([Bitfield(b"\xa0")], PieceSet(8, [0, 2])),
        ([Bitfield(b"\xa0"), Have(1), Have(1)], PieceSet(8, [0, 1, 2])),
        ([Have(7)], PieceSet(8, [7])),
        ([HaveNone(), Have(0), Bitfield(b"\xff")], PieceSet.full(8)),
        ([HaveAll(), Bitfield(b"\x80")], PieceSet.full(8)),
        ([HaveAll(), HaveNone()], PieceSet(8)),
        ([HaveNone(), Bitfield(b"\xf0"), Have(7)], PieceSet(8, [0, 1, 2, 3, 7])),
    ],
    ids=str,
)
@pytest.mark.parametrize("when", ["before", "after", "between"])
def test_the_piece_count_may_come_at_any_time(messages: list[Message], held: PieceSet, when: str) -> None:
    pieces = RemotePieces(8 if when == "before" else None)
    for number, message in enumerate(messages):
        assert pieces.handle(message)
        if when == "between" and not number:
            pieces.set_piece_count(8)
    pieces.set_piece_count(8)
    pieces.set_piece_count(8)
    assert pieces.held == held


@pytest.mark.parametrize(
    "message", [Have(8), Have(MAX_PIECES - 1), Bitfield(b""), Bitfield(b"\xff\x00"), Bitfield(b"\xff" * 9)], ids=str
)
def test_an_invalid_message_is_refused_once_it_can_be_checked(message: Message) -> None:
    with pytest.raises(PeerProtocolError):
        RemotePieces(8).handle(message)
    pieces = RemotePieces()
    assert pieces.handle(message)
    with pytest.raises(PeerProtocolError):
        pieces.set_piece_count(8)


def test_a_spare_bit_in_a_bitfield_is_refused() -> None:
    with pytest.raises(PeerProtocolError, match="spare bit"):
        RemotePieces(7).handle(Bitfield(b"\xff"))


@pytest.mark.parametrize("message", [Have(MAX_PIECES), Bitfield(bytes(MAX_PIECES // 8 + 1))], ids=["have", "bitfield"])
def test_more_pieces_than_a_file_can_have_are_refused_at_once(message: Message) -> None:
    with pytest.raises(PeerProtocolError, match="no file has"):
        RemotePieces().handle(message)


@pytest.mark.parametrize("known", [True, False], ids=["pieces-known", "pieces-unknown"])
@pytest.mark.parametrize("message", [HaveAll(), HaveNone(), Bitfield(b"\xf0"), Have(3)], ids=str)
def test_a_flood_of_messages_about_pieces_is_an_error(message: Message, known: bool) -> None:
    pieces = RemotePieces(8 if known else None)
    most = 1 + (MAX_REPEATS if isinstance(message, Have) else MAX_REPEATS // STATE_WEIGHT)
    for _ in range(most):
        pieces.handle(message)
    with pytest.raises(PeerProtocolError, match="too often"):
        pieces.handle(message)


def test_a_bitfield_replaces_earlier_have_messages() -> None:
    pieces = RemotePieces()
    pieces.handle(Have(3))
    pieces.handle(Bitfield(b"\x80"))
    pieces.set_piece_count(8)
    assert pieces.held == PieceSet(8, [0])
