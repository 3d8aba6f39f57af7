"""Look-up, possession and outcome: they come back, they fit, and nothing in them is believed unchecked."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torrentnet.wire import extension, udp
from torrentnet.wire.errors import PacketError
from torrentnet.wire.extension import Found, Holder, Lookup, Outcome, Possessed, Result, Source
from torrentnet.wire.info import MAX_PIECES
from torrentnet.wire.names import MAX_FILE_NAME, MAX_PEER_NAME
from torrentnet.wire.pieces import MAX_WINDOW, PieceSet
from torrentnet.wire.udp import MAX_DATAGRAM, Endpoint, parse_reply

if TYPE_CHECKING:
    from collections.abc import Callable

HASH, PEER = b"H" * 20, b"-NL0100-abcdefghijkl"

u16, u32, u64 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
ports = st.integers(1, 65535)
hashes = st.binary(min_size=20, max_size=20)
words = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=16)
endpoints = st.builds(Endpoint, st.ip_addresses(v=4).map(str), ports)
holders = st.lists(st.builds(Holder, endpoints, words), max_size=15).map(tuple)
lookups = st.builds(Lookup, u64, u32, u16, u32, hashes, ports, words, words)
founds = st.builds(Found, u32, st.booleans(), u32, u32, u32, hashes, u64, u32, u32, u32, u16, holders)
sources = st.lists(st.builds(Source, endpoints, u32, words), max_size=8).map(tuple)
outcomes = st.builds(
    Outcome, u64, u32, st.sampled_from(Result), u16, hashes, hashes, u32, u64, u32, sources, words | st.just("")
)


def _lookup(**changed: object) -> Lookup:
    return Lookup(1 << 48, 7, 0, 0, PEER, 6881, "myfile.txt", "leecher-1")._replace(**changed)  # type: ignore[arg-type]


def _found(*who: Holder) -> Found:
    return Found(7, True, 1, 500, 2000, HASH, 8 << 20, 262144, len(who), 0, 0, who)


def _outcome(**changed: object) -> Outcome:
    outcome = Outcome(1 << 48, 7, Result.SUCCEEDED, 6881, HASH, PEER, 1, 8 << 20, 400, (), "")
    return outcome._replace(**changed)  # type: ignore[arg-type]


def _holder(number: int, name: str) -> Holder:
    return Holder(Endpoint(f"10.0.{number >> 8}.{number & 255}", 6881), name)


@settings(deadline=None)
@given(lookup=lookups)
def test_lookups_come_back(lookup: Lookup) -> None:
    packet = extension.pack_lookup(lookup)
    assert len(packet) <= MAX_DATAGRAM
    assert extension.parse_lookup(packet) == lookup
    assert extension.parse_lookup(packet + b"what a later version adds") == lookup


@settings(deadline=None)
@given(found=founds)
def test_lookup_answers_come_back(found: Found) -> None:
    packet = extension.pack_found(found)
    assert len(packet) <= MAX_DATAGRAM
    assert extension.parse_found(parse_reply(packet)) == found
    assert extension.parse_found(parse_reply(packet + b"more")) == found


@settings(deadline=None)
@given(outcome=outcomes)
def test_outcomes_come_back(outcome: Outcome) -> None:
    packet = extension.pack_outcome(outcome)
    assert len(packet) <= MAX_DATAGRAM
    assert extension.parse_outcome(packet) == outcome
    assert extension.parse_outcome(packet + b"more") == outcome


@given(possessed=st.builds(Possessed, u32, u32, u32, u32), request=u32)
def test_short_answers_come_back(possessed: Possessed, request: int) -> None:
    assert extension.parse_possessed(parse_reply(extension.pack_possessed(possessed))) == possessed
    noted = parse_reply(extension.pack_noted(9, request))
    assert (noted.transaction_id, extension.parse_noted(noted)) == (9, request)


@settings(deadline=None)
@given(found=founds, possessed=st.builds(Possessed, u32, u32, u32, u32), numbers=st.tuples(u32, u32))
def test_no_answer_can_be_taken_for_a_request(found: Found, possessed: Possessed, numbers: tuple[int, int]) -> None:
    """Wireshark reads the word at offset 8 before it knows the direction."""
    packets = [extension.pack_found(found), extension.pack_possessed(possessed), extension.pack_noted(*numbers)]
    for packet in packets:
        assert struct.unpack_from(">I", packet, 8)[0] not in {1, 2}
        assert packet[8] == extension.VERSION


def test_no_answer_to_an_address_that_proved_nothing_is_longer_than_its_request() -> None:
    connect = udp.pack_connected(1, 1 << 48)
    assert len(connect) <= len(udp.pack_connect(1))
    refusal = udp.pack_error(1, "connection id refused: connect again")
    requests = [
        udp.ANNOUNCE_SIZE,
        len(extension.pack_lookup(_lookup(name="a", peer="b"))),
        72,
        len(extension.pack_outcome(_outcome())),
    ]
    assert len(refusal) <= min(requests)


@pytest.mark.parametrize(("name_size", "per_page"), [(1, 175), (9, 87), (MAX_PEER_NAME, 19)])
def test_a_long_list_comes_in_pages_that_fit(name_size: int, per_page: int) -> None:
    everybody = tuple(_holder(number, f"{number:0{name_size}d}"[-name_size:]) for number in range(400))
    listed: list[Holder] = []
    sizes: list[int] = []
    while len(listed) < len(everybody):
        page = _found()._replace(first=len(listed), complete=400, holders=everybody[len(listed) :])
        packet = extension.pack_found(page)
        assert len(packet) <= MAX_DATAGRAM
        parsed = extension.parse_found(parse_reply(packet))
        assert (parsed.first, parsed.complete) == (len(listed), 400)
        listed += parsed.holders
        sizes.append(len(parsed.holders))
    assert tuple(listed) == everybody
    assert set(sizes[:-1]) == {per_page}


def test_the_last_holder_that_fits_is_not_left_out() -> None:
    room = MAX_DATAGRAM - 68
    names = ["x" * 64] * 19
    names.append("y" * (room - 19 * 71 - 7))
    packet = extension.pack_found(_found(*(_holder(number, name) for number, name in enumerate(names))))
    assert len(packet) == MAX_DATAGRAM
    assert len(extension.parse_found(parse_reply(packet)).holders) == 20
    names[-1] += "y"
    packet = extension.pack_found(_found(*(_holder(number, name) for number, name in enumerate(names))))
    assert len(extension.parse_found(parse_reply(packet)).holders) == 19


def test_the_longest_names_fit() -> None:
    packet = extension.pack_lookup(_lookup(name="ü" * 127 + "x", peer="p" * MAX_PEER_NAME))
    assert len(packet) == 48 + MAX_FILE_NAME + MAX_PEER_NAME
    assert extension.parse_lookup(packet).name == "ü" * 127 + "x"


@pytest.mark.parametrize("name", ["", "..", "../x", "a\0b", "a\nb"])
def test_a_bad_file_name_is_refused_and_the_sender_may_be_told(name: str) -> None:
    with pytest.raises(PacketError, match="file name") as refused:
        extension.parse_lookup(extension.pack_lookup(_lookup(name=name)))
    assert refused.value.sendable


@pytest.mark.parametrize("peer", ["", "two words", "a/b", "p" * 65])
def test_a_bad_peer_name_is_refused(peer: str) -> None:
    with pytest.raises(PacketError, match="peer name") as refused:
        extension.parse_lookup(extension.pack_lookup(_lookup(peer=peer)))
    assert refused.value.sendable


def test_a_lookup_needs_a_port() -> None:
    with pytest.raises(PacketError, match="port 0"):
        extension.parse_lookup(extension.pack_lookup(_lookup(port=0)))


@pytest.mark.parametrize("at", [46, 47])
def test_a_name_that_runs_past_the_end_is_refused(at: int) -> None:
    packet = bytearray(extension.pack_lookup(_lookup()))
    packet[at] += 1
    with pytest.raises(PacketError, match="past the end"):
        extension.parse_lookup(bytes(packet))


def _possession(**changed: int) -> bytes:
    values = {"pieces": 24, "first": 0, "count": 24, **changed}
    packet = bytearray(extension.pack_possession(1 << 48, 7, 6881, HASH, PEER, PieceSet(24, range(0, 24, 2)), 0, 24))
    struct.pack_into(">III", packet, 60, values["pieces"], values["first"], values["count"])
    return bytes(packet)


@pytest.mark.parametrize(
    "changed",
    [
        {"pieces": 23},
        {"first": 1},
        {"pieces": MAX_PIECES + 1},
        {"pieces": 2**32 - 1},
        {"first": 2**32 - 1, "pieces": MAX_PIECES},
        {"count": 2**32 - 1},
        {"count": MAX_WINDOW + 1, "pieces": MAX_PIECES},
    ],
)
def test_a_window_outside_the_file_is_refused(changed: dict[str, int]) -> None:
    with pytest.raises(PacketError, match="possession: window") as refused:
        extension.parse_possession(_possession(**changed))
    assert refused.value.sendable


def test_window_limits() -> None:
    packet = extension.pack_possession(
        1, 2, 3, HASH, PEER, PieceSet.full(MAX_PIECES), MAX_PIECES - MAX_WINDOW, MAX_WINDOW
    )
    assert extension.parse_possession(packet).window.is_full
    assert extension.parse_possession(_possession(pieces=MAX_PIECES)).pieces == MAX_PIECES


def test_a_report_of_an_empty_file() -> None:
    report = extension.parse_possession(extension.pack_possession(1, 2, 3, HASH, PEER, PieceSet(0), 0, 0))
    assert (report.pieces, report.first, report.window) == (0, 0, PieceSet(0))


def test_source_limit() -> None:
    source = Source(Endpoint("10.0.0.1", 6881), 5, "s" * MAX_PEER_NAME)
    packet = extension.pack_outcome(_outcome(sources=(source,) * 9, reason="r" * 300))
    assert len(packet) == 80 + 8 * (11 + MAX_PEER_NAME) + extension.MAX_REASON <= MAX_DATAGRAM
    outcome = extension.parse_outcome(packet)
    assert outcome.sources == (source,) * extension.MAX_SOURCES
    assert outcome.reason == "r" * extension.MAX_REASON
    many = bytearray(packet)
    many[76] = extension.MAX_SOURCES + 1
    with pytest.raises(PacketError, match="9 sources"):
        extension.parse_outcome(bytes(many))


def test_a_reason_is_cut_between_two_characters() -> None:
    outcome = extension.parse_outcome(extension.pack_outcome(_outcome(reason="x" + "ü" * 200)))
    assert outcome.reason == "x" + "ü" * 127
    outcome = extension.parse_outcome(extension.pack_outcome(_outcome(reason="caf\udce9")))
    assert outcome.reason == "caf?"


@pytest.mark.parametrize("result", [0, 3, 255])
def test_an_unknown_result_is_refused(result: int) -> None:
    packet = bytearray(extension.pack_outcome(_outcome()))
    packet[17] = result
    with pytest.raises(PacketError, match=f"result {result}") as refused:
        extension.parse_outcome(bytes(packet))
    assert refused.value.sendable


def test_a_download_of_more_than_49_days_still_has_an_outcome() -> None:
    assert extension.parse_outcome(extension.pack_outcome(_outcome(elapsed_ms=1 << 40))).elapsed_ms == 2**32 - 1


def test_texts_for_showing_are_made_harmless() -> None:
    evil = Endpoint("10.0.0.1", 6881)
    found = extension.parse_found(
        parse_reply(extension.pack_found(_found(Holder(evil, "\x1b[2J"), Holder(evil, "a b"))))
    )
    assert [holder.name for holder in found.holders] == ["?", "?"]
    outcome = _outcome(sources=(Source(evil, 1, "\x1b[2J"),), reason="a\x1b[2J\nb\u202ec")
    parsed = extension.parse_outcome(extension.pack_outcome(outcome))
    assert parsed.sources[0].name == "?"
    assert parsed.reason == "a?[2J?b?c"


def test_a_holder_needs_a_port() -> None:
    with pytest.raises(PacketError, match="no port"):
        extension.parse_found(parse_reply(extension.pack_found(_found(Holder(Endpoint("10.0.0.1", 0), "x")))))


def test_a_count_is_compared_with_what_is_there() -> None:
    packet = bytearray(extension.pack_found(_found(_holder(1, "x"))))
    packet[66:68] = b"\xff\xff"
    with pytest.raises(PacketError, match="past the end"):
        extension.parse_found(parse_reply(bytes(packet)))


@pytest.mark.parametrize("version", [0, 2, 255])
@pytest.mark.parametrize(
    ("packet", "at", "parse"),
    [
        (extension.pack_lookup(_lookup()), 16, extension.parse_lookup),
        (_possession(), 16, extension.parse_possession),
        (extension.pack_outcome(_outcome()), 16, extension.parse_outcome),
        (extension.pack_found(_found()), 8, lambda data: extension.parse_found(parse_reply(data))),
        (extension.pack_possessed(Possessed(1, 2, 3, 4)), 8, lambda data: extension.parse_possessed(parse_reply(data))),
        (extension.pack_noted(1, 2), 8, lambda data: extension.parse_noted(parse_reply(data))),
    ],
)
def test_another_version_is_refused(packet: bytes, at: int, parse: Callable[[bytes], object], version: int) -> None:
    parse(packet)
    changed = packet[:at] + bytes((version,)) + packet[at + 1 :]
    with pytest.raises(PacketError, match=f"version {version} "):
        parse(changed)


@pytest.mark.parametrize(
    ("packet", "size"),
    [
        (extension.pack_lookup(_lookup(name="a", peer="b")), 50),
        (extension.pack_found(_found()), 68),
        (extension.pack_possession(1, 2, 3, HASH, PEER, PieceSet(8), 0, 8), 72),
        (extension.pack_possessed(Possessed(1, 2, 3, 4)), 24),
        (extension.pack_outcome(_outcome()), 80),
        (extension.pack_noted(1, 2), 16),
    ],
)
def test_sizes(packet: bytes, size: int) -> None:
    assert len(packet) == size
