"""What the other end holds, as it says."""

from __future__ import annotations

import pytest

from torrentnet.peer.transfer import remote_pieces
from torrentnet.peer.transfer.remote_pieces import RemotePieces
from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.messages import Bitfield, Choke, Have, HaveAll, HaveNone, Message
from torrentnet.wire.piece_set import PieceSet


def test_nothing_is_known_before_it_says_something() -> None:
    one = RemotePieces(8)
    assert one.held is None
    assert not one.handle(Choke())
    assert one.held is None


@pytest.mark.parametrize(
    ("said", "held"),
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
def test_it_is_the_same_whenever_the_number_of_pieces_is_known(said: list[Message], held: PieceSet, when: str) -> None:
    one = RemotePieces(8 if when == "before" else None)
    for number, message in enumerate(said):
        assert one.handle(message)
        if when == "between" and not number:
            one.set_piece_count(8)
    one.set_piece_count(8)
    one.set_piece_count(8)
    assert one.held == held


@pytest.mark.parametrize(
    "said", [Have(8), Have(2**32 - 1), Bitfield(b""), Bitfield(b"\xff\x00"), Bitfield(b"\xff" * 9)], ids=str
)
def test_nonsense_is_refused_at_once_or_when_it_shows(said: Message) -> None:
    with pytest.raises(PeerProtocolError):
        RemotePieces(8).handle(said)
    one = RemotePieces()
    assert one.handle(said)
    with pytest.raises(PeerProtocolError):
        one.set_piece_count(8)


def test_a_spare_bit_is_nonsense() -> None:
    with pytest.raises(PeerProtocolError, match="spare bit"):
        RemotePieces(7).handle(Bitfield(b"\xff"))


def test_what_is_kept_before_the_number_of_pieces_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_pieces, "MAX_EARLY_HAVES", 5)
    one = RemotePieces()
    for piece in range(5):
        one.handle(Have(piece))
    with pytest.raises(PeerProtocolError, match="more pieces than a file can have"):
        one.handle(Have(5))


def test_what_is_said_as_a_whole_replaces_what_was_said_piece_by_piece() -> None:
    one = RemotePieces()
    one.handle(Have(3))
    one.handle(Bitfield(b"\x80"))
    one.set_piece_count(8)
    assert one.held == PieceSet(8, [0])
