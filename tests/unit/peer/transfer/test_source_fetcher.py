"""Fetching from a single source that behaves, and from many that do not."""

# Any of the steps may raise.
# ruff: noqa: PT012

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.streams import PIECE, Leech, Script, Seed, content, converse, info_of, make_store, wanting
from torrentnet.peer.scheduling.rate_meter import SLOW_WINDOW
from torrentnet.peer.transfer.fetcher import KEEPALIVE_INTERVAL
from torrentnet.peer.transfer.metadata_exchange import SourceError
from torrentnet.peer.transfer.request_pipeline import MAX_UNREQUESTED_BLOCKS
from torrentnet.peer.transfer.source_fetcher import SOURCE_WINDOW
from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.messages import (
    AllowedFast,
    Bitfield,
    Choke,
    Extended,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    KeepAlive,
    NotInterested,
    Reject,
    Request,
    Suggest,
    Unchoke,
    pack_block_head,
)
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.wire.info import Info

DATA = content(5 * PIECE + 3_000)
INFO = info_of(DATA)
BLOCK = 16 * 1024
STALL = 15.0


def connected(*, info: Info | None = INFO, fast: bool = True, extended: bool = True) -> Script:
    """A source after the handshakes."""
    return Script(Leech(INFO.info_hash, info=info, stall=STALL), INFO, fast=fast, extended=extended)


def serving(*, fast: bool = True, extended: bool = True, block: int = BLOCK, info: Info | None = INFO) -> Script:
    """A source that holds all pieces and has unchoked the leecher."""
    script = connected(info=info, fast=fast, extended=extended)
    script.say(HaveAll() if fast else Bitfield(PieceSet.full(INFO.pieces).bitfield()))
    if extended:
        script.offer(block=block)
    script.say(Unchoke())
    return script


def serve(script: Script, *requests: Request) -> None:
    for request in requests:
        start = request.piece * PIECE + request.begin
        script.block(request.piece, request.begin, DATA[start : start + request.length])


def check(script: Script, now: float) -> None:
    script.leech.fetch.check(now)
    script.listen()


# -- Requests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("block", "count"), [(BLOCK, 11), (128 * 1024, 6), (24_000, 11)])
def test_each_byte_is_requested_once_in_agreed_blocks(block: int, count: int) -> None:
    script = serving(block=block)
    requests = script.of(Request)
    assert len(requests) == count
    assert max(request.length for request in requests) == min(block, PIECE)
    covered = sorted(
        (request.piece * PIECE + request.begin, request.piece * PIECE + request.begin + request.length)
        for request in requests
    )
    assert covered[0][0] == 0
    assert covered[-1][1] == len(DATA)
    assert all(left[1] == right[0] for left, right in itertools.pairwise(covered))
    serve(script, *requests)
    assert script.leech.data == DATA
    assert script.leech.fetch.idle


@pytest.mark.parametrize("fast", [True, False])
def test_a_source_without_extensions_serves_a_known_file(fast: bool) -> None:
    script = serving(fast=fast, extended=False)
    serve(script, *script.of(Request))
    assert script.leech.data == DATA


def test_a_source_without_bep_10_cannot_send_metadata() -> None:
    with pytest.raises(SourceError, match="cannot send the info dictionary: no support for BEP 10"):
        serving(extended=False, info=None)


def test_nothing_is_requested_while_choked() -> None:
    script = connected()
    script.say(HaveAll())
    script.offer()
    assert script.of(Interested) == [Interested()]
    assert script.of(HaveNone) == [HaveNone()]
    assert script.of(Request) == []
    script.say(Unchoke())
    assert script.of(Request)


