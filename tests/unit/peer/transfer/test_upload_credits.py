"""Serving while choking: credits for peers that use them, turns for the others."""

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
CREDIT = Extended(7, b"")
"""A credit under the remote peer's id."""


class Client(Asking):
    """The remote peer of an upload that is choking."""

    def __init__(
        self, store: FileStore, *, uses_credits: bool = True, interested: bool = True, held: bytes = b""
    ) -> None:
        super().__init__(store)
        self.upload = self.seed.upload
        self.upload.choking = True
        handshake = ExtensionHandshake(METADATA_ID, offer_id=7 if uses_credits else 0)
        self.say(Extended(0, pack_extension_handshake(handshake)))
        self.say(Bitfield(held) if held else HaveNone())
        if interested:
            self.say(Interested())
        self.listen()

    def say(self, *messages: Message, now: float = 0.0) -> None:
        self.tell(*messages, now=now)

    def wants_turn(self, now: float, max_bytes: int = 1 << 20) -> bool:
        return self.upload.wants_turn(now, max_bytes)


def test_a_credit_allows_one_piece(store: FileStore) -> None:
    client = Client(store)
    assert client.wants_turn(0.0)
    assert client.upload.grant_turn(0.0) == PIECE
    assert client.listen() == [CREDIT]
    assert client.upload.promised_bytes(0.0) == PIECE
    assert client.upload.pieces_held == 1
    client.say(Request(5, 0, PIECE))
    # Once requested, the bytes are backlog, not promised.
    assert client.upload.promised_bytes(0.0) == 0
    assert client.upload.backlog >= PIECE
    (block,) = client.listen()
    assert isinstance(block, Block)
    assert block.data == DATA[5 * PIECE : 6 * PIECE]
    assert client.upload.backlog == 0


def test_an_uninterested_peer_gets_no_credit(store: FileStore) -> None:
    client = Client(store, interested=False)
    assert not client.wants_turn(0.0)
    client.say(Interested())
    assert client.wants_turn(0.0)


def test_not_interested_voids_the_credits(store: FileStore) -> None:
    client = Client(store)
    client.upload.grant_turn(0.0)
    client.upload.grant_turn(0.0)
    assert client.upload.promised_bytes(0.0) == 2 * PIECE
    client.say(NotInterested())
    assert client.upload.promised_bytes(0.0) == 0
    assert not client.wants_turn(0.0)
    client.say(Interested(), now=9.0)
    assert client.wants_turn(9.0)
    # The peer has waited since it became interested, not since it connected.
    assert client.upload.waiting_since == 9.0


def test_not_interested_keeps_the_open_requests(store: FileStore) -> None:
    client = Client(store)
    client.upload.grant_turn(0.0)
    client.say(Request(5, 0, PIECE), NotInterested())
    assert [type(event) for event in client.listen()] == [Extended, Block]


def test_open_credits_are_bounded(store: FileStore) -> None:
    client = Client(store)
    max_bytes = 5 * PIECE // 2
    for _ in range(3):
        assert client.wants_turn(0.0, max_bytes)
        client.upload.grant_turn(0.0)
    assert not client.wants_turn(0.0, max_bytes)


def test_queued_blocks_count_as_promised(store: FileStore) -> None:
    """If queued blocks did not count, the first peer would get all credits.

    The uplinks of the other peers would be idle.
    """
    client = Client(store)
    client.say(Request(0, 0, PIECE), Request(1, 0, PIECE))
    assert not client.wants_turn(0.0, 2 * PIECE)
    client.listen()
    assert client.wants_turn(0.0, 2 * PIECE)


def test_a_credit_counts_as_promised_only_briefly(store: FileStore) -> None:
    """A peer that uses its credit late must not keep the uplink idle."""
    client = Client(store)
    client.upload.grant_turn(0.0)
    assert client.upload.promised_bytes(CREDIT_GRACE) == PIECE
    assert client.upload.promised_bytes(CREDIT_GRACE + 0.01) == 0
    # There is no second credit before the first is used.
    assert not client.wants_turn(CREDIT_GRACE + 0.01)
    client.say(Request(5, 0, PIECE), now=CREDIT_GRACE + 0.02)
    assert client.wants_turn(CREDIT_GRACE + 0.02)


def test_a_credit_expires_but_a_late_request_is_served(store: FileStore) -> None:
    client = Client(store)
    client.upload.grant_turn(0.0)
    client.listen()
    assert not client.wants_turn(CREDIT_TIMEOUT - 0.1)
    # The peer may not have been ready, and gets another credit.
    assert client.wants_turn(CREDIT_TIMEOUT + 0.1)
    assert client.upload.pieces_held == 0
    client.say(Request(5, 0, PIECE), now=100.0)
    assert [type(event) for event in client.listen()] == [Block]
    assert client.wants_turn(100.0)


