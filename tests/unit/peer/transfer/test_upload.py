"""Uploads to one peer: requests are served or rejected within bounds.

Idle peers expire.
"""

# Any of the steps may raise.
# ruff: noqa: PT012

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.streams import LEECH_ID, PIECE, Asking, Seed, content, make_store
from torrentnet.peer.transfer.connection import TURN_HIGH_WATER
from torrentnet.peer.transfer.upload import (
    DRAIN_TIMEOUT,
    HANDSHAKE_TIMEOUT,
    HIGH_WATER,
    IDLE_TIMEOUT,
    MAX_QUEUE,
    MAX_REJECTED,
)
from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.extension_protocol import (
    METADATA_ID,
    METADATA_PIECE,
    ExtensionHandshake,
    Metadata,
    MetadataKind,
    pack_extension_handshake,
    pack_metadata,
)
from torrentnet.wire.peer.handshake import Handshake, pack_handshake
from torrentnet.wire.peer.messages import (
    MAX_BLOCK,
    Block,
    Cancel,
    Choke,
    Extended,
    Have,
    HaveAll,
    Interested,
    KeepAlive,
    Message,
    NotInterested,
    Reject,
    Request,
    Unchoke,
    pack,
)
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.peer.storage.file_store import FileStore
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent

DATA = content(40 * PIECE + 100)
BLOCK = 16 * 1024


class Client(Asking):
    """A remote peer that keeps the events."""

    def __init__(self, store: FileStore, *, fast: bool = True, interested: bool = True) -> None:
        super().__init__(store, fast=fast)
        self.events: list[PeerProtocolEvent] = []
        self.listen()
        if interested:
            self.say(Interested())

    def say(self, *messages: Message, listen: bool = True) -> list[PeerProtocolEvent]:
        """Send messages; return the events received."""
        self.tell(*messages)
        return self.listen() if listen else []

    def listen(self) -> list[PeerProtocolEvent]:
        new = super().listen()
        self.events += new
        return new


def test_a_request_of_an_interested_peer_is_served(store: FileStore) -> None:
    client = Client(store)
    assert [type(event) for event in client.events] == [Handshake, HaveAll, ExtensionHandshake, Unchoke]
    (block,) = client.say(Request(3, 100, 5_000))
    assert block == Block(3, 100, memoryview(DATA[3 * PIECE + 100 : 3 * PIECE + 5_100]))
    assert client.seed.upload.sent_blocks == 1
    assert client.seed.upload.queued_bytes == 5_000


def test_unchoke_is_sent_once(store: FileStore) -> None:
    client = Client(store)
    assert client.say(Interested(), Interested()) == []
    # Losing interest does not choke: there are no upload slots.
    assert client.say(NotInterested(), Interested()) == []
    assert len(client.say(Request(0, 0, 1))) == 1


