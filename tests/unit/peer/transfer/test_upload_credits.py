"""Serving while choking: credits for peers that use them, turns of a piece's bytes for the others."""

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
"""The remote peer's id for credits."""

MOST = 1 << 20
"""Bytes that may be promised, in tests of other things."""


class Asker(Asking):
    """The remote peer of an upload that is choking."""

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


def test_a_credit_allows_one_piece(store: FileStore) -> None:
    asker = Asker(store)
    assert asker.wants_turn(0.0)
    assert asker.upload.grant_turn(0.0) == PIECE
    assert asker.listen() == [OFFER]
    assert asker.upload.promised_bytes(0.0) == PIECE
    assert asker.upload.pieces_held == 1
    asker.say(Request(5, 0, PIECE))
    # Once requested, the bytes are backlog, not promised.
    assert asker.upload.promised_bytes(0.0) == 0
    assert asker.upload.backlog >= PIECE
    (block,) = asker.listen()
    assert isinstance(block, Block)
    assert block.data == DATA[5 * PIECE : 6 * PIECE]
    assert asker.upload.backlog == 0


def test_an_uninterested_peer_gets_no_credit(store: FileStore) -> None:
    asker = Asker(store, interested=False)
    assert not asker.wants_turn(0.0)
    asker.say(Interested())
    assert asker.wants_turn(0.0)


def test_not_interested_voids_the_credits(store: FileStore) -> None:
    asker = Asker(store)
    asker.upload.grant_turn(0.0)
    asker.upload.grant_turn(0.0)
    assert asker.upload.promised_bytes(0.0) == 2 * PIECE
    asker.say(NotInterested())
    assert asker.upload.promised_bytes(0.0) == 0
    assert not asker.wants_turn(0.0)
    asker.say(Interested(), now=9.0)
    assert asker.wants_turn(9.0)
    # It waits since its interest, not since it connected.
    assert asker.upload.waiting_since == 9.0


def test_not_interested_keeps_the_open_requests(store: FileStore) -> None:
    asker = Asker(store)
    asker.upload.grant_turn(0.0)
    asker.say(Request(5, 0, PIECE), NotInterested())
    assert [type(event) for event in asker.listen()] == [Extended, Block]


def test_open_credits_are_bounded(store: FileStore) -> None:
    asker = Asker(store)
    most = 5 * PIECE // 2
    for _ in range(3):
        assert asker.wants_turn(0.0, most)
        asker.upload.grant_turn(0.0)
    assert not asker.wants_turn(0.0, most)


def test_queued_blocks_count_as_promised(store: FileStore) -> None:
    """Otherwise, the first peer would get every promise, and the uplinks of the others would be idle."""
    asker = Asker(store)
    asker.say(Request(0, 0, PIECE), Request(1, 0, PIECE))
    assert not asker.wants_turn(0.0, 2 * PIECE)
    asker.listen()
    assert asker.wants_turn(0.0, 2 * PIECE)


def test_a_credit_counts_as_promised_only_briefly(store: FileStore) -> None:
    """A peer that is slow to use a credit must not keep the uplink idle."""
    asker = Asker(store)
    asker.upload.grant_turn(0.0)
    assert asker.upload.promised_bytes(CREDIT_GRACE) == PIECE
    assert asker.upload.promised_bytes(CREDIT_GRACE + 0.01) == 0
    # It gets no second credit before it has used the first.
    assert not asker.wants_turn(CREDIT_GRACE + 0.01)
    asker.say(Request(5, 0, PIECE), now=CREDIT_GRACE + 0.02)
    assert asker.wants_turn(CREDIT_GRACE + 0.02)


def test_a_credit_expires_but_a_late_request_is_served(store: FileStore) -> None:
    asker = Asker(store)
    asker.upload.grant_turn(0.0)
    asker.listen()
    assert not asker.wants_turn(CREDIT_TIMEOUT - 0.1)
    # It may not have been ready, and gets another credit.
    assert asker.wants_turn(CREDIT_TIMEOUT + 0.1)
    assert asker.upload.pieces_held == 0
    asker.say(Request(5, 0, PIECE), now=100.0)
    assert [type(event) for event in asker.listen()] == [Block]
    assert asker.wants_turn(100.0)


