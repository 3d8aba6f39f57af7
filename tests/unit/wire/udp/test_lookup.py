"""Look-ups and their replies: round trips, size limits, and checks of every field."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.unit.wire.samples import a_holder, a_lookup, a_lookup_reply, founds, lookups, pack_lookup_reply
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.errors import PacketError
from torrentnet.wire.names import MAX_FILE_NAME, MAX_PEER_NAME
from torrentnet.wire.udp.lookup import (
    LookupHolder,
    LookupReply,
    LookupRequest,
    pack_lookup,
    parse_lookup,
    parse_lookup_reply,
)
from torrentnet.wire.udp.packets import MAX_DATAGRAM, parse_reply


@given(lookup=lookups)
def test_lookup_round_trip(lookup: LookupRequest) -> None:
    packet = pack_lookup(lookup)
    assert len(packet) <= MAX_DATAGRAM
    assert parse_lookup(packet) == lookup
    assert parse_lookup(packet + b"what a later version adds") == lookup


@given(found=founds)
def test_lookup_reply_round_trip(found: LookupReply) -> None:
    packet = pack_lookup_reply(found)
    assert len(packet) <= MAX_DATAGRAM
    assert parse_lookup_reply(parse_reply(packet)) == found
    assert parse_lookup_reply(parse_reply(packet + b"more")) == found


@pytest.mark.parametrize(("name_size", "per_page"), [(1, 175), (9, 87), (MAX_PEER_NAME, 19)])
def test_a_long_list_comes_in_pages_that_fit(name_size: int, per_page: int) -> None:
    everybody = tuple(a_holder(number, f"{number:0{name_size}d}"[-name_size:]) for number in range(400))
    listed: list[LookupHolder] = []
    sizes: list[int] = []
    while len(listed) < len(everybody):
        page = a_lookup_reply()._replace(first=len(listed), complete=400, holders=everybody[len(listed) :])
        packet = pack_lookup_reply(page)
        assert len(packet) <= MAX_DATAGRAM
        parsed = parse_lookup_reply(parse_reply(packet))
        assert (parsed.first, parsed.complete) == (len(listed), 400)
        listed += parsed.holders
        sizes.append(len(parsed.holders))
    assert tuple(listed) == everybody
    assert set(sizes[:-1]) == {per_page}


def test_the_last_holder_that_fits_is_not_left_out() -> None:
    room = MAX_DATAGRAM - 68
    names = ["x" * 64] * 19
    names.append("y" * (room - 19 * 71 - 7))
    packet = pack_lookup_reply(a_lookup_reply(*(a_holder(number, name) for number, name in enumerate(names))))
    assert len(packet) == MAX_DATAGRAM
    assert len(parse_lookup_reply(parse_reply(packet)).holders) == 20
    names[-1] += "y"
    packet = pack_lookup_reply(a_lookup_reply(*(a_holder(number, name) for number, name in enumerate(names))))
    assert len(parse_lookup_reply(parse_reply(packet)).holders) == 19


def test_the_longest_names_fit() -> None:
    packet = pack_lookup(a_lookup(name="ü" * 127 + "x", peer="p" * MAX_PEER_NAME))
    assert len(packet) == 48 + MAX_FILE_NAME + MAX_PEER_NAME
    assert parse_lookup(packet).name == "ü" * 127 + "x"


@pytest.mark.parametrize("name", ["", "..", "../x", "a\0b", "a\nb"])
def test_a_bad_file_name_may_be_reported_to_its_sender(name: str) -> None:
    with pytest.raises(PacketError, match="file name") as refused:
        parse_lookup(pack_lookup(a_lookup(name=name)))
    assert refused.value.sendable


@pytest.mark.parametrize("peer", ["", "two words", "a/b", "p" * 65])
def test_a_bad_peer_name_is_refused(peer: str) -> None:
    with pytest.raises(PacketError, match="peer name") as refused:
        parse_lookup(pack_lookup(a_lookup(peer=peer)))
    assert refused.value.sendable


def test_a_lookup_needs_a_port() -> None:
    with pytest.raises(PacketError, match="port 0"):
        parse_lookup(pack_lookup(a_lookup(port=0)))


@pytest.mark.parametrize("at", [46, 47])
def test_a_name_that_runs_past_the_end_is_refused(at: int) -> None:
    packet = bytearray(pack_lookup(a_lookup()))
    packet[at] += 1
    with pytest.raises(PacketError, match="past the end"):
        parse_lookup(bytes(packet))


def test_names_of_holders_are_escaped() -> None:
    evil = Endpoint("10.0.0.1", 6881)
    found = parse_lookup_reply(
        parse_reply(pack_lookup_reply(a_lookup_reply(LookupHolder(evil, "\x1b[2J"), LookupHolder(evil, "a b"))))
    )
    assert [holder.name for holder in found.holders] == ["?", "?"]


def test_a_holder_needs_a_port() -> None:
    with pytest.raises(PacketError, match="no port"):
        parse_lookup_reply(parse_reply(pack_lookup_reply(a_lookup_reply(LookupHolder(Endpoint("10.0.0.1", 0), "x")))))


def test_a_count_is_compared_with_the_data() -> None:
    packet = bytearray(pack_lookup_reply(a_lookup_reply(a_holder(1, "x"))))
    packet[66:68] = b"\xff\xff"
    with pytest.raises(PacketError, match="past the end"):
        parse_lookup_reply(parse_reply(bytes(packet)))