def test_requests_are_bounded_by_the_window_and_the_source() -> None:
    info = info_of(bytes(64 * 256 * 1024), 256 * 1024)
    for block, most in ((128 * 1024, SOURCE_WINDOW // (128 * 1024)), (BLOCK, 249)):
        script = Script(Leech(info.info_hash, info=info), info)
        script.say(HaveAll())
        script.offer(block=block)
        script.say(Unchoke())
        assert len(script.of(Request)) == most
        first = script.of(Request)[0]
        script.block(first.piece, first.begin, bytes(first.length))
        assert len(script.of(Request)) == most + 1
    script = Script(Leech(info.info_hash, info=info), info)
    script.say(HaveAll(), Extended(0, b"d1:md11:ut_metadatai1ee4:reqqi5e8:tn_blocki131072ee"), Unchoke())
    assert len(script.of(Request)) == 4


def test_only_pieces_that_the_source_holds_are_requested() -> None:
    script = connected()
    script.say(Bitfield(PieceSet(INFO.pieces, [1, 4]).bitfield()), Unchoke())
    assert {request.piece for request in script.of(Request)} == {1, 4}
    script.say(Have(2))
    assert {request.piece for request in script.of(Request)} == {1, 2, 4}
    assert not script.leech.fetch.idle
    serve(script, *script.of(Request))
    assert script.leech.fetch.idle
    assert list(script.leech.todo or ()) == [0, 3, 5]


def test_blocks_may_arrive_in_any_order() -> None:
    script = serving()
    serve(script, *reversed(script.of(Request)))
    assert script.leech.data == DATA


# -- The source's pieces ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "held"),
    [
        ([HaveAll(), HaveAll()], range(6)),
        ([HaveAll(), HaveNone()], []),
        ([HaveNone(), HaveAll()], range(6)),
        ([HaveNone(), Bitfield(b"\xfc")], range(6)),
        ([Bitfield(b"\x80"), Bitfield(b"\x40")], [1]),
        ([Bitfield(b"\x80"), HaveNone()], []),
        ([Bitfield(b"\x80"), Have(3), Have(3)], [0, 3]),
        ([HaveNone(), Have(5)], [5]),
        ([Have(5), Have(0)], [0, 5]),
        ([HaveAll(), Bitfield(b"\x80")], range(6)),
    ],
)
@pytest.mark.parametrize("info", [INFO, None], ids=["info-known", "info-fetched"])
def test_contradictory_announcements_are_accepted(
    messages: list[HaveAll | HaveNone | Bitfield | Have], held: list[int], info: Info | None
) -> None:
    script = connected(info=info)
    script.say(*messages)
    script.offer()
    if info is None:
        script.give_info(0, INFO.raw)
    script.say(Unchoke())
    assert {request.piece for request in script.of(Request)} == set(held)


@pytest.mark.parametrize("bits", [b"", b"\xfc\x00", b"\xfd", b"\xff" * 100], ids=["short", "long", "spare", "huge"])
@pytest.mark.parametrize("info", [INFO, None], ids=["info-known", "info-fetched"])
def test_an_invalid_bitfield_fails(bits: bytes, info: Info | None) -> None:
    script = connected(info=info)
    with pytest.raises(PeerProtocolError, match="bitfield"):
        script.say(Bitfield(bits))
        script.offer()
        script.give_info(0, INFO.raw)


@pytest.mark.parametrize("first", [HaveAll(), HaveNone(), None], ids=["all", "none", "nothing"])
@pytest.mark.parametrize("info", [INFO, None], ids=["info-known", "info-fetched"])
def test_a_piece_that_does_not_exist_fails(first: HaveAll | HaveNone | None, info: Info | None) -> None:
    script = connected(info=info)
    with pytest.raises(PeerProtocolError, match="has piece 6 of 6"):
        script.say(*([] if first is None else [first]), Have(6))
        script.offer()
        script.give_info(0, INFO.raw)


def test_messages_for_an_uploader_are_ignored() -> None:
    script = serving()
    script.say(KeepAlive(), NotInterested(), Interested(), Request(0, 0, 5), Suggest(3), AllowedFast(2))
    serve(script, *script.of(Request))
    assert script.leech.data == DATA


# -- Blocks ----------------------------------------------------------------------------------------


def test_an_unrequested_block_is_discarded() -> None:
    script = serving()
    script.block(0, 1, b"unasked")
    script.block(77, 0, b"no such piece")
    requests = script.of(Request)
    serve(script, requests[0], requests[0], *requests[1:])
    assert script.leech.data == DATA


def test_a_large_block_is_received_into_its_pieces_buffer() -> None:
    info = info_of(bytes(256 * 1024), 256 * 1024)
    leech = Leech(info.info_hash, info=info)
    script = Script(leech, info)
    script.say(HaveAll())
    script.offer(block=128 * 1024)
    script.say(Unchoke())
    assert len(script.of(Request)) == 2
    script.raw(pack_block_head(0, 128 * 1024, 128 * 1024) + b"x" * 1000)
    block, ahead = leech.protocol.buffers()
    assert (len(block), len(ahead) > 13) == (127 * 1024 + 24, True)
    # An unrequested block gets no place in a piece.
    script.raw(b"x" * (127 * 1024 + 24) + pack_block_head(0, 1, 128 * 1024) + b"y" * 1000)
    assert len(leech.protocol.buffers()) == 1


def test_too_many_unrequested_blocks_fail() -> None:
    script = serving()
    with pytest.raises(SourceError, match=f"sent {MAX_UNREQUESTED_BLOCKS + 1} unrequested blocks"):
        for _ in range(MAX_UNREQUESTED_BLOCKS + 1):
            script.block(0, 1, b"x")


def test_a_block_of_the_wrong_length_fails() -> None:
    script = serving()
    first = script.of(Request)[0]
    with pytest.raises(SourceError, match=f"sent a block of 5 bytes where {first.length} were requested"):
        script.block(first.piece, first.begin, b"short")


def test_a_piece_is_delivered_unverified() -> None:
    script = serving()
    for request in script.of(Request):
        if request.piece == 2:
            script.block(2, request.begin, bytes(request.length))
        else:
            serve(script, request)
    assert script.leech.bad == [2]
    assert sorted(script.leech.got) == [0, 1, 3, 4, 5]


# -- Chokes and rejects ----------------------------------------------------------------------------


@pytest.mark.parametrize("fast", [True, False])
def test_a_choked_download_continues_after_an_unchoke(fast: bool) -> None:
    script = serving(fast=fast)
    requests = script.of(Request)
    serve(script, *requests[:5])
    script.say(Choke())
    if fast:
        # BEP 6: a choke does not drop requests; each one is rejected.
        script.say(*(Reject(*request) for request in requests[5:]))
    count = len(script.of(Request))
    script.say(KeepAlive())
    assert len(script.of(Request)) == count
    script.say(Unchoke())
    again = script.of(Request)[count:]
    # Complete pieces are not requested again.
    assert {request.piece for request in again} == {2, 3, 4, 5}
    serve(script, *again)
    assert script.leech.data == DATA


def test_blocks_in_flight_at_a_choke_are_harmless() -> None:
    script = serving(fast=False)
    requests = script.of(Request)
    script.say(Choke())
    serve(script, *requests)
    script.say(Unchoke())
    serve(script, *script.of(Request)[len(requests) :])
    assert script.leech.data == DATA


@pytest.mark.parametrize("fast", [True, False])
def test_alternate_chokes_and_unchokes_without_data_are_a_stall(fast: bool) -> None:
    script = serving(fast=fast)
    with pytest.raises(SourceError, match="stalled"):
        for second in range(1_000):
            script.now = float(second)
            script.say(Choke(), *(Reject(*request) for request in script.of(Request)[-11:] if fast), Unchoke())
            check(script, script.now)


@pytest.mark.parametrize("fast", [True, False])
def test_a_file_is_received_despite_many_chokes(fast: bool) -> None:
    script = serving(fast=fast)
    done = 0
    for _ in range(40):
        open_requests = script.of(Request)[done:]
        if not open_requests:
            break
        serve(script, *open_requests[:2])
        done = len(script.of(Request))
        script.say(Choke(), *(Reject(*request) for request in open_requests[2:] if fast), Unchoke())
    assert script.leech.data == DATA


def test_a_block_that_is_rejected_twice_without_a_choke_fails() -> None:
    """Nothing has arrived between the two rejects."""
    script = serving()
    first = script.of(Request)
    script.say(*(Reject(*request) for request in first))
    (again,) = script.of(Request)[len(first) :]
    assert again in first
    with pytest.raises(SourceError, match=f"refused a block of piece {again.piece}"):
        script.say(Reject(*again))


def test_a_rejected_block_is_requested_again_after_the_next_block() -> None:
    script = serving()
    first = script.of(Request)
    script.say(Reject(*first[1]))
    assert script.of(Request) == first
    script.block(0, 0, DATA[: first[0].length])
    assert script.of(Request)[len(first)] == first[1]


def test_a_reject_of_an_unrequested_block_is_ignored() -> None:
    script = serving()
    script.say(Reject(0, 1, 2), Reject(99, 0, BLOCK))
    serve(script, *script.of(Request))
    assert script.leech.data == DATA


# -- Time-outs -------------------------------------------------------------------------------------


def test_a_source_without_a_handshake_stalls() -> None:
    leech = Leech(INFO.info_hash, stall=STALL)
    leech.fetch.check(STALL - 0.1)
    with pytest.raises(SourceError, match="stalled: no answer for 15 s"):
        leech.fetch.check(STALL)


def test_a_source_that_never_unchokes_stalls() -> None:
    script = connected()
    script.say(HaveAll())
    check(script, STALL - 0.1)
    with pytest.raises(SourceError, match="stalled: not served for 15 s"):
        for second in range(15, 200):
            script.leech.fetch.check(float(second))


def test_keep_alives_alone_do_not_hide_a_stall() -> None:
    script = serving()
    check(script, 1.0)
    with pytest.raises(SourceError, match="stalled"):
        for second in range(2, 1_000):
            script.now = float(second)
            script.say(KeepAlive())
            check(script, float(second))


def test_a_source_that_never_sends_the_metadata_stalls() -> None:
    script = wanting(INFO)
    check(script, 1.0)
    with pytest.raises(SourceError, match="stalled"):
        for second in range(2, 100):
            check(script, float(second))


def test_silence_within_a_block_is_a_stall() -> None:
    script = serving()
    first = script.of(Request)[0]
    script.now = 10.0
    script.raw(pack_block_head(0, 0, first.length) + b"half of it")
    check(script, 10.0)
    check(script, 24.9)
    with pytest.raises(SourceError, match="stalled: no data for 15 s"):
        check(script, 25.0)


def test_single_bytes_of_a_large_block_are_progress() -> None:
    script = serving(block=128 * 1024)
    first = script.of(Request)[0]
    script.raw(pack_block_head(first.piece, 0, first.length))
    for second in range(0, 100, 10):
        script.now = float(second)
        script.raw(DATA[second : second + 1])
        check(script, float(second))


def test_a_slow_local_disk_is_no_stall() -> None:
    leech = Leech(INFO.info_hash, stall=STALL, opens=False)
    script = Script(leech, INFO)
    script.say(HaveAll())
    script.offer()
    script.give_info(0, INFO.raw)
    script.say(Unchoke())
    for second in range(0, 300, 10):
        check(script, float(second))
    leech.open(INFO, 300.0)
    script.listen()
    serve(script, *script.of(Request))
    assert leech.data == DATA


def test_an_idle_source_does_not_stall_and_gets_keep_alives() -> None:
    script = serving()
    serve(script, *script.of(Request))
    assert script.leech.fetch.idle
    for second in range(301):
        check(script, float(second))
    assert len(script.of(KeepAlive)) == 300 // int(KEEPALIVE_INTERVAL)


def test_a_low_rate_is_detected_but_not_while_idle() -> None:
    script = serving()
    fetch = script.leech.fetch
    requests = script.of(Request)
    assert fetch.slow_rate(1_000.0, 0.0) is None
    assert fetch.slow_rate(1_000.0, SLOW_WINDOW) == 0.0
    serve(script, requests[0])
    assert fetch.slow_rate(1_000.0, 2 * SLOW_WINDOW) is None
    serve(script, *requests[1:])
    for second in range(10, 30):
        assert fetch.slow_rate(1_000.0, float(second)) is None


@pytest.mark.parametrize("state", ["connected", "choked", "requesting-metadata", "fetching", "idle"])
def test_due_is_never_in_the_past(state: str) -> None:
    """Otherwise, a loop that sleeps until then would spin."""
    if state == "connected":
        leech = Leech(INFO.info_hash)
    elif state == "choked":
        script = connected()
        script.say(HaveAll())
        leech = script.leech
    elif state == "requesting-metadata":
        leech = wanting(INFO).leech
    else:
        script = serving()
        leech = script.leech
        if state == "idle":
            serve(script, *script.of(Request))
    now = 0.0
    for _ in range(50):
        try:
            leech.fetch.check(now)
        except SourceError:
            return
        leech.fetch.slow_rate(1_000.0, now)
        due = leech.fetch.due()
        assert due > now
        now = due


def test_torrentnet_peers_agree_on_large_blocks(tmp_path: Path) -> None:
    data = content(1 << 20)
    store = make_store(tmp_path / "a", data, 256 * 1024)
    leech, seed = Leech(store.info.info_hash), Seed(store)
    converse(leech, seed)
    store.close()
    assert leech.data == data
    assert seed.upload.sent_blocks == 4
