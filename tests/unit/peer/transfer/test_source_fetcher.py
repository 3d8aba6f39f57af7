"""Downloading from one source that does as it should, and from many that do not."""

# What is asserted is that it ends, whichever step ends it.
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
from torrentnet.wire.peer.extension_protocol import METADATA_ID, Metadata, MetadataKind, pack_metadata
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


def serving(*, fast: bool = True, extended: bool = True, block: int = BLOCK, info: Info | None = INFO) -> Script:
    """A source that has everything, unchoked, with the file open on our side."""
    leech = Leech(INFO.info_hash, info=info)
    script = Script(leech, INFO, fast=fast, extended=extended)
    script.say(HaveAll() if fast else Bitfield(PieceSet.full(INFO.pieces).bitfield()))
    if extended:
        script.offer(block=block)
    script.say(Unchoke())
    return script


def answer(script: Script, *requests: Request) -> None:
    for request in requests:
        start = request.piece * PIECE + request.begin
        script.block(request.piece, request.begin, DATA[start : start + request.length])


def asked(script: Script) -> list[Request]:
    return [message for message in script.of(Request) if isinstance(message, Request)]


# What is asked for


@pytest.mark.parametrize(("block", "count"), [(BLOCK, 11), (128 * 1024, 6), (24_000, 11)])
def test_every_byte_is_asked_for_once_in_blocks_that_both_sides_take(block: int, count: int) -> None:
    script = serving(block=block)
    requests = asked(script)
    assert len(requests) == count
    assert max(request.length for request in requests) == min(block, PIECE)
    covered = sorted(
        (request.piece * PIECE + request.begin, request.piece * PIECE + request.begin + request.length)
        for request in requests
    )
    assert covered[0][0] == 0
    assert covered[-1][1] == len(DATA)
    assert all(left[1] == right[0] for left, right in itertools.pairwise(covered))
    answer(script, *requests)
    assert script.leech.data == DATA
    assert script.leech.fetch.idle


@pytest.mark.parametrize("fast", [True, False])
def test_a_source_without_extensions_serves_too_when_the_info_is_known(fast: bool) -> None:
    script = serving(fast=fast, extended=False)
    answer(script, *asked(script))
    assert script.leech.data == DATA


def test_a_source_that_speaks_no_bep_10_is_of_no_use_without_the_info() -> None:
    with pytest.raises(SourceError, match="cannot send the info dictionary: it does not speak BEP 10"):
        serving(extended=False, info=None)


def test_interest_is_told_and_nothing_is_asked_while_choked() -> None:
    leech = Leech(INFO.info_hash, info=INFO)
    script = Script(leech, INFO)
    script.say(HaveAll())
    script.offer()
    assert script.of(Interested) == [Interested()]
    assert script.of(HaveNone) == [HaveNone()]
    assert asked(script) == []
    script.say(Unchoke())
    assert asked(script)


