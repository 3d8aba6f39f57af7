"""The pieces of a remote peer, from its messages."""

from __future__ import annotations

import pytest

from torrentnet.peer.scheduling import remote_pieces
from torrentnet.peer.scheduling.remote_pieces import RemotePieces
from torrentnet.wire.errors import PeerProtocolError
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
    "message", [Have(8), Have(2**32 - 1), Bitfield(b""), Bitfield(b"\xff\x00"), Bitfield(b"\xff" * 9)], ids=str
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


def test_early_have_messages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_pieces, "MAX_EARLY_HAVES", 5)
    pieces = RemotePieces()
    for piece in range(5):
        pieces.handle(Have(piece))
    with pytest.raises(PeerProtocolError, match="more pieces than a file can have"):
        pieces.handle(Have(5))


def test_a_bitfield_replaces_earlier_have_messages() -> None:
    pieces = RemotePieces()
    pieces.handle(Have(3))
    pieces.handle(Bitfield(b"\x80"))
    pieces.set_piece_count(8)
    assert pieces.held == PieceSet(8, [0])
