"""An announce describes a peer and the pieces that it holds."""

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


def test_an_announce_contains_identity_file_and_progress() -> None:
    announce = announced(PieceSet.full(8))
    assert (announce.connection_id, announce.transaction_id, announce.info_hash) == (1, 2, b"H" * 20)
    assert (announce.peer_id, announce.port, announce.key, announce.ip) == (IDENTITY.peer_id, 6881, 77, 0)
    assert (announce.downloaded, announce.left, announce.uploaded, announce.event) == (3, 0, 4, AnnounceEvent.STARTED)
    assert parse_publication(announce.options) == Publication("myfile.txt", SIZE, LENGTH, "peer-1", extended=True)


def test_peers_are_requested_only_when_wanted() -> None:
    assert announced(PieceSet(8)).want == 0
    assert announced(PieceSet(8), peers=True).want == DEFAULT_WANT


@pytest.mark.parametrize(
    ("held", "size", "left"),
    [
        (PieceSet(8), SIZE, SIZE),
        (PieceSet(8, [3]), SIZE, SIZE - LENGTH),
        (PieceSet.full(8), SIZE, 0),
        (PieceSet(0), 0, 0),
        # The last piece is short, but `left` is not 0 while a piece is missing.
        (PieceSet(2, [0]), LENGTH + 1, 1),
        (PieceSet(2, [1]), LENGTH + 1, 1),
    ],
    ids=["nothing", "one", "all", "empty-file", "first-of-two", "short-one-of-two"],
)
def test_left_is_the_number_of_missing_bytes(held: PieceSet, size: int, left: int) -> None:
    assert announced(held, size=size).left == left


@pytest.mark.parametrize(("size", "piece_length"), [(SIZE, None), (None, None)], ids=["size-alone", "neither"])
def test_unknown_values_are_not_published(size: int | None, piece_length: int | None) -> None:
    announce = announced(PieceSet(1), size=size or 0, piece_length=0)
    publication = parse_publication(announce.options)
    assert (publication.size, publication.piece_length) == (size, piece_length)
    assert announce.left == (size or 1)


def test_the_size_of_an_empty_file_is_known() -> None:
    assert parse_publication(announced(PieceSet(0), size=0).options).size == 0


def test_an_unknown_piece_length_counts_as_one_piece() -> None:
    assert Membership(b"H" * 20, "a", SIZE, 0).empty_piece_set() == PieceSet(1)
    assert Membership(b"H" * 20, "a", SIZE + 1, LENGTH).empty_piece_set() == PieceSet(9)
    assert Membership(b"H" * 20, "a", 0, LENGTH).empty_piece_set() == PieceSet(1)


def test_a_membership_may_use_another_file_name() -> None:
    info = info_of(content(PIECE + 1))
    assert Membership.from_info(info, "mine") == Membership(info.info_hash, "mine", PIECE + 1, PIECE)
