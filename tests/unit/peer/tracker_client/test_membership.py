"""What an announce says of a peer and of what it holds."""

from __future__ import annotations

import pytest

from tests.unit.peer.streams import PIECE, content, info_of
from torrentnet.peer.tracker_client.membership import AnnounceIdentity, Membership, build_announce
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp.packets import DEFAULT_WANT, AnnounceEvent, AnnounceRequest, parse_announce
from torrentnet.wire.udp.url_data import Publication, parse_publication

LENGTH = 256 * 1024
SIZE = 8 * LENGTH
IDENTITY = AnnounceIdentity("peer-1", b"-NL0100-abcdefghijkl", 6881, 77)


def announced(held: PieceSet, *, size: int = SIZE, piece_length: int = LENGTH, peers: bool = False) -> AnnounceRequest:
    member = Membership(b"H" * 20, "myfile.txt", size, piece_length)
    return parse_announce(
        build_announce(1, 2, IDENTITY, member, held, AnnounceEvent.STARTED, downloaded=3, uploaded=4, want_peers=peers)
    )


def test_it_says_who_of_what_and_how_much() -> None:
    announce = announced(PieceSet.full(8))
    assert (announce.connection_id, announce.transaction_id, announce.info_hash) == (1, 2, b"H" * 20)
    assert (announce.peer_id, announce.port, announce.key, announce.ip) == (IDENTITY.peer_id, 6881, 77, 0)
    assert (announce.downloaded, announce.left, announce.uploaded, announce.event) == (3, 0, 4, AnnounceEvent.STARTED)
    assert parse_publication(announce.options) == Publication("myfile.txt", SIZE, LENGTH, "peer-1", extended=True)


def test_peers_are_asked_for_where_they_are_wanted() -> None:
    assert announced(PieceSet(8)).want == 0
    assert announced(PieceSet(8), peers=True).want == DEFAULT_WANT


@pytest.mark.parametrize(
    ("held", "size", "left"),
    [
        (PieceSet(8), SIZE, SIZE),
        (PieceSet(8, [3]), SIZE, SIZE - LENGTH),
        (PieceSet.full(8), SIZE, 0),
        (PieceSet(0), 0, 0),
        # The last piece is short: what is left is never told as nothing while something is missing.
        (PieceSet(2, [0]), LENGTH + 1, 1),
        (PieceSet(2, [1]), LENGTH + 1, 1),
    ],
    ids=["nothing", "one", "all", "empty-file", "first-of-two", "short-one-of-two"],
)
def test_left(held: PieceSet, size: int, left: int) -> None:
    assert announced(held, size=size).left == left


@pytest.mark.parametrize(("size", "piece_length"), [(SIZE, None), (None, None)], ids=["size-alone", "neither"])
def test_what_is_not_known_is_not_published(size: int | None, piece_length: int | None) -> None:
    announce = announced(PieceSet(1), size=size or 0, piece_length=0)
    publication = parse_publication(announce.options)
    assert (publication.size, publication.piece_length) == (size, piece_length)
    assert announce.left == (size or 1)


def test_the_size_of_an_empty_file_is_known() -> None:
    assert parse_publication(announced(PieceSet(0), size=0).options).size == 0


def test_one_piece_stands_for_a_file_whose_pieces_nobody_has_told() -> None:
    assert Membership(b"H" * 20, "a", SIZE, 0).empty_piece_set() == PieceSet(1)
    assert Membership(b"H" * 20, "a", SIZE + 1, LENGTH).empty_piece_set() == PieceSet(9)
    assert Membership(b"H" * 20, "a", 0, LENGTH).empty_piece_set() == PieceSet(1)


def test_a_file_may_have_another_name_here() -> None:
    info = info_of(content(PIECE + 1))
    assert Membership.from_info(info, "mine") == Membership(info.info_hash, "mine", PIECE + 1, PIECE)
