"""Serving: what is right is answered, what is wrong is refused within bounds, and who takes nothing is let go."""

# What is asserted is that it ends, whichever step ends it.
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
    """Keeps what it has heard."""

    def __init__(self, store: FileStore, *, fast: bool = True, interested: bool = True) -> None:
        super().__init__(store, fast=fast)
        self.heard: list[PeerProtocolEvent] = []
        self.listen()
        if interested:
            self.say(Interested())

    def say(self, *messages: Message, listen: bool = True) -> list[PeerProtocolEvent]:
        """Say messages; gives what came back."""
        self.tell(*messages)
        return self.listen() if listen else []

    def listen(self) -> list[PeerProtocolEvent]:
        new = super().listen()
        self.heard += new
        return new


def test_a_request_gets_its_bytes_once_the_asker_is_interested(store: FileStore) -> None:
    client = Client(store)
    assert [type(event) for event in client.heard] == [Handshake, HaveAll, ExtensionHandshake, Unchoke]
    (block,) = client.say(Request(3, 100, 5_000))
    assert block == Block(3, 100, memoryview(DATA[3 * PIECE + 100 : 3 * PIECE + 5_100]))
    assert client.seed.upload.sent_blocks == 1
    assert client.seed.upload.queued_bytes == 5_000


def test_unchoke_comes_once(store: FileStore) -> None:
    client = Client(store)
    assert client.say(Interested(), Interested()) == []
    # Nobody is choked for losing interest for a moment; there are no slots to be had.
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
    # And the next right one is answered all the same.
    assert [type(event) for event in client.say(Request(0, 0, BLOCK))] == [Block]


def test_the_largest_block_is_served(store: FileStore) -> None:
    client = Client(store)
    (block,) = client.say(Request(0, 0, PIECE))
    assert isinstance(block, Block)
    assert bytes(block.data) == DATA[:PIECE]


@pytest.mark.parametrize("fast", [True, False])
def test_requests_while_choked_are_refused_and_end_it_in_the_end(store: FileStore, fast: bool) -> None:
    client = Client(store, fast=fast, interested=False)
    assert client.say(Request(0, 0, BLOCK)) == ([Reject(0, 0, BLOCK)] if fast else [])
    with pytest.raises(PeerProtocolError, match=f"{MAX_REJECTED + 1} invalid requests"):
        for _ in range(MAX_REJECTED + 1):
            client.say(Request(0, 0, BLOCK))


def test_pieces_that_are_not_here_are_rejected_until_they_are(store: FileStore) -> None:
    store.held = PieceSet(store.info.pieces, [2])
    client = Client(store)
    assert client.say(Request(1, 0, BLOCK)) == [Reject(1, 0, BLOCK)]
    assert [type(event) for event in client.say(Request(2, 0, BLOCK))] == [Block]
    store.held.add(1)
    client.seed.upload.queue_have(1)
    client.seed.upload.send_haves()
    assert client.listen() == [Have(1)]
    assert [type(event) for event in client.say(Request(1, 0, BLOCK))] == [Block]


def test_nobody_hears_of_a_piece_before_the_handshake(store: FileStore) -> None:
    seed = Seed(store)
    seed.upload.queue_have(1)
    assert seed.output() == b""


def test_a_flood_is_bounded(store: FileStore) -> None:
    """More than may wait is rejected; what waits to be sent stays near the mark."""
    client = Client(store)
    flood = [Request(piece % 40, 0, PIECE) for piece in range(MAX_QUEUE + 100)]
    client.say(*flood, listen=False)
    assert client.seed.protocol.pending_bytes <= HIGH_WATER + PIECE + 100 * 17 + 13 * 20
    events = client.listen()
    blocks = [event for event in events if isinstance(event, Block)]
    rejects = [event for event in events if isinstance(event, Reject)]
    assert len(rejects) > 0
    assert len(blocks) + len(rejects) == len(flood)


def test_who_asks_and_never_takes_is_closed(store: FileStore) -> None:
    client = Client(store)
    client.seed.receive(pack(Extended(0, pack_extension_handshake(ExtensionHandshake(METADATA_ID)))))
    client.say(*(Request(piece, 0, PIECE) for piece in range(40)), listen=False)
    asked = pack(Extended(METADATA_ID, pack_metadata(Metadata(MetadataKind.REQUEST, 0))))
    with pytest.raises(PeerProtocolError, match="without reading the replies"):
        for _ in range(1_000):
            client.seed.receive(asked * 100)
    assert client.seed.protocol.pending_bytes < 4 * HIGH_WATER