def test_all_blocks_of_a_piece_use_one_credit(store: FileStore) -> None:
    asker = Asker(store)
    asker.upload.grant_turn(0.0)
    asker.upload.grant_turn(0.0)
    asker.say(Request(5, 0, PIECE // 2), Request(5, PIECE // 2, PIECE // 2))
    assert asker.upload.promised_bytes(0.0) == PIECE
    asker.say(Request(6, 0, PIECE))
    assert asker.upload.promised_bytes(0.0) == 0


def test_a_request_without_a_credit_is_served(store: FileStore) -> None:
    asker = Asker(store)
    asker.say(Request(5, 0, PIECE))
    assert [type(event) for event in asker.listen()] == [Block]
    assert asker.upload.promised_bytes(0.0) == 0


def test_no_credit_for_pieces_that_were_sent(store: FileStore) -> None:
    asker = Asker(store)
    asker.say(*(Request(piece, 0, 16) for piece in range(41)))
    assert not asker.wants_turn(0.0)


def test_no_credit_for_pieces_that_the_peer_holds(store: FileStore) -> None:
    asker = Asker(store, held=PieceSet(41, range(40)).bitfield())
    assert asker.wants_turn(0.0)
    asker.say(Have(40))
    assert not asker.wants_turn(0.0)


def test_a_cancelled_piece_may_get_a_credit_again(store: FileStore) -> None:
    """The piece from another peer may have had a wrong hash."""
    asker = Asker(store, held=PieceSet(41, range(40)).bitfield())
    for served in (False, True):
        asker.say(Request(40, 0, 100))
        if served:
            asker.listen()
        assert not asker.wants_turn(0.0)
        asker.say(Cancel(40, 0, 100))
        assert asker.wants_turn(0.0)
    asker.say(Cancel(2**32 - 1, 0, 100))


def test_have_messages_are_sent_before_a_credit(store: FileStore) -> None:
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


# -- Pieces of an earlier run ----------------------------------------------------------------------


def opened_late(store: FileStore, *, ours: bool) -> list[PeerProtocolEvent]:
    """The messages when the file is opened after the connection."""
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
    # The extension handshake announces the info dictionary.
    assert [event.metadata_size for event in said_late if isinstance(event, ExtensionHandshake)] == [
        len(store.info.raw)
    ]
    return [event for event in said_late if not isinstance(event, ExtensionHandshake)]


def test_held_pieces_are_sent_on_older_connections(store: FileStore) -> None:
    store.held = PieceSet(41, [1, 2, 40])
    assert opened_late(store, ours=True) == [Bitfield(store.held.bitfield())]
    # Other clients accept a bitfield only as the first message.
    assert opened_late(store, ours=False) == [Have(1), Have(2), Have(40)]
    store.held = PieceSet(41)
    assert opened_late(store, ours=True) == opened_late(store, ours=False) == []


def test_early_messages_are_checked_when_the_file_opens(store: FileStore) -> None:
    protocol = PeerProtocol(store.info.info_hash, b"-NL0100-the-seeder--", initiator=False)
    upload = Upload(protocol, None, 0.0)
    said = pack_handshake(Handshake(store.info.info_hash, LEECH_ID)) + pack(Bitfield(b"\xff"))
    for event in pour(protocol, said):
        upload.handle(event, 0.0)
    with pytest.raises(PeerProtocolError, match="bitfield of 1 bytes in place of 6"):
        upload.open(store)


# -- Peers without credits -------------------------------------------------------------------------


def test_without_credits_a_turn_serves_one_pieces_bytes(store: FileStore) -> None:
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


def test_without_choking_requests_are_served_at_once(store: FileStore) -> None:
    asker = Asker(store, offers=False)
    asker.upload.choking = False
    asker.say(*(Request(piece, 0, PIECE) for piece in range(4)))
    assert [type(event) for event in asker.listen()] == [Block] * 4


def test_without_interest_no_turn_is_wanted(store: FileStore) -> None:
    asker = Asker(store, offers=False)
    asker.say(*(Request(piece, 0, PIECE) for piece in range(4)), NotInterested())
    assert asker.listen() == [Reject(piece, 0, PIECE) for piece in range(4)]
    assert not asker.wants_turn(0.0)
    assert asker.upload.backlog == 0


def test_only_an_uploader_with_pieces_grants_credits(store: FileStore) -> None:
    asker = Asker(store)
    asker.say(HaveAll())
    assert not asker.wants_turn(0.0)
    store.held = PieceSet(41)
    assert not Asker(store).wants_turn(0.0)
