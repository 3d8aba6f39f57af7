"""Hostile input: forged connection ids, garbage, floods."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.tracker.world import HASH, SIZE, TIMEOUT, Client, World, error_of, seeds
from torrentnet.tracker.core import ID_REFUSED, MAX_EXPIRED_PER_TURN
from torrentnet.tracker.refusals import RefusalReason
from torrentnet.tracker.settings import TrackerSettings
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp import packets as udp
from torrentnet.wire.udp.packets import Action, AnnounceEvent

ACTIONS = [int(action) for action in Action]
SOURCE = ("10.0.0.1", 40_000)


def state(world: World) -> tuple[int, int, int]:
    return len(world.core.registry), len(world.core.requests), len(world.records)


def every_request(client: Client) -> dict[str, bytes]:
    connection, tid = client.head()
    return {
        "announce": client.packet(AnnounceEvent.STARTED),
        "scrape": udp.pack_scrape(connection, tid, (HASH, HASH)),
        "lookup": client.lookup_packet(),
        "outcome": client.outcome_packet(1),
    }


def wrong_ids(world: World, client: Client) -> dict[str, int]:
    good = client.connect()
    stranger = Client(world, "stranger", ip="10.9.9.9").connect()
    return {
        "zero": 0,
        "protocol id": udp.PROTOCOL_ID,
        "another address's": stranger,
        "from the future": good + (10 << 32),
        "mac flipped": good ^ 1,
        "time flipped": good ^ (1 << 32),
    }


@pytest.mark.parametrize("kind", ["announce", "scrape", "lookup", "outcome"])
@pytest.mark.parametrize(
    "wrong", ["zero", "protocol id", "another address's", "from the future", "mac flipped", "time flipped"]
)
def test_wrong_connection_id_gets_a_short_error(kind: str, wrong: str, world: World) -> None:
    client = Client(world, "peer-1")
    connection = wrong_ids(world, client)[wrong]
    before = state(world)
    packet = connection.to_bytes(8, "big") + every_request(client)[kind][8:]
    answer = world.send(packet, SOURCE)
    assert answer is not None
    assert error_of(answer) == "connection id refused: connect again" == ID_REFUSED
    assert len(answer) <= len(packet)
    assert state(world) == before


def test_error_longer_than_the_request_is_not_sent(world: World) -> None:
    for size in range(16, 100):
        answer = world.send(struct.pack(">QII", 1, 1, 7).ljust(size, b"\0"), SOURCE)
        assert (answer is None) == (size < 8 + len(ID_REFUSED))


def test_connection_id_is_valid_for_two_minutes(world: World) -> None:
    client = Client(world, "peer-1")
    client.connect()
    world.now += 119
    assert client.announce(AnnounceEvent.STARTED).seeders == 1
    world.now += 3
    assert error_of(world.send(client.packet(), client.source)) == ID_REFUSED


@pytest.mark.parametrize("size", range(98))
def test_cut_announce_changes_nothing(size: int, world: World) -> None:
    client = Client(world, "peer-1")
    packet = client.packet(AnnounceEvent.STARTED)[:size]
    before = state(world)
    answer = world.send(packet, client.source)
    assert (answer is None) == (size < 16)
    assert state(world) == before
    assert world.core.refusals.counts[RefusalReason.SHORT if size < 16 else RefusalReason.MALFORMED] == 1


@pytest.mark.parametrize("padding", [0, 1, 100, 1400])
def test_connect_is_answered_with_sixteen_bytes(padding: int) -> None:
    answer = World().send(udp.pack_connect(5) + bytes(padding), SOURCE)
    assert answer is not None
    assert len(answer) == 16


def test_connect_with_another_magic_gets_no_answer(world: World) -> None:
    assert world.send(struct.pack(">QII", 0x41727101981, 0, 1), SOURCE) is None


@pytest.mark.parametrize(
    ("patch", "at", "message"),
    [
        (struct.pack(">I", 5), 80, "unknown event 5"),
        (struct.pack(">H", 0), 96, "port 0 cannot be connected to"),
        (struct.pack(">I", 77), 8, "unknown action 77"),
        (b"\x02\xff", 98, "announce option runs past the end of the packet"),
    ],
)
def test_error_explains_a_malformed_announce(patch: bytes, at: int, message: str, world: World) -> None:
    client = Client(world, "peer-1", extended=False)
    packet = bytearray(client.packet(AnnounceEvent.STARTED))
    packet[at : at + len(patch)] = patch
    answer = world.send(bytes(packet), client.source)
    assert error_of(answer) == message
    assert state(world) == (0, 0, 0)


@pytest.mark.parametrize("tail", [b"\0\0", b"\x01\x01", b"\x77\x03abc", b"\x00\x02\xff", b"\x02\x00"])
def test_options_allowed_by_the_standard_are_accepted(tail: bytes, world: World) -> None:
    client = Client(world, "peer-1", extended=False)
    assert client.announce(AnnounceEvent.STARTED, options=tail).seeders == 1


@pytest.mark.parametrize(("tail", "message"), [(0, "one or more"), (19, "20 bytes"), (75 * 20, "at most 74")])
def test_error_explains_a_malformed_scrape(tail: int, message: str, world: World) -> None:
    client = Client(world, "peer-1")
    connection, tid = client.head()
    answer = world.send(udp.pack_scrape(connection, tid, ()) + bytes(tail), client.source)
    assert message in error_of(answer)


@pytest.mark.parametrize("name", ["../up", "a/b", "nul\0", "..", "", "line\nfeed"])
def test_invalid_names_are_refused(name: str, world: World) -> None:
    client = Client(world, "peer-1")
    for packet in (client.packet(AnnounceEvent.STARTED, name=name), client.lookup_packet(name)):
        answer = world.send(packet, client.source)
        assert error_of(answer).startswith("file name ")
    assert state(world) == (0, 0, 0)


@pytest.fixture(scope="module")
def busy_world() -> World:
    """A tracker with a large reply, for tests that change nothing of it."""
    world = World()
    seeds(world, 60)
    return world


@given(data=st.binary(max_size=200), action=st.sampled_from([None, *ACTIONS]))
@settings(max_examples=400)
def test_garbage_without_a_valid_id_changes_nothing(busy_world: World, data: bytes, action: int | None) -> None:
    world = busy_world
    packet = data if action is None else data[:8] + action.to_bytes(4, "big") + data[8:]
    before = state(world)
    answer = world.send(packet, SOURCE)
    assert answer is None or len(answer) <= len(packet)
    assert state(world) == before


@given(data=st.binary(max_size=1500), action=st.sampled_from([*ACTIONS, 9]))
@settings(max_examples=600)
def test_garbage_with_a_valid_id_never_raises(data: bytes, action: int) -> None:
    world = World()
    client = Client(world, "peer-1")
    head = struct.pack(">QII", client.connect(), action, 1)
    answer = world.send(head + data, client.source)
    assert answer is None or len(answer) <= udp.MAX_DATAGRAM
    world.pass_time(10_000)
    assert len(world.core.requests) == 0


@given(
    kind=st.sampled_from(["announce", "scrape", "lookup", "outcome"]),
    flips=st.lists(st.tuples(st.integers(8, 120), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 200),
)
@settings(max_examples=600)
def test_damaged_requests_never_raise(kind: str, flips: list[tuple[int, int]], cut: int) -> None:
    world = World()
    seeds(world, 2)
    client = Client(world, "peer-1")
    client.announce(AnnounceEvent.STARTED, left=5)
    client.possess(PieceSet(32, [1]))
    packet = bytearray(every_request(client)[kind])
    for at, value in flips:
        packet[at % len(packet)] = value
    world.send(bytes(packet[: max(16, len(packet) - cut)]), client.source)
    world.pass_time(10_000)
    assert len(world.core.registry) == 0


def test_answer_without_a_valid_id_is_not_longer_than_request(world: World) -> None:
    seeds(world, 250)
    chance = random.Random(3)
    for _ in range(3_000):
        packet = bytearray(chance.randbytes(chance.randrange(0, 300)))
        if len(packet) >= 12 and chance.random() < 0.8:
            packet[8:12] = chance.choice(ACTIONS).to_bytes(4, "big")
        if len(packet) >= 8 and chance.random() < 0.3:
            packet[:8] = udp.PROTOCOL_ID.to_bytes(8, "big")
        answer = world.send(bytes(packet), ("10.3.3.3", 1))
        assert answer is None or len(answer) <= len(packet)


def test_flood_of_bad_packets_logs_few_lines(world: World) -> None:
    bad = struct.pack(">QII", 1, 1, 7).ljust(98, b"\0")
    for _ in range(10):
        for _ in range(1_000):
            world.send(bad, SOURCE)
        world.pass_time(1)
    assert len(world.logged("refused")) <= 20 + 5 * 10
    assert sum("left_out=" in line for line in world.logged("refused")) >= 9
    assert world.core.refusals.counts[RefusalReason.CONNECTION_ID] == 10_000


def test_flood_of_starts_and_stops_leaves_no_state(world: World) -> None:
    client = Client(world, "x", extended=False)
    for _ in range(3_000):
        client.announce(AnnounceEvent.STARTED)
        client.announce(AnnounceEvent.STOPPED)
    registry = world.core.registry
    assert (len(registry), len(registry.by_hash)) == (0, 0)
    world.pass_time(700)
    assert registry.next_deadline == float("inf")


def test_new_work_waits_while_the_journal_is_behind() -> None:
    world = World(settings=TrackerSettings(5.0, 15.0))
    seed = seeds(world, 1)[0]
    leecher, late = Client(world, "leecher-1"), Client(world, "late", ip="10.0.0.9")
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    number = leecher.lookup().request
    late.connect()
    world.behind = True
    packets = [late.packet(AnnounceEvent.STARTED), late.lookup_packet(), leecher.lookup_packet(request=number)]
    records = len(world.records)
    assert [world.send(packet, late.source) for packet in packets[:2]] == [None, None]
    assert world.send(packets[2], leecher.source) is None
    assert len(world.records) == records
    assert world.core.refusals.counts[RefusalReason.BEHIND] == 3
    # Registered peers are still served, and requests are still closed.
    assert seed.announce().seeders == 1
    assert leecher.announce(left=SIZE // 2).leechers == 1
    assert leecher.possess(PieceSet(32, [1])).held == 1
    assert leecher.outcome(number) == number
    world.behind = False
    answers = [world.send(packet, late.source) for packet in packets[:2]]
    assert [None if answer is None else answer[3] for answer in answers] == [Action.ANNOUNCE, Action.LOOKUP & 255]
    assert len(world.logged("request")) == 2


def test_expiry_waits_while_the_journal_is_behind(world: World) -> None:
    seeds(world, 1)
    world.behind = True
    world.pass_time(TIMEOUT + 1)
    assert world.logged("forgotten") == []
    world.behind = False
    world.pass_time(0.1)
    assert len(world.logged("forgotten")) == 1


def test_mass_expiry_does_not_delay_the_network(world: World) -> None:
    for number in range(MAX_EXPIRED_PER_TURN + 5):
        Client(world, f"peer-{number}", port=1024 + number).announce(AnnounceEvent.STARTED)
    world.now += TIMEOUT
    world.core.expire(world.now)
    assert len(world.core.registry) == 5
    assert world.core.next_deadline <= world.now
    world.core.expire(world.now)
    assert len(world.core.registry) == 0