def test_no_more_is_asked_than_the_window_and_than_the_source_lets_wait() -> None:
    info = info_of(bytes(64 * 256 * 1024), 256 * 1024)
    for block, most in ((128 * 1024, SOURCE_WINDOW // (128 * 1024)), (BLOCK, 250)):
        leech = Leech(info.info_hash, info=info)
        script = Script(leech, info)
        script.say(HaveAll())
        script.offer(block=block)
        script.say(Unchoke())
        assert len(asked(script)) == most
        first = asked(script)[0]
        script.block(first.piece, first.begin, bytes(first.length))
        assert len(asked(script)) == most + 1
    leech = Leech(info.info_hash, info=info)
    script = Script(leech, info)
    script.say(HaveAll(), Extended(0, b"d1:md11:ut_metadatai1ee4:reqqi5e8:tn_blocki131072ee"), Unchoke())
    assert len(asked(script)) == 5


def test_only_pieces_that_the_source_has_are_asked_for() -> None:
    leech = Leech(INFO.info_hash, info=INFO)
    script = Script(leech, INFO)
    script.say(Bitfield(PieceSet(INFO.pieces, [1, 4]).bitfield()), Unchoke())
    assert {request.piece for request in asked(script)} == {1, 4}
    script.say(Have(2))
    assert {request.piece for request in asked(script)} == {1, 2, 4}
    assert not leech.fetch.idle
    answer(script, *asked(script))
    assert leech.fetch.idle
    assert list(leech.todo or ()) == [0, 3, 5]


def test_blocks_may_come_in_any_order() -> None:
    script = serving()
    answer(script, *reversed(asked(script)))
    assert script.leech.data == DATA


# What the source says of itself


@pytest.mark.parametrize(
    ("said", "has"),
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
@pytest.mark.parametrize("known", [True, False], ids=["info-known", "info-fetched"])
def test_contradictions_do_no_harm_and_the_last_word_or_the_sum_counts(
    said: list[HaveAll | HaveNone | Bitfield | Have], has: list[int], known: bool
) -> None:
    leech = Leech(INFO.info_hash, info=INFO if known else None)
    script = Script(leech, INFO)
    script.say(*said)
    script.offer()
    if not known:
        script.say(Extended(METADATA_ID, pack_metadata(Metadata(MetadataKind.DATA, 0, len(INFO.raw), INFO.raw))))
    script.say(Unchoke())
    assert {request.piece for request in asked(script)} == set(has)


@pytest.mark.parametrize("bits", [b"", b"\xfc\x00", b"\xfd", b"\xff" * 100], ids=["short", "long", "spare", "huge"])
@pytest.mark.parametrize("known", [True, False], ids=["info-known", "info-fetched"])
def test_a_wrong_bitfield_closes(bits: bytes, known: bool) -> None:
    leech = Leech(INFO.info_hash, info=INFO if known else None)
    script = Script(leech, INFO)
    with pytest.raises(PeerProtocolError, match="bitfield"):
        script.say(Bitfield(bits))
        script.offer()
        script.say(Extended(METADATA_ID, pack_metadata(Metadata(MetadataKind.DATA, 0, len(INFO.raw), INFO.raw))))


@pytest.mark.parametrize("first", [HaveAll(), HaveNone(), None], ids=["all", "none", "nothing"])
@pytest.mark.parametrize("known", [True, False], ids=["info-known", "info-fetched"])
def test_a_piece_that_does_not_exist_closes(first: HaveAll | HaveNone | None, known: bool) -> None:
    leech = Leech(INFO.info_hash, info=INFO if known else None)
    script = Script(leech, INFO)
    with pytest.raises(PeerProtocolError, match="has piece 6 of 6"):
        script.say(*([] if first is None else [first]), Have(6))
        script.offer()
        script.say(Extended(METADATA_ID, pack_metadata(Metadata(MetadataKind.DATA, 0, len(INFO.raw), INFO.raw))))


def test_what_a_downloader_has_no_use_for_is_taken() -> None:
    script = serving()
    script.say(KeepAlive(), NotInterested(), Interested(), Request(0, 0, 5), Suggest(3), AllowedFast(2))
    answer(script, *asked(script))
    assert script.leech.data == DATA


# Blocks


def test_a_block_that_nobody_asked_for_is_thrown_away() -> None:
    script = serving()
    script.block(0, 1, b"unasked")
    script.block(77, 0, b"no such piece")
    requests = asked(script)
    answer(script, requests[0], requests[0], *requests[1:])
    assert script.leech.data == DATA


def test_a_large_block_is_received_where_its_piece_is_put_together() -> None:
    info = info_of(bytes(256 * 1024), 256 * 1024)
    leech = Leech(info.info_hash, info=info)
    script = Script(leech, info)
    script.say(HaveAll())
    script.offer(block=128 * 1024)
    script.say(Unchoke())
    wanted = asked(script)
    assert len(wanted) == 2
    place = leech.protocol.buffers
    script.raw(pack_block_head(0, 128 * 1024, 128 * 1024) + b"x" * 1000)
    room, ahead = place()
    assert (len(room), len(ahead) > 13) == (127 * 1024 + 24, True)
    # The head of one that nobody asked for is given no place in any piece.
    script.raw(b"x" * (127 * 1024 + 24) + pack_block_head(0, 1, 128 * 1024) + b"y" * 1000)
    assert len(place()) == 1


def test_too_many_of_them_end_it() -> None:
    script = serving()
    with pytest.raises(SourceError, match=f"sent {MAX_UNREQUESTED_BLOCKS + 1} unrequested blocks"):
        for _ in range(MAX_UNREQUESTED_BLOCKS + 1):
            script.block(0, 1, b"x")


def test_a_block_of_another_length_ends_it() -> None:
    script = serving()
    first = asked(script)[0]
    with pytest.raises(SourceError, match=f"sent a block of 5 bytes where {first.length} were requested"):
        script.block(first.piece, first.begin, b"short")


def test_a_bad_piece_is_handed_on_as_it_is() -> None:
    script = serving()
    requests = asked(script)
    for request in requests:
        if request.piece == 2:
            script.block(2, request.begin, bytes(request.length))
        else:
            answer(script, request)
    assert script.leech.bad == [2]
    assert sorted(script.leech.got) == [0, 1, 3, 4, 5]


# Choked in mid-download, rejected


@pytest.mark.parametrize("fast", [True, False])
def test_a_choke_in_mid_download_is_outlasted(fast: bool) -> None:
    script = serving(fast=fast)
    requests = asked(script)
    answer(script, *requests[:5])
    script.say(Choke())
    if fast:
        # BEP 6: a choke does not drop requests, each is rejected.
        script.say(*(Reject(*request) for request in requests[5:]))
    count = len(asked(script))
    script.say(KeepAlive())
    assert len(asked(script)) == count
    script.say(Unchoke())
    again = asked(script)[count:]
    # Whole pieces are not asked for again.
    assert {request.piece for request in again} == {2, 3, 4, 5}
    answer(script, *again)
    assert script.leech.data == DATA


def test_blocks_on_their_way_when_the_choke_came_do_no_harm() -> None:
    script = serving(fast=False)
    requests = asked(script)
    script.say(Choke())
    answer(script, *requests)
    script.say(Unchoke())
    answer(script, *asked(script)[len(requests) :])
    assert script.leech.data == DATA


@pytest.mark.parametrize("fast", [True, False])
def test_choke_flapping_without_data_is_a_stall(fast: bool) -> None:
    script = serving(fast=fast)
    with pytest.raises(SourceError, match="stalled"):
        for second in range(1_000):
            script.now = float(second)
            script.say(Choke(), *(Reject(*request) for request in asked(script)[-11:] if fast), Unchoke())
            lasts(script, script.now)


@pytest.mark.parametrize("fast", [True, False])
def test_choke_flapping_ends_in_the_file(fast: bool) -> None:
    script = serving(fast=fast)
    done = 0
    for _ in range(40):
        open_requests = asked(script)[done:]
        if not open_requests:
            break
        answer(script, *open_requests[:2])
        done = len(asked(script))
        script.say(Choke(), *(Reject(*request) for request in open_requests[2:] if fast), Unchoke())
    assert script.leech.data == DATA


def test_a_reject_without_a_choke_ends_it() -> None:
    script = serving()
    first = asked(script)[0]
    with pytest.raises(SourceError, match="refused a block of piece 0"):
        script.say(Reject(*first))


def test_a_reject_of_what_was_not_asked_is_nothing() -> None:
    script = serving()
    script.say(Reject(0, 1, 2), Reject(99, 0, BLOCK))
    answer(script, *asked(script))
    assert script.leech.data == DATA


# Time


def lasts(script: Script, now: float) -> None:
    """The clock is looked at, and the source is still good."""
    script.leech.fetch.check(now)
    script.listen()


def test_no_answer_at_all_is_a_stall() -> None:
    leech = Leech(INFO.info_hash, stall=STALL)
    leech.fetch.check(STALL - 0.1)
    with pytest.raises(SourceError, match="stalled: no answer for 15 s"):
        leech.fetch.check(STALL)


def test_never_unchoking_is_a_stall() -> None:
    leech = Leech(INFO.info_hash, info=INFO, stall=STALL)
    script = Script(leech, INFO)
    script.say(HaveAll())
    lasts(script, STALL - 0.1)
    with pytest.raises(SourceError, match="stalled: not served for 15 s"):
        for second in range(15, 200):
            leech.fetch.check(float(second))


def test_keep_alives_alone_do_not_hide_a_stall() -> None:
    script = serving()
    lasts(script, 1.0)
    with pytest.raises(SourceError, match="stalled"):
        for second in range(2, 1_000):
            script.now = float(second)
            script.say(KeepAlive())
            lasts(script, float(second))


def test_an_info_dictionary_that_never_comes_is_a_stall() -> None:
    script = wanting(INFO)
    lasts(script, 1.0)
    with pytest.raises(SourceError, match="stalled"):
        for second in range(2, 100):
            lasts(script, float(second))


def test_silence_in_the_middle_of_a_block_is_a_stall() -> None:
    script = serving()
    first = asked(script)[0]
    script.now = 10.0
    script.raw((9 + first.length).to_bytes(4, "big") + b"\x07" + bytes(8) + b"half of it")
    lasts(script, 10.0)
    lasts(script, 24.9)
    with pytest.raises(SourceError, match="stalled: no data for 15 s"):
        lasts(script, 25.0)


def test_a_trickle_of_a_large_block_is_data() -> None:
    script = serving(block=128 * 1024)
    first = asked(script)[0]
    script.raw((9 + first.length).to_bytes(4, "big") + b"\x07" + first.piece.to_bytes(4, "big") + bytes(4))
    for second in range(0, 100, 10):
        script.now = float(second)
        script.raw(DATA[second : second + 1])
        lasts(script, float(second))


def test_our_own_slow_disk_is_not_the_sources_fault() -> None:
    leech = Leech(INFO.info_hash, stall=STALL, opens=False)
    script = Script(leech, INFO)
    script.say(HaveAll())
    script.offer()
    script.give_info(0, INFO.raw)
    script.say(Unchoke())
    for second in range(0, 300, 10):
        lasts(script, float(second))
    leech.open(INFO, 300.0)
    script.listen()
    answer(script, *asked(script))
    assert leech.data == DATA


def test_a_source_that_waits_for_us_is_not_stalled() -> None:
    script = serving()
    answer(script, *asked(script))
    assert script.leech.fetch.idle
    for second in range(0, 300, 10):
        lasts(script, float(second))


def test_keep_alives_are_sent_while_we_have_nothing_to_say() -> None:
    script = serving()
    answer(script, *asked(script))
    for second in range(301):
        lasts(script, float(second))
    assert len(script.of(KeepAlive)) == 300 // int(KEEPALIVE_INTERVAL)


def test_a_crawl_is_noticed_and_a_pause_of_ours_is_not_one() -> None:
    script = serving()
    fetch = script.leech.fetch
    requests = asked(script)
    assert fetch.slow_rate(1_000.0, 0.0) is None
    script.raw(b"")
    assert fetch.slow_rate(1_000.0, SLOW_WINDOW) == 0.0
    answer(script, requests[0])
    assert fetch.slow_rate(1_000.0, 2 * SLOW_WINDOW) is None
    answer(script, *requests[1:])
    for second in range(10, 30):
        assert fetch.slow_rate(1_000.0, float(second)) is None


@pytest.mark.parametrize("at", ["greeting", "choked", "asking-for-info", "fetching", "idle"])
def test_the_next_look_at_the_clock_is_never_in_the_past(at: str) -> None:
    """A loop that sleeps until then must not spin."""
    if at == "greeting":
        leech = Leech(INFO.info_hash)
    elif at == "choked":
        script = Script(leech := Leech(INFO.info_hash, info=INFO), INFO)
        script.say(HaveAll())
    elif at == "asking-for-info":
        leech = wanting(INFO).leech
    else:
        script = serving()
        leech = script.leech
        if at == "idle":
            answer(script, *asked(script))
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


# Against a real uploader


def test_large_blocks_are_agreed_on_between_our_own(tmp_path: Path) -> None:
    data = content(1 << 20)
    store = make_store(tmp_path / "a", data, 256 * 1024)
    leech, seed = Leech(store.info.info_hash), Seed(store)
    converse(leech, seed)
    store.close()
    assert leech.data == data
    assert seed.upload.sent_blocks == 4
