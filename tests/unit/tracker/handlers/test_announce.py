"""Announce, scrape and possession requests.

The tests cover membership, expiry, names, limits and the listed peers.
"""

from __future__ import annotations

import contextlib

import pytest

from tests.unit.tracker.world import (
    HASH,
    KEEPALIVE,
    OTHER_HASH,
    PIECE,
    SIZE,
    TIMEOUT,
    Client,
    TrackerError,
    World,
    seeds,
)
from torrentnet.tracker.settings import Limits, TrackerSettings
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.info import make_info
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.packets import AnnounceEvent, ScrapeCounts
from torrentnet.wire.udp.possession import pack_possession
from torrentnet.wire.udp.url_data import Publication, pack_publication


def test_started_without_anything_left_publishes_the_name(world: World) -> None:
    answer = Client(world, "seeder-1").announce(AnnounceEvent.STARTED)
    assert (answer.seeders, answer.leechers, answer.peers) == (1, 0, ())
    assert world.logged() == [
        f"published file=myfile.txt peer=seeder-1 address=10.0.0.1:6881 size=8388608 pieces=32 info_hash={HASH.hex()}"
    ]


def test_each_step_of_a_leecher_is_logged(world: World, leecher: Client) -> None:
    seeds(world, 1)
    assert leecher.announce(AnnounceEvent.STARTED, left=SIZE).peers == (Endpoint("10.0.1.1", 6881),)
    leecher.announce(left=SIZE // 2)
    answer = leecher.announce(AnnounceEvent.COMPLETED)
    assert (answer.seeders, answer.leechers) == (2, 0)
    leecher.announce(AnnounceEvent.STOPPED)
    assert world.logged()[1:] == [
        "joined file=myfile.txt peer=leecher-1 address=10.0.0.1:6881",
        "completed file=myfile.txt peer=leecher-1 address=10.0.0.1:6881",
        "left file=myfile.txt peer=leecher-1 address=10.0.0.1:6881",
    ]


def test_periodic_announces_write_nothing(world: World) -> None:
    seed = seeds(world, 1)[0]
    events, records = len(world.events), len(world.records)
    for _ in range(50):
        world.pass_time(KEEPALIVE)
        seed.announce()
    assert (len(world.events), len(world.records)) == (events, records)


@pytest.mark.parametrize("silence", [TIMEOUT - 0.001, TIMEOUT])
def test_peer_with_extension_expires_exactly_after_the_timeout(silence: float, world: World) -> None:
    seeds(world, 1)
    world.pass_time(silence)
    if silence < TIMEOUT:
        assert world.core.registry.by_name.get("myfile.txt") is not None
    else:
        assert world.logged("forgotten") == [
            "forgotten file=myfile.txt peer=seeder-1 address=10.0.1.1:6881 silent_ms=2000"
        ]
        assert world.core.registry.by_name.get("myfile.txt") is None
        assert world.core.next_deadline == float("inf")


def test_every_datagram_restarts_the_timeout(world: World) -> None:
    seed = seeds(world, 1)[0]
    world.pass_time(1.9)
    seed.announce()
    world.pass_time(1.9)
    seed.possess(PieceSet.full(32))
    world.pass_time(1.999)
    assert world.logged("forgotten") == []
    world.pass_time(0.001)
    assert len(world.logged("forgotten")) == 1


def test_standard_client_expires_after_ten_minutes(world: World) -> None:
    client = Client(world, "x", extended=False, peer_id=b"-LT2080-abcdefghijkl")
    client.announce(AnnounceEvent.STARTED)
    world.pass_time(599)
    assert world.logged("forgotten") == []
    world.pass_time(1)
    assert world.logged("forgotten") == [
        f"forgotten file={HASH.hex()} peer=libtorrent-2.0.8@10.0.0.1:6881 address=10.0.0.1:6881 silent_ms=600000"
    ]


def test_standard_client_expires_after_2_5_of_its_intervals(world: World) -> None:
    client = Client(world, "x", extended=False)
    client.announce(AnnounceEvent.STARTED)
    world.pass_time(400)
    client.connection = None
    client.announce()
    world.pass_time(999)
    assert world.logged("forgotten") == []
    world.pass_time(1)
    assert len(world.logged("forgotten")) == 1


@pytest.mark.parametrize("event", [AnnounceEvent.NONE, AnnounceEvent.COMPLETED])
def test_unknown_peer_with_extension_must_publish_again(event: AnnounceEvent, world: World) -> None:
    peer = Client(world, "seeder-1")
    with pytest.raises(TrackerError, match=r"^unknown peer: .*event started"):
        peer.announce(event)
    with pytest.raises(TrackerError, match=r"^unknown peer: "):
        peer.possess(PieceSet.full(32))
    assert world.records == []
    peer.announce(AnnounceEvent.STARTED)
    assert peer.announce(event).seeders == 1


def test_unknown_standard_client_may_join_with_any_event(world: World) -> None:
    Client(world, "x", extended=False, peer_id=b"A2-1-36-0-0123456789").announce(left=5)
    assert world.logged() == [f"joined file={HASH.hex()} peer=aria2-1.36.0@10.0.0.1:6881 address=10.0.0.1:6881"]


def test_stopped_of_an_unknown_peer_is_answered(world: World) -> None:
    for extended in (True, False):
        client = Client(world, "x", extended=extended)
        answer = world.send(client.packet(AnnounceEvent.STOPPED), client.source)
        assert answer is not None
        assert len(answer) == 20
    assert world.logged() == []
    assert world.records == []


def test_completed_twice_counts_once(world: World, leecher: Client) -> None:
    seeds(world, 1)
    leecher.announce(AnnounceEvent.STARTED, left=1)
    leecher.announce(AnnounceEvent.COMPLETED)
    leecher.announce(AnnounceEvent.COMPLETED)
    connection, tid = leecher.head()
    reply = leecher.ask(packets.pack_scrape(connection, tid, (HASH, OTHER_HASH)))
    assert packets.parse_scrape_reply(reply) == (ScrapeCounts(2, 1, 0), ScrapeCounts(0, 0, 0))
    assert len(world.logged("completed")) == 1


def test_scrape_registers_nobody(world: World) -> None:
    client = Client(world, "x")
    connection, tid = client.head()
    client.ask(packets.pack_scrape(connection, tid, (HASH,)))
    assert len(world.core.registry) == 0


def test_late_announce_does_not_make_a_seed_a_leecher(world: World, leecher: Client) -> None:
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    late = leecher.packet(left=SIZE // 2)
    leecher.announce(AnnounceEvent.COMPLETED)
    world.send(late, leecher.source)
    assert leecher.announce().seeders == 1


def test_late_possession_does_not_make_a_seed_a_leecher(world: World, leecher: Client) -> None:
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    leecher.announce(AnnounceEvent.COMPLETED)
    assert leecher.possess(PieceSet(32, [1, 2])).held == 32
    assert next(world.core.registry.members()).describe_pieces() == "all 32"


def test_standard_client_may_lose_pieces(world: World) -> None:
    client = Client(world, "x", extended=False)
    client.announce(AnnounceEvent.STARTED)
    answer = client.announce(left=10)
    assert (answer.seeders, answer.leechers) == (0, 1)


def test_late_started_does_not_register_a_peer_that_left(world: World) -> None:
    peer = Client(world, "seeder-1")
    started = peer.packet(AnnounceEvent.STARTED)
    world.send(started, peer.source)
    peer.announce(AnnounceEvent.STOPPED)
    assert world.send(started, peer.source) is not None
    assert len(world.core.registry) == 0
    assert [seen.event for seen in world.events] == ["published", "left"]


def test_restarted_peer_replaces_the_one_at_its_endpoint(world: World) -> None:
    seed = seeds(world, 1)[0]
    row = seed.lookup("other.txt").request
    restarted = Client(world, "seeder-1", ip=seed.ip, peer_id=b"-XT0100-another.peer")
    world.pass_time(0.5)
    with pytest.raises(TrackerError, match=r"^unknown peer:"):
        restarted.announce()
    assert len(world.core.registry) == 1
    restarted.announce(AnnounceEvent.STARTED)
    assert world.logged()[2:] == [
        (
            "refused what=announce address=10.0.1.1:40881 reason=unknown peer: this tracker does not know you;"
            " announce with the event started"
        ),
        "forgotten file=myfile.txt peer=seeder-1 address=10.0.1.1:6881 silent_ms=500",
        f"outcome id={row} peer=seeder-1 file=other.txt result=lost reason=the peer was restarted",
        f"published file=myfile.txt peer=seeder-1 address=10.0.1.1:6881 size=8388608 pieces=32 info_hash={HASH.hex()}",
    ]


def test_stopped_with_another_peer_id_removes_nobody(world: World) -> None:
    seed = seeds(world, 1)[0]
    Client(world, "x", ip=seed.ip, peer_id=b"-XT0100-another.peer").announce(AnnounceEvent.STOPPED)
    assert world.logged("left") == []


def test_other_content_with_a_taken_name_is_refused(world: World) -> None:
    seeds(world, 1)
    other = Client(world, "seeder-9", ip="10.0.0.9")
    with pytest.raises(TrackerError) as caught:
        other.announce(AnnounceEvent.STARTED, info_hash=OTHER_HASH)
    assert str(caught.value) == (
        "name taken: myfile.txt is another file here, held by seeder-1 (10.0.1.1:6881); share yours under another name"
    )
    assert len(world.core.registry) == 1
    assert world.logged("refused")[0].startswith("refused what=announce address=10.0.0.9:40881 reason=name taken: ")


@pytest.mark.parametrize(("extended", "left"), [(False, 0), (False, SIZE), (True, SIZE)])
def test_peer_is_admitted_without_a_name_that_is_taken(world: World, extended: bool, left: int) -> None:
    """The same file is shared as private and as public: one name, two info-hashes."""
    first = seeds(world, 1)[0]
    options = pack_publication(Publication("myfile.txt", SIZE, PIECE, "other", extended=extended))
    other = Client(world, "other", ip="10.0.0.9", extended=extended)
    other.announce(AnnounceEvent.STARTED, info_hash=OTHER_HASH, left=left, options=options)
    assert world.logged("refused")[0].startswith("refused what=name address=10.0.0.9:40881 reason=name taken: ")
    friend = Client(world, "friend", ip="10.0.0.8", extended=False)
    assert friend.announce(AnnounceEvent.STARTED, info_hash=OTHER_HASH, left=5).peers == (Endpoint("10.0.0.9", 6881),)
    assert friend.lookup().info_hash == HASH
    other.announce(info_hash=OTHER_HASH, left=left, options=options)
    assert len(world.logged("refused")) == 1
    # The name is free with its last holder, and the file has it at the next announce.
    first.announce(AnnounceEvent.STOPPED)
    other.announce(info_hash=OTHER_HASH, left=left, options=options)
    assert friend.lookup().info_hash == OTHER_HASH


GIVEN = make_info("given.txt", SIZE, PIECE, bytes(20) * 32)


def test_known_file_has_its_name_whoever_shares_it() -> None:
    """A standard client announces only the info-hash."""
    world = World(known_files=(GIVEN,))
    client = Client(world, "A2", ip="10.0.0.9", extended=False)
    client.announce(AnnounceEvent.STARTED, info_hash=GIVEN.info_hash, options=b"")
    assert world.logged("published")[0].startswith("published file=given.txt peer=")
    found = Client(world, "leecher").lookup("given.txt")
    assert (found.info_hash, found.size, found.piece_length) == (GIVEN.info_hash, SIZE, PIECE)
    assert [str(holder.endpoint) for holder in found.holders] == ["10.0.0.9:6881"]


def test_name_of_a_known_file_is_reserved() -> None:
    world = World(known_files=(GIVEN,))
    options = pack_publication(Publication("given.txt", SIZE, PIECE, "seeder-9", extended=True))
    with pytest.raises(TrackerError) as caught:
        Client(world, "seeder-9").announce(AnnounceEvent.STARTED, info_hash=OTHER_HASH, options=options)
    assert str(caught.value) == (
        "name taken: given.txt is another file here, whose .torrent the tracker was given;"
        " share yours under another name"
    )
    assert len(world.core.registry) == 0


def test_name_becomes_free_with_the_last_holder(world: World) -> None:
    first, second = seeds(world, 2)
    other = Client(world, "seeder-9", ip="10.0.0.9")
    first.announce(AnnounceEvent.STOPPED)
    with pytest.raises(TrackerError, match="held by seeder-2"):
        other.announce(AnnounceEvent.STARTED, info_hash=OTHER_HASH)
    second.announce(AnnounceEvent.STOPPED)
    other.announce(AnnounceEvent.STARTED, info_hash=OTHER_HASH)
    assert Client(world, "x").lookup().info_hash == OTHER_HASH


def test_info_hash_keeps_its_first_name(world: World) -> None:
    seeds(world, 1)
    Client(world, "seeder-2", ip="10.0.0.2").announce(AnnounceEvent.STARTED, name="second.txt")
    requester = Client(world, "x", ip="10.0.0.9")
    assert requester.lookup().complete == 2
    assert not requester.lookup("second.txt").found


def test_name_and_size_may_be_published_later(world: World) -> None:
    Client(world, "x", extended=False).announce(AnnounceEvent.STARTED)
    seeds(world, 1)
    found = Client(world, "y", ip="10.0.0.9").lookup()
    assert (found.size, found.piece_length, found.complete) == (SIZE, 256 * 1024, 2)


def test_libtorrent_seed_publishes_by_its_announce_url(world: World) -> None:
    client = Client(world, "x", extended=False, peer_id=b"-LT2080-abcdefghijkl")
    client.announce(AnnounceEvent.STARTED, options=b"\x02\x17/announce?name=seed.bin")
    found = Client(world, "y", ip="10.0.0.9").lookup("seed.bin")
    assert (found.found, found.size, found.piece_length) == (True, 0, 0)
    assert found.holders[0].name == "libtorrent-2.0.8@10.0.0.1:6881"


@pytest.mark.parametrize(("keepalive", "interval"), [(0.5, 5), (1.0, 5), (2.0, 5), (5.0, 5), (5.1, 6), (30.0, 30)])
def test_interval_is_whole_seconds_and_at_least_five(keepalive: float, interval: int) -> None:
    world = World(settings=TrackerSettings(keepalive, keepalive * 3))
    assert Client(world, "x").announce(AnnounceEvent.STARTED).interval == interval


@pytest.mark.parametrize(("want", "listed"), [(-1, 50), (-(2**31), 50), (0, 0), (7, 7), (200, 200), (2**31 - 1, 200)])
def test_wanted_number_of_peers_is_limited(want: int, listed: int, world: World) -> None:
    seeds(world, 250)
    requester = Client(world, "x", ip="10.0.0.9")
    requester.announce(AnnounceEvent.STARTED, left=1, want=0)
    for _ in range(20):
        peers = requester.announce(left=1, want=want).peers
        assert len(peers) == listed
        assert len(set(peers)) == listed
        assert Endpoint("10.0.0.9", 6881) not in peers


def test_small_swarm_is_listed_without_the_requester(world: World) -> None:
    clients = seeds(world, 12)
    for seed in clients:
        assert {peer.ip for peer in seed.announce().peers} == {other.ip for other in clients if other is not seed}
    for seed in clients[::2]:
        seed.announce(AnnounceEvent.STOPPED)
    for seed in clients[1::2]:
        assert {peer.ip for peer in seed.announce().peers} == {other.ip for other in clients[1::2] if other is not seed}


def test_every_member_is_listed_in_turn(world: World) -> None:
    clients = seeds(world, 40)
    found = {peer.ip for _ in range(200) for peer in clients[0].announce(want=3).peers}
    assert len(found) == 39


def test_address_field_is_ignored(world: World) -> None:
    peer = Client(world, "seeder-1")
    packet = bytearray(peer.packet(AnnounceEvent.STARTED))
    packet[84:88] = b"\x08\x08\x08\x08"
    world.send(bytes(packet), peer.source)
    assert world.core.registry.find(HASH, "10.0.0.1", 6881) is not None


def test_possession_is_logged_when_it_changes(world: World, leecher: Client) -> None:
    seeds(world, 1)
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    answer = leecher.possess(PieceSet(32, [0, 1, 2, 3, 4, 9]))
    assert (answer.keepalive_ms, answer.timeout_ms, answer.held) == (500, 2000, 6)
    assert list(world.core.registry.members())[1].describe_pieces() == "0-4, 9 (6 of 32)"
    records = len(world.records)
    leecher.possess(PieceSet(32, [0, 1, 2, 3, 4, 9]))
    assert len(world.records) == records


def test_windows_of_possession_fill_one_set(world: World, leecher: Client) -> None:
    pieces = 25_000
    leecher.announce(
        AnnounceEvent.STARTED,
        left=1,
        options=pack_publication(Publication("big", pieces * 16384, 16384, "leecher-1", extended=True)),
    )
    held = PieceSet(pieces, [*range(0, 24_000, 7)])
    assert leecher.possess(held).held == len(held)
    assert next(world.core.registry.members()).pieces == held


def test_possession_with_another_piece_count_is_refused(leecher: Client) -> None:
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    with pytest.raises(TrackerError, match=r"possession: 33 pieces where myfile\.txt has 32"):
        leecher.possess(PieceSet(33, [1]))


def test_empty_file_is_published_as_complete(world: World) -> None:
    peer = Client(world, "seeder-1")
    peer.announce(
        AnnounceEvent.STARTED, options=pack_publication(Publication("empty", 0, 262144, "seeder-1", extended=True))
    )
    assert peer.possess(PieceSet(0)).held == 0
    assert next(world.core.registry.members()).describe_pieces() == "all 0"


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(holders=2), "the tracker is full: 2 peers are registered, which is the maximum"),
        (
            Limits(holders_per_ip=2),
            "the tracker is full: 2 peers are registered from 10.0.0.1, which is the maximum for one address",
        ),
        (
            Limits(holders_per_swarm=2),
            "the tracker is full: 2 peers have joined myfile.txt, which is the maximum for one file",
        ),
    ],
)
def test_too_many_peers_are_refused(limits: Limits, message: str) -> None:
    world = World(limits=limits)
    for port in (1, 2):
        Client(world, f"p{port}", port=port).announce(AnnounceEvent.STARTED)
    with pytest.raises(TrackerError) as caught:
        Client(world, "p3", port=3).announce(AnnounceEvent.STARTED)
    assert str(caught.value) == message
    Client(world, "p1", port=1).announce(AnnounceEvent.STOPPED)
    Client(world, "p3", port=3).announce(AnnounceEvent.STARTED)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(swarms=2), "the tracker is full: 2 files are registered, which is the maximum"),
        (
            Limits(swarms_per_ip=2),
            "the tracker is full: 2 files are registered from 10.0.0.1, which is the maximum for one address",
        ),
    ],
)
def test_too_many_files_are_refused(limits: Limits, message: str) -> None:
    world = World(limits=limits)
    client = Client(world, "p")
    for number in (1, 2):
        client.announce(AnnounceEvent.STARTED, info_hash=bytes([number]) * 20, name=f"file-{number}")
    with pytest.raises(TrackerError) as caught:
        client.announce(AnnounceEvent.STARTED, info_hash=bytes([3]) * 20, name="file-3")
    assert str(caught.value) == message
    client.announce(AnnounceEvent.STOPPED, info_hash=bytes([1]) * 20)
    client.announce(AnnounceEvent.STARTED, info_hash=bytes([3]) * 20, name="file-3")