@pytest.mark.parametrize(
    "request_",
    [
        Request(41, 0, BLOCK),
        Request(0xFFFFFFFF, 0, BLOCK),
        Request(40, 0, 101),
        Request(40, 100, 1),
        Request(0, PIECE, 1),
        Request(0, PIECE - 1, 2),
        Request(0, 0xFFFFFFFF, 0xFFFFFFFF),
        Request(0, 0, 0),
        Request(0, 0, MAX_BLOCK + 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("fast", [True, False])
def test_a_request_out_of_range_is_rejected_or_dropped(store: FileStore, request_: Request, fast: bool) -> None:
    client = Client(store, fast=fast)
    assert client.say(request_) == ([Reject(*request_)] if fast else [])
    # The next valid request is still served.
    assert [type(event) for event in client.say(Request(0, 0, BLOCK))] == [Block]


def test_the_largest_block_is_served(store: FileStore) -> None:
    client = Client(store)
    (block,) = client.say(Request(0, 0, PIECE))
    assert isinstance(block, Block)
    assert bytes(block.data) == DATA[:PIECE]


@pytest.mark.parametrize("fast", [True, False])
def test_too_many_requests_while_choked_close_the_connection(store: FileStore, fast: bool) -> None:
    client = Client(store, fast=fast, interested=False)
    assert client.say(Request(0, 0, BLOCK)) == ([Reject(0, 0, BLOCK)] if fast else [])
    with pytest.raises(PeerProtocolError, match=f"{MAX_REJECTED + 1} invalid requests"):
        for _ in range(MAX_REJECTED + 1):
            client.say(Request(0, 0, BLOCK))


def test_missing_pieces_are_rejected_until_they_are_held(store: FileStore) -> None:
    store.held = PieceSet(store.info.pieces, [2])
    client = Client(store)
    assert client.say(Request(1, 0, BLOCK)) == [Reject(1, 0, BLOCK)]
    assert [type(event) for event in client.say(Request(2, 0, BLOCK))] == [Block]
    store.held.add(1)
    client.seed.upload.queue_have(1)
    client.seed.upload.send_haves()
    assert client.listen() == [Have(1)]
    assert [type(event) for event in client.say(Request(1, 0, BLOCK))] == [Block]


def test_no_piece_is_announced_before_the_handshake(store: FileStore) -> None:
    seed = Seed(store)
    seed.upload.queue_have(1)
    assert seed.output() == b""


def test_many_requests_fill_the_queue_and_are_no_misbehaviour(store: FileStore) -> None:
    """rTorrent has up to 882 requests open, whatever ``reqq`` says."""
    client = Client(store)
    flood = [Request(piece % 40, 0, BLOCK) for piece in range(MAX_QUEUE + 100)]
    client.say(*flood, listen=False)
    assert client.seed.upload.is_full
    assert not client.seed.upload.has_room
    assert client.seed.protocol.pending_bytes <= HIGH_WATER + PIECE + 13 * 20
    assert len([event for event in client.listen() if isinstance(event, Block)]) == len(flood)
    assert client.seed.upload.has_room


def test_a_peer_that_never_reads_is_closed(store: FileStore) -> None:
    client = Client(store)
    client.seed.receive(pack(Extended(0, pack_extension_handshake(ExtensionHandshake(METADATA_ID)))))
    client.say(*(Request(piece, 0, PIECE) for piece in range(40)), listen=False)
    request = pack(Extended(METADATA_ID, pack_metadata(Metadata(MetadataKind.REQUEST, 0))))
    with pytest.raises(PeerProtocolError, match="without reading the replies"):
        for _ in range(1_000):
            client.seed.receive(request * 100)
    assert client.seed.protocol.pending_bytes < 4 * HIGH_WATER


def test_messages_wait_behind_few_blocks_while_choking(store: FileStore) -> None:
    client = Client(store)
    client.seed.upload.high_water = TURN_HIGH_WATER
    client.say(*(Request(piece, 0, PIECE) for piece in range(40)), listen=False)
    assert client.seed.protocol.pending_bytes < TURN_HIGH_WATER + 2 * PIECE
    assert [type(event) for event in client.say(KeepAlive(), Interested())] == [Block] * 40


@pytest.mark.parametrize("fast", [True, False])
def test_a_cancelled_request_is_not_served(store: FileStore, fast: bool) -> None:
    client = Client(store, fast=fast)
    requests = [Request(piece, 0, PIECE) for piece in range(30)]
    client.say(*requests, listen=False)
    events = client.say(Cancel(29, 0, PIECE), Cancel(29, 0, PIECE), Cancel(7, 1, 2))
    blocks = [event.piece for event in events if isinstance(event, Block)]
    assert blocks == list(range(29))
    # BEP 6: each request gets exactly one reply.
    assert [event for event in events if isinstance(event, Reject)] == ([Reject(29, 0, PIECE)] if fast else [])


def test_a_late_cancel_changes_nothing(store: FileStore) -> None:
    client = Client(store)
    assert [type(event) for event in client.say(Request(0, 0, PIECE), Cancel(0, 0, PIECE))] in ([Block], [Reject])
    assert client.say(Cancel(0, 0, PIECE)) == []


def test_not_interested_drops_the_requests(store: FileStore) -> None:
    client = Client(store)
    client.say(*(Request(piece, 0, PIECE) for piece in range(40)), listen=False)
    client.seed.receive(pack(NotInterested()))
    served = [event for event in client.listen() if isinstance(event, Block)]
    assert len(served) < 40
    assert not client.seed.upload.can_send


def test_other_messages_are_accepted(store: FileStore) -> None:
    client = Client(store)
    assert client.say(KeepAlive(), Choke(), Unchoke(), Have(3), Reject(1, 2, 3)) == []
    assert len(client.say(Request(0, 0, 1))) == 1


def test_a_have_of_an_unknown_piece_closes_the_connection(store: FileStore) -> None:
    with pytest.raises(PeerProtocolError, match="has piece 4294967295 of 41"):
        Client(store).say(Have(0xFFFFFFFF))


# -- The info dictionary ---------------------------------------------------------------------------


def metadata(store: FileStore, *parts: int) -> list[PeerProtocolEvent]:
    client = Client(store)
    client.say(Extended(0, pack_extension_handshake(ExtensionHandshake(METADATA_ID))))
    return client.say(*(Extended(METADATA_ID, pack_metadata(Metadata(MetadataKind.REQUEST, part))) for part in parts))


def test_the_info_dictionary_is_served_in_parts(tmp_path: Path) -> None:
    data = content(1_700 * 16_384)
    store = make_store(tmp_path / "many.bin", data, 16_384)
    raw = store.info.raw
    assert len(raw) > 2 * METADATA_PIECE
    answers = metadata(store, 0, 1, 2)
    store.close()
    assert [answer.piece for answer in answers if isinstance(answer, Metadata)] == [0, 1, 2]
    assert {answer.total for answer in answers if isinstance(answer, Metadata)} == {len(raw)}
    assert b"".join(answer.data for answer in answers if isinstance(answer, Metadata)) == raw


@pytest.mark.parametrize("part", [1, 2, 1 << 40])
def test_missing_parts_of_metadata_are_rejected(store: FileStore, part: int) -> None:
    assert metadata(store, part) == [Metadata(MetadataKind.REJECT, part)]


def test_metadata_data_is_ignored(store: FileStore) -> None:
    client = Client(store)
    for message in (Metadata(MetadataKind.DATA, 0, 5, b"12345"), Metadata(MetadataKind.REJECT, 0)):
        assert client.say(Extended(METADATA_ID, pack_metadata(message))) == []


# -- Expiry ----------------------------------------------------------------------------------------


def test_a_peer_without_a_handshake_expires(store: FileStore) -> None:
    seed = Seed(store)
    assert seed.upload.expiry_reason(HANDSHAKE_TIMEOUT) is None
    assert seed.upload.expiry_reason(HANDSHAKE_TIMEOUT + 0.1) == "no handshake"


def test_a_partial_handshake_expires(store: FileStore) -> None:
    seed = Seed(store)
    seed.receive(pack_handshake(Handshake(store.info.info_hash, LEECH_ID))[:67], 9.0)
    assert seed.upload.expiry_reason(HANDSHAKE_TIMEOUT + 0.1) == "no handshake"


def test_an_idle_peer_expires_without_keep_alives(store: FileStore) -> None:
    client = Client(store)
    upload = client.seed.upload
    assert upload.expiry_reason(IDLE_TIMEOUT) is None
    client.seed.receive(pack(KeepAlive()), 100.0)
    assert upload.expiry_reason(IDLE_TIMEOUT + 50) is None
    assert upload.expiry_reason(100.0 + IDLE_TIMEOUT + 0.1) == "idle"


def test_a_peer_that_receives_no_data_expires(store: FileStore) -> None:
    client = Client(store)
    client.say(Request(0, 0, PIECE), listen=False)
    now, reason = 0.0, None
    while reason is None:
        now += 1.0
        assert now < 2 * DRAIN_TIMEOUT
        client.seed.receive(pack(KeepAlive()), now)
        reason = client.seed.upload.expiry_reason(now)
    assert reason == "receives no data"
    assert now >= DRAIN_TIMEOUT


def test_a_peer_that_receives_data_stays(store: FileStore) -> None:
    """Data is sent, although the number of pending bytes stays the same.

    As many bytes are sent between two checks as are queued.
    """
    client = Client(store)
    seed = client.seed
    client.say(*(Request(piece % 40, 0, PIECE) for piece in range(200)), listen=False)
    for second in range(1, int(DRAIN_TIMEOUT) + 30):
        for _ in range(2):  # one block: its head, and its bytes
            item = seed.protocol.output.popleft()
            seed.protocol.data_sent(len(item) if isinstance(item, bytes) else item.length)
        seed.upload.fill_output()
        assert seed.upload.expiry_reason(float(second)) is None
