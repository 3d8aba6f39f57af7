"""Fetching from one of many peers.

The fetcher uses the peer's credits, or a window that follows the peer's rate.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.streams import BULK, LEECH_ID, PIECE, SEED_ID, content, drained, info_of, pour
from torrentnet.peer.scheduling.remote_pieces import RemotePieces
from torrentnet.peer.transfer.exchange_fetcher import MAX_CREDITS, MAX_WINDOW, MIN_WINDOW, ExchangeFetcher
from torrentnet.peer.transfer.fetcher import NOT_NOW, FetcherEvent, PieceReceived
from torrentnet.peer.transfer.metadata_exchange import MetadataReceived, SourceError
from torrentnet.peer.transfer.protocol import LocalIdentity, PeerProtocol
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
CREDIT = Extended(OFFER_ID, b"")


class Remote:
    """A remote peer with all pieces, and the fetcher that downloads from it."""

    def __init__(self, *, uses_credits: bool = True, info: Info | None = INFO, metadata_size: int = 0) -> None:
        self.now = 0.0
        self.missing: deque[int] = deque(range(40))
        self.has_room = True
        self.protocol = PeerProtocol(
            INFO.info_hash,
            LEECH_ID,
            initiator=True,
            buffer_size=BULK,
            identity=LocalIdentity("leecher", 6881, uses_credits=True),
        )
        self.pieces = RemotePieces()
        self.fetcher = ExchangeFetcher(
            self.protocol, INFO.info_hash, info, self._next, 15.0, 0.0, remote_pieces=self.pieces
        )
        self.results: list[FetcherEvent] = []
        self._reader = MessageReader(1 << 20)
        drained(self.protocol)
        self._send(pack_handshake(Handshake(INFO.info_hash, SEED_ID)))
        extension = ExtensionHandshake(METADATA_ID, metadata_size, makes_offers=uses_credits)
        received = self.send(HaveAll(), Extended(0, pack_extension_handshake(extension)), Unchoke())
        if info is not None:
            self.pieces.set_piece_count(info.pieces)
            self.fetcher.start(info, 0.0)
        self.first = received + self.receive()

    def _next(self, held: PieceSet) -> int | None:
        if not self.has_room:
            return NOT_NOW
        return self.missing.popleft() if self.missing else None

    def _send(self, data: bytes) -> None:
        for event in pour(self.protocol, data):
            if isinstance(event, HaveAll):
                # The upload side reads which pieces the remote peer holds.
                self.pieces.handle(event)
            self.results += self.fetcher.handle(event, self.now)

    def send(self, *messages: Message) -> list[Message]:
        """Send messages; return the replies."""
        for message in messages:
            self._send(pack(message))
        return self.receive()

    def receive(self) -> list[Message]:
        return list(self._reader.feed(drained(self.protocol)))

    def serve(self, *requests: Message) -> list[Message]:
        """Send the requested blocks; return the replies."""
        for request in requests:
            assert isinstance(request, Request)
            start = request.piece * PIECE + request.begin
            head = pack_block_head(request.piece, request.begin, request.length)
            self._send(head + DATA[start : start + request.length])
        return self.receive()

    def send_metadata(self, kind: MetadataKind, data: bytes = b"") -> None:
        self.send(Extended(METADATA_ID, pack_metadata(Metadata(kind, 0, len(INFO.raw), data))))

    @property
    def received_pieces(self) -> list[int]:
        return [result.piece for result in self.results if isinstance(result, PieceReceived)]


def requests_in(messages: list[Message]) -> list[Request]:
    return [message for message in messages if isinstance(message, Request)]


# -- Credits ---------------------------------------------------------------------------------------


def test_each_credit_allows_one_piece() -> None:
    remote = Remote()
    assert remote.first == [Interested()]
    assert remote.send(CREDIT) == [Request(0, 0, BLOCK), Request(0, BLOCK, BLOCK)]
    assert remote.fetcher.pieces == [0]
    requests = remote.send(CREDIT, CREDIT)
    assert {request.piece for request in requests_in(requests)} == {1, 2}
    # A received piece is no credit.
    assert remote.serve(*requests) == []
    assert remote.received_pieces == [1, 2]


def test_a_credit_is_kept_while_there_is_no_room() -> None:
    remote = Remote()
    remote.has_room = False
    assert remote.send(CREDIT, CREDIT) == []
    remote.has_room = True
    remote.fetcher.refill(1.0)
    assert {request.piece for request in requests_in(remote.receive())} == {0, 1}
    remote.fetcher.refill(1.0)
    assert remote.receive() == []


def test_without_missing_pieces_interest_is_lost_once() -> None:
    remote = Remote()
    remote.missing.clear()
    assert remote.send(CREDIT) == [NotInterested()]
    # A credit that was in flight needs no reply and is not kept.
    assert remote.send(CREDIT) == []
    remote.missing.append(7)
    remote.fetcher.refill(1.0)
    assert remote.receive() == []
    remote.fetcher.set_interested()
    remote.fetcher.set_interested()
    assert remote.receive() == [Interested()]
    assert remote.send(CREDIT) == [Request(7, 0, BLOCK), Request(7, BLOCK, BLOCK)]


def test_unused_credits_are_bounded() -> None:
    remote = Remote()
    remote.has_room = False
    remote.send(*[CREDIT] * (MAX_CREDITS + 100))
    assert remote.fetcher._credits == MAX_CREDITS


# -- Cancelled and unrequested blocks --------------------------------------------------------------


def test_cancelled_blocks_may_still_arrive() -> None:
    remote = Remote()
    requests = remote.send(CREDIT)
    remote.fetcher.cancel(0, 1.0)
    assert remote.receive() == [Cancel(0, 0, BLOCK), Cancel(0, BLOCK, BLOCK)]
    assert remote.fetcher.pieces == []
    assert remote.fetcher.idle
    remote.serve(*requests)
    assert remote.results == []
    assert remote.fetcher.pipeline._unrequested_blocks == 0
    remote.fetcher.cancel(0, 1.0)
    assert remote.receive() == []


def test_the_reply_to_a_cancel_does_not_reject_a_new_request() -> None:
    """Two requests of one block get two replies.

    In BEP 6, each request gets exactly one reply.
    """
    remote = Remote()
    requests = remote.send(CREDIT)
    remote.fetcher.cancel(0, 1.0)
    remote.missing.appendleft(0)
    assert requests_in(remote.send(CREDIT)) == requests
    remote.send(Reject(0, 0, BLOCK), Reject(0, BLOCK, BLOCK))
    remote.serve(*requests)
    assert remote.received_pieces == [0]


def test_a_rejected_block_is_requested_again_once() -> None:
    remote = Remote()
    first, *others = requests_in(remote.send(CREDIT))
    again = requests_in(remote.send(*(Reject(*request) for request in (first, *others))))
    assert again[0] == first or again[0] in others
    with pytest.raises(SourceError, match="refused a block of piece 0"):
        remote.send(Reject(*again[0]))


def test_unrequested_blocks_are_counted() -> None:
    with pytest.raises(SourceError, match="unrequested blocks"):
        Remote().serve(*[Request(3, 0, 1)] * (MAX_UNREQUESTED_BLOCKS + 1))


# -- The window without credits --------------------------------------------------------------------


def test_the_window_grows_with_the_rate() -> None:
    remote = Remote(uses_credits=False)
    requests = requests_in(remote.first)
    assert sum(request.length for request in requests) == MIN_WINDOW
    while requests and remote.now < 1.5:
        # 400 KB per second.
        remote.now += BLOCK / 400_000
        requests = requests[1:] + requests_in(remote.serve(requests[0]))
    assert sum(request.length for request in requests) > 3 * MIN_WINDOW


def test_the_window_is_bounded() -> None:
    remote = Remote(uses_credits=False)
    remote.fetcher._meter.rate = 1e12
    assert remote.fetcher._window() == MAX_WINDOW


def test_pieces_can_be_cancelled_after_a_choke() -> None:
    remote = Remote(uses_credits=False)
    pieces = remote.fetcher.pieces
    assert pieces == [0, 1, 2, 3]
    remote.send(Choke())
    for piece in pieces:
        remote.fetcher.cancel(piece, 1.0)
    assert not requests_in(remote.receive())
    assert remote.fetcher.pieces == []
    assert requests_in(remote.send(Unchoke()))


# -- The info dictionary ---------------------------------------------------------------------------


def test_metadata_can_be_requested_again_after_a_reject() -> None:
    remote = Remote(info=None, metadata_size=len(INFO.raw))
    assert remote.first == [Interested()]
    for _ in range(2):
        remote.fetcher.request_metadata(0.0)
        assert [type(message) for message in remote.receive()] == [Extended]
        assert remote.fetcher.metadata_pending
        remote.send_metadata(MetadataKind.REJECT)
        assert not remote.fetcher.metadata_pending
    remote.fetcher.request_metadata(0.0)
    remote.send_metadata(MetadataKind.DATA, INFO.raw)
    assert [result.info for result in remote.results if isinstance(result, MetadataReceived)] == [INFO]


def test_unrequested_metadata_is_ignored() -> None:
    remote = Remote(info=None, metadata_size=len(INFO.raw))
    remote.send_metadata(MetadataKind.DATA, INFO.raw)
    assert remote.results == []


def test_a_peer_may_be_idle_after_it_sent_the_metadata() -> None:
    """It may have no missing piece for a while."""
    remote = Remote(info=None, metadata_size=len(INFO.raw))
    remote.fetcher.request_metadata(0.0)
    remote.send_metadata(MetadataKind.DATA, INFO.raw)
    remote.fetcher.start(INFO, 0.0)
    assert remote.fetcher.idle
    remote.fetcher.check(1.0)
    remote.fetcher.check(100.0)


def test_metadata_that_is_not_received_is_a_stall() -> None:
    remote = Remote(info=None, metadata_size=len(INFO.raw))
    remote.fetcher.check(0.0)
    remote.fetcher.request_metadata(0.0)
    with pytest.raises(SourceError, match="stalled"):
        remote.fetcher.check(15.0)


# -- Stalls ----------------------------------------------------------------------------------------


def test_only_a_peer_with_open_requests_can_stall() -> None:
    remote = Remote()
    remote.fetcher.check(100.0)
    remote.now = 100.0
    remote.send(CREDIT)
    remote.fetcher.check(114.0)
    with pytest.raises(SourceError, match="stalled: no data for 15 s"):
        remote.fetcher.check(115.1)