def test_memory_for_bitfields_is_limited() -> None:
    world = World(limits=Limits(piece_bytes=4))
    leecher = Client(world, "leecher-1")
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    leecher.possess(PieceSet(32, [1]))
    second = Client(world, "leecher-2", ip="10.0.0.2")
    second.announce(AnnounceEvent.STARTED, left=SIZE)
    with pytest.raises(TrackerError, match="the tracker is full: no memory left for possession reports"):
        second.possess(PieceSet(32, [1]))
    leecher.announce(AnnounceEvent.STOPPED, left=1)
    second.possess(PieceSet(32, [1]))


def test_one_address_leaves_memory_for_bitfields_to_others() -> None:
    world = World(limits=Limits(piece_bytes=64, piece_bytes_per_ip=8))
    reported = 0
    for port in range(1, 30):
        crowd = Client(world, f"crowd-{port}", port=port)
        crowd.announce(AnnounceEvent.STARTED, left=SIZE)
        with contextlib.suppress(TrackerError):
            crowd.possess(PieceSet(32, [1]))
            reported += 1
    assert reported == 8  # half of the bytes
    honest = Client(world, "leecher-1", ip="10.0.0.9")
    honest.announce(AnnounceEvent.STARTED, left=SIZE)
    assert honest.possess(PieceSet(32, [1])).held == 1


