"""The packets of BEP 15, as specified and as real clients send them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.wire.endpoint import Endpoint, pack_endpoint
from torrentnet.wire.errors import PacketError
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.packets import Action, AnnounceEvent, AnnounceRequest, ScrapeCounts
from torrentnet.wire.udp.url_data import Publication, parse_publication

u16, u32, u64 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
i32 = st.integers(-(2**31), 2**31 - 1)
hashes = st.binary(min_size=20, max_size=20)
endpoints = st.builds(Endpoint, st.ip_addresses(v=4).map(str), st.integers(1, 65535))
announces = st.builds(
    AnnounceRequest,
    connection_id=u64,
    transaction_id=u32,
    info_hash=hashes,
    peer_id=hashes,
    downloaded=u64,
    left=u64,
    uploaded=u64,
    event=st.sampled_from(AnnounceEvent),
    ip=u32,
    key=u32,
    want=i32,
    port=st.integers(1, 65535),
    options=st.binary(max_size=40),
)


def _announce(**changed: int) -> bytes:
    """An announce packed by hand, after the table in BEP 15."""
    values = {"left": 0, "event": 2, "ip": 0, "want": -1, "port": 6881, **changed}
    packet = struct.pack(">QII", 0x0001002A7772A55F, 1, 7) + b"H" * 20 + b"-TR3000-0123456789ab"
    packet += struct.pack(">QQQ", 10, values["left"], 20)
    packet += struct.pack(">III", values["event"], values["ip"], 0xABCDEF01)
    return packet + struct.pack(">iH", values["want"], values["port"])


def test_the_98_bytes_of_an_announce() -> None:
    packet = _announce(left=1 << 40, event=1, want=80)
    assert len(packet) == packets.ANNOUNCE_SIZE == 98
    announce = packets.parse_announce(packet)
    assert announce == AnnounceRequest(
        0x0001002A7772A55F, 7, b"H" * 20, b"-TR3000-0123456789ab", 10, 1 << 40, 20, 1, 0, 0xABCDEF01, 80, 6881
    )
    assert packets.pack_announce(announce) == packet


@given(announce=announces)
def test_announce_round_trip(announce: AnnounceRequest) -> None:
    assert packets.parse_announce(packets.pack_announce(announce)) == announce


def test_aria2_appends_two_zero_bytes() -> None:
    packet = _announce(want=50) + b"\0\0"
    assert len(packet) == 100
    announce = packets.parse_announce(packet)
    assert announce.port == 6881
    assert parse_publication(announce.options) == Publication()


def test_libtorrent_appends_the_trackers_url() -> None:
    announce = packets.parse_announce(_announce(want=200) + b"\x02\x17/announce?name=seed.bin")
    assert parse_publication(announce.options) == Publication(name="seed.bin")


def test_transmission_begins_with_a_stop_and_wants_nobody() -> None:
    announce = packets.parse_announce(_announce(event=3, want=0, left=5))
    assert (announce.event, announce.want, announce.options) == (AnnounceEvent.STOPPED, 0, b"")


@pytest.mark.parametrize("event", AnnounceEvent)
def test_every_announce_event_is_accepted(event: AnnounceEvent) -> None:
    assert packets.parse_announce(_announce(event=event)).event == event


def test_paused_counts_as_no_event() -> None:
    """libtorrent announces a partial seed with the event of BEP 21."""
    assert packets.parse_announce(_announce(event=4)).event == AnnounceEvent.NONE


@pytest.mark.parametrize("event", [5, 0x02000000, 0xFFFFFFFF])
def test_an_unknown_event_is_an_error(event: int) -> None:
    with pytest.raises(PacketError, match="unknown event") as refused:
        packets.parse_announce(_announce(event=event))
    assert refused.value.sendable


def test_port_0_is_an_error() -> None:
    with pytest.raises(PacketError, match="port 0") as refused:
        packets.parse_announce(_announce(port=0))
    assert refused.value.sendable


@pytest.mark.parametrize("want", [-1, 0, 2**31 - 1, -(2**31)])
def test_the_number_of_peers_wanted_is_signed(want: int) -> None:
    assert packets.parse_announce(_announce(want=want)).want == want


@pytest.mark.parametrize("size", [98, 99, 200])
def test_longer_packets_are_accepted(size: int) -> None:
    """BEP 15: never require an exact size."""
    assert len(packets.parse_announce(_announce().ljust(size, b"\0")).options) == size - 98


@pytest.mark.parametrize("size", range(16))
def test_a_packet_too_short_for_a_request_gets_no_reply(size: int) -> None:
    with pytest.raises(PacketError) as refused:
        packets.parse_head(bytes(size))
    assert not refused.value.sendable


def test_connect() -> None:
    assert packets.pack_connect(0x12345678) == bytes.fromhex("0000041727101980 00000000 12345678")
    assert packets.parse_head(packets.pack_connect(9)) == (packets.PROTOCOL_ID, Action.CONNECT, 9)


def test_a_connect_reply_has_16_bytes_but_a_longer_one_parses() -> None:
    packet = packets.pack_connect_reply(9, 2**64 - 1)
    assert len(packet) == 16
    assert packets.parse_connect_reply(packets.parse_reply(packet)) == 2**64 - 1
    assert packets.parse_connect_reply(packets.parse_reply(packet + b"more")) == 2**64 - 1
    assert len(packet) <= len(packets.pack_connect(9))


@given(peers=st.lists(endpoints, max_size=20), interval=st.integers(3, 2**32 - 1), leechers=u32, seeders=u32)
def test_announce_reply_round_trip(peers: list[Endpoint], interval: int, leechers: int, seeders: int) -> None:
    compact = b"".join(map(pack_endpoint, peers))
    reply = packets.parse_reply(packets.pack_announce_reply(3, interval, leechers, seeders, compact))
    assert reply.action == Action.ANNOUNCE
    assert packets.parse_announce_reply(reply) == (3, interval, leechers, seeders, tuple(peers))


def test_the_longest_announce_reply_fits() -> None:
    packet = packets.pack_announce_reply(1, 5, 0, 0, pack_endpoint(Endpoint("10.0.0.1", 1)) * packets.MAX_PEERS)
    assert len(packet) == 1220
    assert len(packet) <= packets.MAX_DATAGRAM
    assert len(packets.parse_announce_reply(packets.parse_reply(packet)).peers) == packets.MAX_PEERS


@pytest.mark.parametrize("interval", [1, 2])
def test_an_interval_that_misleads_wireshark_is_never_packed(interval: int) -> None:
    with pytest.raises(ValueError, match="dissectors"):
        packets.pack_announce_reply(1, interval, 0, 0, b"")
    packets.pack_announce_reply(1, 3, 0, 0, b"")


def test_peers_without_a_port_are_left_out() -> None:
    compact = pack_endpoint(Endpoint("10.0.0.1", 0)) + pack_endpoint(Endpoint("10.0.0.2", 2))
    reply = packets.parse_reply(packets.pack_announce_reply(1, 5, 0, 2, compact))
    assert packets.parse_announce_reply(reply).peers == (Endpoint("10.0.0.2", 2),)


@pytest.mark.parametrize("tail", [0, 1, 19, 21, 39, 1481])
def test_a_scrape_names_whole_info_hashes(tail: int) -> None:
    with pytest.raises(PacketError, match="info-hashes of 20 bytes") as refused:
        packets.parse_scrape(packets.pack_scrape(1, 2, ()) + bytes(tail))
    assert refused.value.sendable


def test_scrape_limit() -> None:
    assert len(packets.pack_scrape(1, 2, (bytes(20),))) == 36
    assert len(packets.parse_scrape(packets.pack_scrape(1, 2, (bytes(20),) * packets.MAX_SCRAPE))) == 74
    with pytest.raises(PacketError, match="at most 74"):
        packets.parse_scrape(packets.pack_scrape(1, 2, (bytes(20),) * (packets.MAX_SCRAPE + 1)))


@given(swarms=st.lists(st.builds(ScrapeCounts, u32, u32, u32), max_size=packets.MAX_SCRAPE))
def test_scrape_reply_round_trip_and_size(swarms: list[ScrapeCounts]) -> None:
    packet = packets.pack_scrape_reply(5, tuple(swarms))
    assert len(packet) == 8 + 12 * len(swarms) <= packets.MAX_DATAGRAM
    assert packets.parse_scrape_reply(packets.parse_reply(packet)) == tuple(swarms)


def _error(message: str) -> str:
    packet = packets.pack_error(8, message)
    assert len(packet) <= packets.MAX_DATAGRAM
    reply = packets.parse_reply(packet)
    assert (reply.action, reply.transaction_id) == (Action.ERROR, 8)
    return packets.parse_error(reply)


def test_error_reply_round_trip() -> None:
    assert _error("name taken: Grüße.txt") == "name taken: Grüße.txt"
    assert _error("") == ""


def test_error_limit() -> None:
    assert _error("x" * 1464) == "x" * 1464
    assert _error("x" * 1465) == "x" * 1464
    # Cut between two characters, not through one.
    assert _error("x" + "ü" * 1464) == "x" + "ü" * 731
    assert len(packets.parse_error(packets.ReplyPacket(Action.ERROR, 1, b"x" * 60_000))) == 1464


def test_an_error_text_cannot_steer_a_terminal() -> None:
    assert _error("a\x1b[2Jb\nc\x9bd\u202ee") == "a?[2Jb?c?d?e"
    assert packets.parse_error(packets.ReplyPacket(Action.ERROR, 1, b"plain\0\0")) == "plain"
    assert packets.parse_error(packets.ReplyPacket(Action.ERROR, 1, b"caf\xe9")) == "caf\ufffd"


def test_a_message_with_a_name_from_a_broken_file_system_is_packed() -> None:
    assert _error("cannot read caf\udce9") == "cannot read caf?"


def test_own_actions_are_the_private_ones() -> None:
    assert [hex(action) for action in Action if action > 3] == ["0x544e0001", "0x544e0002", "0x544e0003"]
