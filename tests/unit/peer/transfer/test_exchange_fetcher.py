"""Downloading from one of many: by its offers, or with a window that follows the rate; whatever may be taken back."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.streams import BULK, LEECH_ID, PIECE, SEED_ID, content, drained, info_of, pour
from torrentnet.peer.transfer.exchange_fetcher import MAX_CREDITS, MAX_WINDOW, MIN_WINDOW, ExchangeFetcher
from torrentnet.peer.transfer.fetcher import NOT_NOW, PieceReceived
from torrentnet.peer.transfer.metadata_exchange import MetadataReceived, SourceError
from torrentnet.peer.transfer.protocol import LocalIdentity, PeerProtocol
from torrentnet.peer.transfer.remote_pieces import RemotePieces
from torrentnet.peer.transfer.request_pipeline import MAX_UNREQUESTED_BLOCKS
from torrentnet.wire.peer.extension_protocol import (
    METADATA_ID,
    OFFER_ID,
    ExtensionHandshake,
    Metadata,
    MetadataKind,
    pack_extension_handshake,
    pack_metadata,
)
from torrentnet.wire.peer.handshake import Handshake, pack_handshake
from torrentnet.wire.peer.message_reader import MessageReader
from torrentnet.wire.peer.messages import (
    BLOCK,
    Cancel,
    Choke,
    Extended,
    HaveAll,
    Interested,
    Message,
    NotInterested,
    Reject,
    Request,
    Unchoke,
    pack,
    pack_block_head,
)

if TYPE_CHECKING:
    from torrentnet.wire.info import Info
    from torrentnet.wire.piece_set import PieceSet

DATA = content(40 * PIECE)
INFO = info_of(DATA)
OFFER = Extended(OFFER_ID, b"")


class Other:
    """What one other peer says, and what it hears."""

    def __init__(self, *, offers: bool = True, info: Info | None = INFO, metadata_size: int = 0) -> None:
        self.now = 0.0
        self.todo: deque[int] = deque(range(40))
        self.room = True
        self.protocol = PeerProtocol(
            INFO.info_hash,
            LEECH_ID,
            initiator=True,
            buffer_size=BULK,
            identity=LocalIdentity("leecher", 6881, uses_credits=True),
        )
        self.possession = RemotePieces()
        self.fetch = ExchangeFetcher(
            self.protocol, INFO.info_hash, info, self._next, 15.0, 0.0, remote_pieces=self.possession
        )
        self.results: list[MetadataReceived | PieceReceived] = []
        self._reader = MessageReader(1 << 20)
        drained(self.protocol)
        self._raw(pack_handshake(Handshake(INFO.info_hash, SEED_ID)))
        theirs = ExtensionHandshake(METADATA_ID, metadata_size, makes_offers=offers)
        heard = self.say(HaveAll(), Extended(0, pack_extension_handshake(theirs)), Unchoke())
        if info is not None:
            self.possession.set_piece_count(info.pieces)
            self.fetch.start(info, 0.0)
        self.first = heard + self.hear()

    def _next(self, theirs: PieceSet) -> int | None:
        if not self.room:
            return NOT_NOW
        return self.todo.popleft() if self.todo else None

    def _raw(self, data: bytes) -> None:
        for event in pour(self.protocol, data):
            # The serving side reads what the other one holds.
            self.possession.handle(event) if isinstance(event, HaveAll) else None
            self.results += self.fetch.handle(event, self.now)

    def say(self, *messages: Message) -> list[Message]:
        """Say messages; gives what was answered."""
        for message in messages:
            self._raw(pack(message))
        return self.hear()

    def hear(self) -> list[Message]:
        return list(self._reader.feed(drained(self.protocol)))

    def answer(self, *requests: Message) -> list[Message]:
        """Send the blocks that were asked for; gives what was answered."""
        for request in requests:
            assert isinstance(request, Request)
            start = request.piece * PIECE + request.begin
            head = pack_block_head(request.piece, request.begin, request.length)
            self._raw(head + DATA[start : start + request.length])
        return self.hear()

    @property
    def arrived(self) -> list[int]:
        return [result.piece for result in self.results if isinstance(result, PieceReceived)]


# By offers


def test_nothing_is_asked_before_an_offer_and_one_piece_after_each() -> None:
    other = Other()
    assert other.first == [Interested()]
    assert other.say(OFFER) == [Request(0, 0, BLOCK), Request(0, BLOCK, BLOCK)]
    assert other.fetch.pieces == [0]
    two = other.say(OFFER, OFFER)
    assert {request.piece for request in two if isinstance(request, Request)} == {1, 2}
    # What arrives is no offer.
    assert other.answer(*two) == []
    assert other.arrived == [1, 2]


def test_an_offer_is_kept_while_there_is_no_room_for_a_piece() -> None:
    other = Other()
    other.room = False
    assert other.say(OFFER, OFFER) == []
    other.room = True
    other.fetch.refill(1.0)
    assert {request.piece for request in other.hear() if isinstance(request, Request)} == {0, 1}
    other.fetch.refill(1.0)
    assert other.hear() == []


def test_with_nothing_to_ask_for_it_passes_once() -> None:
    other = Other()
    other.todo.clear()
    assert other.say(OFFER) == [NotInterested()]
    # One that was on its way needs no answer, and is not kept for later.
    assert other.say(OFFER) == []
    other.todo.append(7)
    other.fetch.refill(1.0)
    assert other.hear() == []
    other.fetch.set_interested()
    other.fetch.set_interested()
    assert other.hear() == [Interested()]
    assert other.say(OFFER) == [Request(7, 0, BLOCK), Request(7, BLOCK, BLOCK)]


def test_offers_that_wait_are_bounded() -> None:
    other = Other()
    other.room = False
    other.say(*[OFFER] * (MAX_CREDITS + 100))
    other.room = True
    other.todo = deque(range(40))
    assert other.fetch._credits == MAX_CREDITS


# Taken back


def test_a_cancelled_piece_is_cancelled_block_by_block_and_its_blocks_are_not_held_against_anybody() -> None:
    other = Other()
    requests = other.say(OFFER)
    other.fetch.cancel(0, 1.0)
    assert other.hear() == [Cancel(0, 0, BLOCK), Cancel(0, BLOCK, BLOCK)]
    assert other.fetch.pieces == []
    assert other.fetch.idle
    other.answer(*requests)
    assert other.results == []
    # No stray ones: they were on their way.
    assert other.fetch.pipeline._unrequested_blocks == 0
    other.fetch.cancel(0, 1.0)
    assert other.hear() == []


def test_the_answer_to_a_cancel_is_no_refusal_though_it_was_asked_for_again() -> None:
    """BEP 6: each request is answered once, so two answers come for two requests of one block."""
    other = Other()
    requests = other.say(OFFER)
    other.fetch.cancel(0, 1.0)
    other.todo.appendleft(0)
    assert [m for m in other.say(OFFER) if isinstance(m, Request)] == requests
    other.say(Reject(0, 0, BLOCK), Reject(0, BLOCK, BLOCK))
    other.answer(*requests)
    assert other.arrived == [0]


def test_a_real_refusal_is_one() -> None:
    other = Other()
    other.say(OFFER)
    with pytest.raises(SourceError, match="refused a block of piece 0"):
        other.say(Reject(0, 0, BLOCK))


def test_blocks_that_nobody_asked_for_are_counted() -> None:
    other = Other()
    with pytest.raises(SourceError, match="unrequested blocks"):
        other.answer(*[Request(3, 0, 1)] * (MAX_UNREQUESTED_BLOCKS + 1))


# With a window


def test_a_real_client_is_asked_for_little_at_first_and_for_more_as_it_is_fast() -> None:
    other = Other(offers=False)
    requests = [message for message in other.first if isinstance(message, Request)]
    assert sum(request.length for request in requests) == MIN_WINDOW
    while requests and other.now < 1.5:
        # 400 KB a second
        other.now += BLOCK / 400_000
        requests = requests[1:] + [m for m in other.answer(requests[0]) if isinstance(m, Request)]
    assert sum(request.length for request in requests) > 3 * MIN_WINDOW


def test_the_window_is_bounded_however_fast_it_is() -> None:
    other = Other(offers=False)
    other.fetch._meter.rate = 1e12
    assert other.fetch._window() == MAX_WINDOW


def test_a_choke_asks_for_nothing_more_and_what_was_asked_can_be_given_to_others() -> None:
    other = Other(offers=False)
    pieces = other.fetch.pieces
    assert pieces == [0, 1, 2, 3]
    other.say(Choke())
    for piece in pieces:
        other.fetch.cancel(piece, 1.0)
    assert not [message for message in other.hear() if isinstance(message, Request)]
    assert other.fetch.pieces == []
    assert [message for message in other.say(Unchoke()) if isinstance(message, Request)]


# The info dictionary


def part(kind: MetadataKind, data: bytes = b"") -> Extended:
    return Extended(METADATA_ID, pack_metadata(Metadata(kind, 0, len(INFO.raw), data)))


def test_it_is_asked_for_only_when_it_is_said_so_and_a_refusal_is_no_end() -> None:
    other = Other(info=None, metadata_size=len(INFO.raw))
    assert other.first == [Interested()]
    for _ in range(2):
        other.fetch.request_metadata(0.0)
        assert [type(message) for message in other.hear()] == [Extended]
        assert other.fetch.metadata_pending
        other.say(part(MetadataKind.REJECT))
        assert not other.fetch.metadata_pending
    other.fetch.request_metadata(0.0)
    other.say(part(MetadataKind.DATA, INFO.raw))
    assert [result.info for result in other.results if isinstance(result, MetadataReceived)] == [INFO]


def test_one_that_nobody_asked_for_is_ignored() -> None:
    other = Other(info=None, metadata_size=len(INFO.raw))
    other.say(part(MetadataKind.DATA, INFO.raw))
    assert other.results == []


def test_whoever_gave_it_may_be_idle_afterwards() -> None:
    """Not everybody who has the info dictionary has pieces for us all the time."""
    other = Other(info=None, metadata_size=len(INFO.raw))
    other.fetch.request_metadata(0.0)
    other.say(part(MetadataKind.DATA, INFO.raw))
    other.fetch.start(INFO, 0.0)
    assert other.fetch.idle
    other.fetch.check(1.0)
    other.fetch.check(100.0)


def test_one_that_stays_away_is_a_stall() -> None:
    other = Other(info=None, metadata_size=len(INFO.raw))
    other.fetch.check(0.0)
    other.fetch.request_metadata(0.0)
    with pytest.raises(SourceError, match="stalled"):
        other.fetch.check(15.0)


# Time


def test_a_peer_that_was_asked_and_sends_nothing_is_a_stall_and_one_that_was_not_is_none() -> None:
    other = Other()
    other.fetch.check(100.0)
    other.now = 100.0
    other.say(OFFER)
    other.fetch.check(114.0)
    with pytest.raises(SourceError, match="stalled: no data for 15 s"):
        other.fetch.check(115.1)