def test_words_wait_behind_little_where_turns_are_taken(store: FileStore) -> None:
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
    # BEP 6: every request is answered exactly once.
    assert [event for event in events if isinstance(event, Reject)] == ([Reject(29, 0, PIECE)] if fast else [])


def test_a_cancel_that_comes_too_late_changes_nothing(store: FileStore) -> None:
    client = Client(store)
    assert [type(event) for event in client.say(Request(0, 0, PIECE), Cancel(0, 0, PIECE))] in ([Block], [Reject])
    assert client.say(Cancel(0, 0, PIECE)) == []


def test_not_interested_takes_back_what_was_asked(store: FileStore) -> None:
    client = Client(store)
    client.say(*(Request(piece, 0, PIECE) for piece in range(40)), listen=False)
    client.seed.receive(pack(NotInterested()))
    served = [event for event in client.listen() if isinstance(event, Block)]
    assert len(served) < 40
    assert not client.seed.upload.can_send


def test_messages_that_do_not_concern_an_uploader_are_taken(store: FileStore) -> None:
    client = Client(store)
    assert client.say(KeepAlive(), Choke(), Unchoke(), Have(3), Reject(1, 2, 3)) == []
    assert len(client.say(Request(0, 0, 1))) == 1


def test_a_piece_that_does_not_exist_ends_it(store: FileStore) -> None:
    with pytest.raises(PeerProtocolError, match="has piece 4294967295 of 41"):
        Client(store).say(Have(0xFFFFFFFF))


# The info dictionary


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
def test_parts_that_do_not_exist_are_rejected(store: FileStore, part: int) -> None:
    assert metadata(store, part) == [Metadata(MetadataKind.REJECT, part)]


def test_metadata_for_us_is_ignored(store: FileStore) -> None:
    client = Client(store)
    for message in (Metadata(MetadataKind.DATA, 0, 5, b"12345"), Metadata(MetadataKind.REJECT, 0)):
        assert client.say(Extended(METADATA_ID, pack_metadata(message))) == []


# Time


def test_who_does_not_greet_is_let_go(store: FileStore) -> None:
    seed = Seed(store)
    assert seed.upload.expiry_reason(HANDSHAKE_TIMEOUT) is None
    assert seed.upload.expiry_reason(HANDSHAKE_TIMEOUT + 0.1) == "no handshake"


def test_half_a_handshake_is_none(store: FileStore) -> None:
    seed = Seed(store)
    seed.receive(pack_handshake(Handshake(store.info.info_hash, LEECH_ID))[:67], 9.0)
    assert seed.upload.expiry_reason(HANDSHAKE_TIMEOUT + 0.1) == "no handshake"


def test_who_is_idle_is_let_go_and_a_keep_alive_counts(store: FileStore) -> None:
    client = Client(store)
    upload = client.seed.upload
    assert upload.expiry_reason(IDLE_TIMEOUT) is None
    client.seed.receive(pack(KeepAlive()), 100.0)
    assert upload.expiry_reason(IDLE_TIMEOUT + 50) is None
    assert upload.expiry_reason(100.0 + IDLE_TIMEOUT + 0.1) == "idle"


def test_who_takes_no_data_is_let_go_even_if_it_talks(store: FileStore) -> None:
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


def test_who_takes_data_steadily_stays(store: FileStore) -> None:
    """As much goes out between two looks as comes in from the queue: what waits is the same each time."""
    client = Client(store)
    seed = client.seed
    client.say(*(Request(piece % 40, 0, PIECE) for piece in range(200)), listen=False)
    for second in range(1, int(DRAIN_TIMEOUT) + 30):
        for _ in range(2):  # one block: its head, and its bytes
            item = seed.protocol.output.popleft()
            seed.protocol.data_sent(len(item) if isinstance(item, bytes) else item.length)
        seed.upload.fill_output()
        assert seed.upload.expiry_reason(float(second)) is None