def test_all_blocks_of_a_piece_use_one_credit(store: FileStore) -> None:
    client = Client(store)
    client.upload.grant_turn(0.0)
    client.upload.grant_turn(0.0)
    client.say(Request(5, 0, PIECE // 2), Request(5, PIECE // 2, PIECE // 2))
    assert client.upload.promised_bytes(0.0) == PIECE
    client.say(Request(6, 0, PIECE))
    assert client.upload.promised_bytes(0.0) == 0


def test_a_request_without_a_credit_is_served(store: FileStore) -> None:
    client = Client(store)
    client.say(Request(5, 0, PIECE))
    assert [type(event) for event in client.listen()] == [Block]
    assert client.upload.promised_bytes(0.0) == 0


def test_no_credit_for_pieces_that_were_sent(store: FileStore) -> None:
    client = Client(store)
    client.say(*(Request(piece, 0, 16) for piece in range(41)))
    assert not client.wants_turn(0.0)


def test_no_credit_for_pieces_that_the_peer_holds(store: FileStore) -> None:
    client = Client(store, held=PieceSet(41, range(40)).bitfield())
    assert client.wants_turn(0.0)
    client.say(Have(40))
    assert not client.wants_turn(0.0)


def test_a_cancelled_piece_may_get_a_credit_again(store: FileStore) -> None:
    """The piece from another peer may have had a wrong hash."""
    client = Client(store, held=PieceSet(41, range(40)).bitfield())
    for served in (False, True):
        client.say(Request(40, 0, 100))
        if served:
            client.listen()
        assert not client.wants_turn(0.0)
        client.say(Cancel(40, 0, 100))
        assert client.wants_turn(0.0)
    client.say(Cancel(2**32 - 1, 0, 100))


def test_have_messages_are_sent_before_a_credit(store: FileStore) -> None:
    store.held = PieceSet(41, [0])
    client = Client(store)
    for piece in (3, 4, 5):
        store.held.add(piece)
        client.upload.queue_have(piece)
    assert client.listen() == []
    client.upload.grant_turn(0.0)
    assert client.listen() == [Have(3), Have(4), Have(5), CREDIT]
    client.upload.send_haves()
    assert client.listen() == []


# -- Pieces of an earlier run ----------------------------------------------------------------------


def messages_after_open(store: FileStore, *, supports_offers: bool) -> list[PeerProtocolEvent]:
    """Return the messages that are sent when the file is opened after the connection."""
    protocol = PeerProtocol(store.info.info_hash, b"-NL0100-the-seeder--", initiator=False)
    upload = Upload(protocol, None, 0.0)
    reader = PeerProtocol(store.info.info_hash, LEECH_ID, initiator=True, buffer_size=1 << 18)
    drained(reader)
    data = pack_handshake(Handshake(store.info.info_hash, LEECH_ID)) + pack(HaveNone())
    data += pack(Extended(0, pack_extension_handshake(ExtensionHandshake(METADATA_ID, makes_offers=supports_offers))))
    for event in pour(protocol, data):
        upload.handle(event, 0.0)
    assert HaveNone() in list(pour(reader, drained(protocol)))
    upload.open(store)
    messages = list(pour(reader, drained(protocol)))
    # The extension handshake announces the info dictionary.
    assert [event.metadata_size for event in messages if isinstance(event, ExtensionHandshake)] == [len(store.info.raw)]
    return [event for event in messages if not isinstance(event, ExtensionHandshake)]


def test_held_pieces_are_sent_on_older_connections(store: FileStore) -> None:
    store.held = PieceSet(41, [1, 2, 40])
    assert messages_after_open(store, supports_offers=True) == [Bitfield(store.held.bitfield())]
    # Other clients accept a bitfield only as the first message.
    assert messages_after_open(store, supports_offers=False) == [Have(1), Have(2), Have(40)]
    store.held = PieceSet(41)
    assert messages_after_open(store, supports_offers=True) == messages_after_open(store, supports_offers=False) == []


def test_early_messages_are_checked_when_the_file_opens(store: FileStore) -> None:
    protocol = PeerProtocol(store.info.info_hash, b"-NL0100-the-seeder--", initiator=False)
    upload = Upload(protocol, None, 0.0)
    data = pack_handshake(Handshake(store.info.info_hash, LEECH_ID)) + pack(Bitfield(b"\xff"))
    for event in pour(protocol, data):
        upload.handle(event, 0.0)
    with pytest.raises(PeerProtocolError, match="bitfield of 1 bytes in place of 6"):
        upload.open(store)


# -- Peers without credits -------------------------------------------------------------------------


def test_without_credits_a_turn_serves_one_pieces_bytes(store: FileStore) -> None:
    client = Client(store, uses_credits=False)
    assert not client.wants_turn(0.0)
    client.say(*(Request(piece, begin, PIECE // 2) for piece in range(4) for begin in (0, PIECE // 2)))
    assert client.listen() == []
    served: list[int] = []
    while client.wants_turn(0.0):
        assert client.upload.grant_turn(0.0) == PIECE
        assert client.upload.backlog == PIECE
        blocks = client.listen()
        client.seed.upload.fill_output()
        blocks += client.listen()
        assert len(blocks) == 2
        served += [block.piece for block in blocks if isinstance(block, Block)]
    assert served == [0, 0, 1, 1, 2, 2, 3, 3]


def test_without_choking_requests_are_served_at_once(store: FileStore) -> None:
    client = Client(store, uses_credits=False)
    client.upload.choking = False
    client.say(*(Request(piece, 0, PIECE) for piece in range(4)))
    assert [type(event) for event in client.listen()] == [Block] * 4


def test_without_interest_no_turn_is_wanted(store: FileStore) -> None:
    client = Client(store, uses_credits=False)
    client.say(*(Request(piece, 0, PIECE) for piece in range(4)), NotInterested())
    assert client.listen() == [Reject(piece, 0, PIECE) for piece in range(4)]
    assert not client.wants_turn(0.0)
    assert client.upload.backlog == 0


def test_no_credit_without_a_piece_that_the_peer_lacks(store: FileStore) -> None:
    client = Client(store)
    client.say(HaveAll())
    assert not client.wants_turn(0.0)
    store.held = PieceSet(41)
    assert not Client(store).wants_turn(0.0)
