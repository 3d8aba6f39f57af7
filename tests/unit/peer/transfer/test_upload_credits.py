"""Serving in turns: offers to those who take them, a piece's worth at a time to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.streams import LEECH_ID, PIECE, Asking, content, drained, pour
from torrentnet.peer.transfer.protocol import PeerProtocol
from torrentnet.peer.transfer.upload import CREDIT_GRACE, CREDIT_TIMEOUT, Upload
from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.extension_protocol import METADATA_ID, ExtensionHandshake, pack_extension_handshake
from torrentnet.wire.peer.handshake import Handshake, pack_handshake
from torrentnet.wire.peer.messages import (
    Bitfield,
    Block,
    Cancel,
    Extended,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    Message,
    NotInterested,
    Reject,
    Request,
    pack,
)
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from torrentnet.peer.storage.file_store import FileStore
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent

DATA = content(40 * PIECE + 100)
OFFER = Extended(7, b"")
"""As the other side has numbered it."""

MOST = 1 << 20
"""Bytes that may be promised to one where that is not what a test is about."""


class Asker(Asking):
    """The other side of an upload that serves in turns."""

    def __init__(self, store: FileStore, *, offers: bool = True, interested: bool = True, held: bytes = b"") -> None:
        super().__init__(store)
        self.upload = self.seed.upload
        self.upload.choking = True
        handshake = ExtensionHandshake(METADATA_ID, offer_id=7 if offers else 0)
        self.say(Extended(0, pack_extension_handshake(handshake)))
        self.say(Bitfield(held) if held else HaveNone())
        if interested:
            self.say(Interested())
        self.listen()

    def say(self, *messages: Message, now: float = 0.0) -> None:
        self.tell(*messages, now=now)

    def wants_turn(self, now: float, most: int = MOST) -> bool:
        return self.upload.wants_turn(now, most)


def test_an_offer_a_request_a_block(store: FileStore) -> None:
    asker = Asker(store)
    assert asker.wants_turn(0.0)
    assert asker.upload.grant_turn(0.0) == PIECE
    assert asker.listen() == [OFFER]
    assert asker.upload.promised_bytes(0.0) == PIECE
    assert asker.upload.pieces_held == 1
    asker.say(Request(5, 0, PIECE))
    # It is asked for: no promise any more, but work.
    assert asker.upload.promised_bytes(0.0) == 0
    assert asker.upload.backlog >= PIECE
    (block,) = asker.listen()
    assert isinstance(block, Block)
    assert block.data == DATA[5 * PIECE : 6 * PIECE]
    assert asker.upload.backlog == 0


def test_nothing_is_offered_to_whoever_wants_nothing(store: FileStore) -> None:
    asker = Asker(store, interested=False)
    assert not asker.wants_turn(0.0)
    asker.say(Interested())
    assert asker.wants_turn(0.0)


def test_a_pass_takes_the_offers_back_until_it_is_interested_again(store: FileStore) -> None:
    asker = Asker(store)
    asker.upload.grant_turn(0.0)
    asker.upload.grant_turn(0.0)
    assert asker.upload.promised_bytes(0.0) == 2 * PIECE
    asker.say(NotInterested())
    assert asker.upload.promised_bytes(0.0) == 0
    assert not asker.wants_turn(0.0)
    asker.say(Interested(), now=9.0)
    assert asker.wants_turn(9.0)
    # It waits since now, not since it came.
    assert asker.upload.waiting_since == 9.0


def test_a_pass_leaves_what_is_under_way(store: FileStore) -> None:
    asker = Asker(store)
    asker.upload.grant_turn(0.0)
    asker.say(Request(5, 0, PIECE), NotInterested())
    assert [type(event) for event in asker.listen()] == [Extended, Block]


def test_offers_that_wait_are_bounded(store: FileStore) -> None:
    asker = Asker(store)
    most = 5 * PIECE // 2
    for _ in range(3):
        assert asker.wants_turn(0.0, most)
        asker.upload.grant_turn(0.0)
    assert not asker.wants_turn(0.0, most)


def test_what_is_on_its_way_counts_as_promised(store: FileStore) -> None:
    """Whoever comes first would else be served until all that may be promised is: the others wait with idle uplinks."""
    asker = Asker(store)
    asker.say(Request(0, 0, PIECE), Request(1, 0, PIECE))
    assert not asker.wants_turn(0.0, 2 * PIECE)
    asker.listen()
    assert asker.wants_turn(0.0, 2 * PIECE)


def test_an_offer_counts_as_asked_for_only_for_a_moment(store: FileStore) -> None:
    """Whoever is slow to answer must not keep the uplink idle."""
    asker = Asker(store)
    asker.upload.grant_turn(0.0)
    assert asker.upload.promised_bytes(CREDIT_GRACE) == PIECE
    assert asker.upload.promised_bytes(CREDIT_GRACE + 0.01) == 0
    # But it gets no second one before it has answered.
    assert not asker.wants_turn(CREDIT_GRACE + 0.01)
    asker.say(Request(5, 0, PIECE), now=CREDIT_GRACE + 0.02)
    assert asker.wants_turn(CREDIT_GRACE + 0.02)


def test_an_offer_that_is_never_answered_is_forgotten_and_a_late_answer_is_served(store: FileStore) -> None:
    asker = Asker(store)
    asker.upload.grant_turn(0.0)
    asker.listen()
    assert not asker.wants_turn(CREDIT_TIMEOUT - 0.1)
    # It may not have been ready: it is not left alone for ever.
    assert asker.wants_turn(CREDIT_TIMEOUT + 0.1)
    assert asker.upload.pieces_held == 0
    asker.say(Request(5, 0, PIECE), now=100.0)
    assert [type(event) for event in asker.listen()] == [Block]
    assert asker.wants_turn(100.0)


def test_blocks_of_one_piece_use_up_one_offer(store: FileStore) -> None:
    asker = Asker(store)
    asker.upload.grant_turn(0.0)
    asker.upload.grant_turn(0.0)
    asker.say(Request(5, 0, PIECE // 2), Request(5, PIECE // 2, PIECE // 2))
    assert asker.upload.promised_bytes(0.0) == PIECE
    asker.say(Request(6, 0, PIECE))
    assert asker.upload.promised_bytes(0.0) == 0


def test_a_request_without_an_offer_is_served(store: FileStore) -> None:
    asker = Asker(store)
    asker.say(Request(5, 0, PIECE))
    assert [type(event) for event in asker.listen()] == [Block]
    assert asker.upload.promised_bytes(0.0) == 0


def test_what_was_given_is_not_offered_again(store: FileStore) -> None:
    asker = Asker(store)
    asker.say(*(Request(piece, 0, 16) for piece in range(41)))
    assert not asker.wants_turn(0.0)


def test_what_the_other_side_has_is_not_offered(store: FileStore) -> None:
    asker = Asker(store, held=PieceSet(41, range(40)).bitfield())
    assert asker.wants_turn(0.0)
    asker.say(Have(40))
    assert not asker.wants_turn(0.0)


def test_a_cancelled_piece_may_be_offered_again(store: FileStore) -> None:
    """What came from another peer may have had a wrong hash; then this one is needed after all."""
    asker = Asker(store, held=PieceSet(41, range(40)).bitfield())
    for served in (False, True):
        asker.say(Request(40, 0, 100))
        if served:
            asker.listen()
        assert not asker.wants_turn(0.0)
        asker.say(Cancel(40, 0, 100))
        assert asker.wants_turn(0.0)
    asker.say(Cancel(2**32 - 1, 0, 100))


def test_news_is_gathered_and_told_before_an_offer(store: FileStore) -> None:
    store.held = PieceSet(41, [0])
    asker = Asker(store)
    for piece in (3, 4, 5):
        store.held.add(piece)
        asker.upload.queue_have(piece)
    assert asker.listen() == []
    asker.upload.grant_turn(0.0)
    assert asker.listen() == [Have(3), Have(4), Have(5), OFFER]
    asker.upload.send_haves()
    assert asker.listen() == []


# Pieces that an earlier run has left


def opened_late(store: FileStore, *, ours: bool) -> list[PeerProtocolEvent]:
    """What is heard when the file is opened after the connection."""
    protocol = PeerProtocol(store.info.info_hash, b"-NL0100-the-seeder--", initiator=False)
    upload = Upload(protocol, None, 0.0)
    reader = PeerProtocol(store.info.info_hash, LEECH_ID, initiator=True, buffer_size=1 << 18)
    drained(reader)
    said = pack_handshake(Handshake(store.info.info_hash, LEECH_ID)) + pack(HaveNone())
    said += pack(Extended(0, pack_extension_handshake(ExtensionHandshake(METADATA_ID, makes_offers=ours))))
    for event in pour(protocol, said):
        upload.handle(event, 0.0)
    assert HaveNone() in list(pour(reader, drained(protocol)))
    upload.open(store)
    said_late = list(pour(reader, drained(protocol)))
    # Whoever lacks the info dictionary hears that it can be had here now.
    assert [event.metadata_size for event in said_late if isinstance(event, ExtensionHandshake)] == [
        len(store.info.raw)
    ]
    return [event for event in said_late if not isinstance(event, ExtensionHandshake)]


def test_they_are_told_on_connections_that_are_older(store: FileStore) -> None:
    store.held = PieceSet(41, [1, 2, 40])
    assert opened_late(store, ours=True) == [Bitfield(store.held.bitfield())]
    # Real clients take a bitfield only in the beginning.
    assert opened_late(store, ours=False) == [Have(1), Have(2), Have(40)]
    store.held = PieceSet(41)
    assert opened_late(store, ours=True) == opened_late(store, ours=False) == []


def test_what_the_other_side_said_before_is_checked_when_the_file_is_opened(store: FileStore) -> None:
    protocol = PeerProtocol(store.info.info_hash, b"-NL0100-the-seeder--", initiator=False)
    upload = Upload(protocol, None, 0.0)
    said = pack_handshake(Handshake(store.info.info_hash, LEECH_ID)) + pack(Bitfield(b"\xff"))
    for event in pour(protocol, said):
        upload.handle(event, 0.0)
    with pytest.raises(PeerProtocolError, match="bitfield of 1 bytes in place of 6"):
        upload.open(store)


# Those who take no offers


def test_a_real_client_is_served_a_pieces_worth_a_turn(store: FileStore) -> None:
    asker = Asker(store, offers=False)
    assert not asker.wants_turn(0.0)
    asker.say(*(Request(piece, begin, PIECE // 2) for piece in range(4) for begin in (0, PIECE // 2)))
    assert asker.listen() == []
    served: list[int] = []
    while asker.wants_turn(0.0):
        assert asker.upload.grant_turn(0.0) == PIECE
        assert asker.upload.backlog == PIECE
        blocks = asker.listen()
        asker.seed.upload.fill_output()
        blocks += asker.listen()
        assert len(blocks) == 2
        served += [block.piece for block in blocks if isinstance(block, Block)]
    assert served == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_real_client_is_served_at_once_where_no_turns_are_taken(store: FileStore) -> None:
    asker = Asker(store, offers=False)
    asker.upload.choking = False
    asker.say(*(Request(piece, 0, PIECE) for piece in range(4)))
    assert [type(event) for event in asker.listen()] == [Block] * 4


def test_a_real_client_that_loses_interest_wants_no_turn(store: FileStore) -> None:
    asker = Asker(store, offers=False)
    asker.say(*(Request(piece, 0, PIECE) for piece in range(4)), NotInterested())
    assert asker.listen() == [Reject(piece, 0, PIECE) for piece in range(4)]
    assert not asker.wants_turn(0.0)
    assert asker.upload.backlog == 0


def test_an_uploader_with_everything_offers_and_one_with_nothing_does_not(store: FileStore) -> None:
    asker = Asker(store)
    asker.say(HaveAll())
    assert not asker.wants_turn(0.0)
    store.held = PieceSet(41)
    assert not Asker(store).wants_turn(0.0)