def test_piece_length_of_one_peer_does_not_meet_the_size_of_another(world: World) -> None:
    """Each of the two announces is sound; together they are a file of 2**62 pieces."""

    for port, size, piece in ((1, 1 << 62, None), (2, None, 1), (3, SIZE, PIECE)):
        options = pack_publication(Publication("f", size, piece, f"peer-{port}"))
        Client(world, "x", port=port, extended=False).announce(AnnounceEvent.STARTED, options=options)
    found = Client(world, "leecher", ip="10.0.0.2").lookup("f")
    assert (found.size, found.piece_length) == (1 << 62, 0)


def test_piece_length_with_the_known_size_counts(world: World) -> None:
    Client(world, "a", port=1).announce(
        AnnounceEvent.STARTED, options=pack_publication(Publication("f", size=SIZE, peer="a"))
    )
    Client(world, "b", port=2).announce(AnnounceEvent.STARTED, name="f")
    found = Client(world, "leecher", ip="10.0.0.2").lookup("f")
    assert (found.size, found.piece_length) == (SIZE, PIECE)


def test_reports_that_contradict_a_size_learned_later_are_dropped(world: World, leecher: Client) -> None:
    leecher.announce(AnnounceEvent.STARTED, left=SIZE, options=b"")
    leecher.possess(PieceSet(1 << 20, [7]))
    Client(world, "seeder-1", ip="10.0.1.1").announce(AnnounceEvent.STARTED)
    assert world.core.registry.table.pieces == {}
    assert leecher.possess(PieceSet(32, [7])).held == 1


def test_absurd_number_of_pieces_is_refused(world: World) -> None:
    options = pack_publication(Publication("x", 1 << 60, 16384, "p", extended=True))
    with pytest.raises(TrackerError, match="pieces, at most 1048576"):
        Client(world, "p").announce(AnnounceEvent.STARTED, options=options)
    assert len(world.core.registry) == 0


def test_retransmitted_possession_gets_the_same_answer(world: World, leecher: Client) -> None:
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    connection, tid = leecher.head()
    packet = pack_possession(connection, tid, leecher.port, HASH, leecher.peer_id, PieceSet(32, [3]), 0, 32)
    first = world.send(packet, leecher.source)
    leecher.possess(PieceSet(32, [3, 4]))
    assert world.send(packet, leecher.source) == first
    assert next(world.core.registry.members()).describe_pieces() == "3-4 (2 of 32)"
