"""Look-up, outcome, and the one row that a request has in the log."""

from __future__ import annotations

import random

import pytest

from tests.unit.tracker.world import (
    HASH,
    KEEPALIVE,
    OTHER_HASH,
    SIZE,
    TIMEOUT,
    Client,
    FastWorld,
    TrackerError,
    World,
    seeds,
)
from torrentnet.tracker.journal.records import RequestOpened, RequestUpdated
from torrentnet.tracker.limits import Limits
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp import packets as udp
from torrentnet.wire.udp.lookup import parse_lookup_reply
from torrentnet.wire.udp.outcome import OutcomeResult, OutcomeSource
from torrentnet.wire.udp.packets import AnnounceEvent

SOURCE = OutcomeSource(Endpoint("10.0.1.2", 6881), 32, "seeder-2")


def rows(world: World) -> list[RequestOpened]:
    return [record for record in world.records if isinstance(record, RequestOpened)]


def test_lookup_tells_all_about_the_file_and_who_has_it() -> None:
    world = World()
    seeds(world, 3)
    Client(world, "leecher-9", ip="10.0.0.9").announce(AnnounceEvent.STARTED, left=SIZE)
    found = Client(world, "leecher-1").lookup()
    assert (found.found, found.request, found.info_hash, found.size, found.piece_length) == (
        True,
        1,
        HASH,
        SIZE,
        262144,
    )
    assert (found.keepalive_ms, found.timeout_ms, found.complete, found.incomplete) == (500, 2000, 3, 1)
    assert [(str(holder.endpoint), holder.name) for holder in found.holders] == [
        (f"10.0.1.{number}:6881", f"seeder-{number}") for number in (1, 2, 3)
    ]
    assert world.logged("request") == ["request id=1 peer=leecher-1 file=myfile.txt holders=3"]
    assert rows(world)[0].holders == ("seeder-1", "seeder-2", "seeder-3")


def test_name_that_nobody_holds_is_an_answer_and_a_row() -> None:
    world = World()
    found = Client(world, "leecher-1").lookup("nope.txt")
    assert (found.found, found.request, found.info_hash, found.size, found.holders) == (False, 1, bytes(20), 0, ())
    assert (found.keepalive_ms, found.timeout_ms) == (500, 2000)
    assert world.logged("request") == ["request id=1 peer=leecher-1 file=nope.txt holders=0"]


def test_asker_is_never_listed() -> None:
    world = World()
    clients = seeds(world, 3)
    own = clients[1].lookup()
    assert (own.complete, [holder.name for holder in own.holders]) == (2, ["seeder-1", "seeder-3"])
    elsewhere = Client(world, "x", ip="10.0.7.7", peer_id=clients[0].peer_id).lookup()
    assert (elsewhere.complete, [holder.name for holder in elsewhere.holders]) == (2, ["seeder-2", "seeder-3"])
    leecher = Client(world, "leecher-1")
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    assert leecher.lookup().incomplete == 0


def test_long_lists_come_in_pages_in_one_lasting_order() -> None:
    world = World()
    clients = [Client(world, f"a-seeder-with-a-long-name-{number}", port=1000 + number) for number in range(500)]
    for client in clients:
        client.announce(AnnounceEvent.STARTED)
    asker = Client(world, "leecher-1", ip="10.0.0.9")
    names: list[str] = []
    request = 0
    while True:
        page = asker.lookup(request=request, first=len(names))
        request = page.request
        assert (page.complete, page.first) == (500, len(names))
        if not page.holders:
            break
        names += [holder.name for holder in page.holders]
    assert names == [client.name for client in clients]
    assert len(rows(world)) == 1
    assert (rows(world)[0].holder_count, len(rows(world)[0].holders)) == (500, 100)


def test_own_open_number_goes_on_with_the_row() -> None:
    world = World()
    asker = Client(world, "leecher-1")
    number = asker.lookup().request
    assert asker.lookup(request=number).request == number
    assert len(rows(world)) == 1


def test_zero_begins_a_new_row_and_ends_the_abandoned_one() -> None:
    world = World()
    asker = Client(world, "leecher-1")
    assert [asker.lookup().request for _ in range(2)] == [1, 2]
    assert asker.lookup("other.txt").request == 3
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=failed bytes=0 ms=0 reason=requested again"
    ]
    asker.outcome(2)
    assert len(world.core.requests) == 1


@pytest.mark.parametrize("other", ["a stranger's", "for another file", "unknown"])
def test_number_that_is_not_the_askers_own_begins_a_new_row(other: str) -> None:
    world = World()
    asker = Client(world, "leecher-1")
    number = asker.lookup().request
    if other == "a stranger's":
        found = Client(world, "leecher-2", ip="10.0.0.2").lookup(request=number)
    elif other == "for another file":
        found = asker.lookup("other.txt", request=number)
    else:
        found = asker.lookup(request=77)
    assert found.request == 2


def test_row_takes_the_first_holders_it_finds_and_no_later_ones() -> None:
    world = World()
    asker = Client(world, "leecher-1", ip="10.0.0.9")
    number = asker.lookup().request
    seeds(world, 1)
    asker.lookup(request=number)
    seeds(world, 1, first=2)
    asker.lookup(request=number)
    assert [record for record in world.records if isinstance(record, RequestUpdated)] == [
        RequestUpdated(number, HASH, ("seeder-1",), 1)
    ]


def test_success_is_told_with_source_bytes_and_time() -> None:
    world = World()
    seeds(world, 2)
    asker = Client(world, "leecher-1")
    number = asker.lookup().request
    assert asker.outcome(number, sources=(SOURCE,)) == number
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=succeeded from=seeder-2 bytes=8388608 ms=120"
    ]


def test_failure_is_told_with_its_reason() -> None:
    world = World()
    asker = Client(world, "leecher-1")
    number = asker.lookup().request
    asker.outcome(number, OutcomeResult.FAILED, reason="no seed answered")
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=failed bytes=0 ms=120 reason=no seed answered"
    ]


def test_outcome_counts_once_whether_retransmitted_or_said_again() -> None:
    world = World()
    asker = Client(world, "leecher-1")
    number = asker.lookup().request
    packet = asker.outcome_packet(number)
    assert world.send(packet, asker.source) == world.send(packet, asker.source)
    asker.outcome(number, OutcomeResult.FAILED, reason="changed its mind")
    assert len(world.logged("outcome")) == 1


def test_outcome_of_an_unknown_request_is_answered() -> None:
    world = World()
    assert Client(world, "leecher-1").outcome(4711) == 4711
    assert world.records == []


@pytest.mark.parametrize("stranger", [{"ip": "10.0.0.2"}, {"peer_id": b"-XT0100-somebody.els"}])
def test_only_the_requester_may_close_its_request(stranger: dict[str, str]) -> None:
    world = World()
    asker = Client(world, "leecher-1")
    number = asker.lookup().request
    other = Client(world, "leecher-1", ip=stranger.get("ip", asker.ip))
    other.peer_id = asker.peer_id if "ip" in stranger else b"-XT0100-somebody.els"
    assert other.outcome(number) == number
    assert world.logged("outcome") == []
    assert world.logged("refused") == [
        f"refused what=outcome address={other.ip}:40881 reason=request 1 is another peer's"
    ]


def test_silent_requester_is_lost() -> None:
    world = World()
    Client(world, "leecher-1").lookup()
    world.pass_time(TIMEOUT - 0.001)
    assert world.logged("outcome") == []
    world.pass_time(0.001)
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=lost reason=the peer was silent for 2.0 s"
    ]
    assert world.core.next_deadline == float("inf")


@pytest.mark.parametrize("sign", ["lookup", "announce", "possession", "outcome"])
def test_every_kind_of_word_keeps_a_request_alive(sign: str) -> None:
    world = World()
    asker = Client(world, "leecher-1")
    number = asker.lookup().request
    asker.announce(AnnounceEvent.STARTED, left=SIZE)
    for _ in range(4):
        world.pass_time(TIMEOUT - 0.1)
        if sign == "lookup":
            asker.lookup(request=number)
        elif sign == "announce":
            asker.announce(AnnounceEvent.STARTED, left=SIZE)
        elif sign == "possession":
            try:
                asker.possess(PieceSet(32))
            except TrackerError:
                asker.announce(AnnounceEvent.STARTED, left=SIZE)
        else:
            asker.outcome(999)
    assert world.logged("outcome") == []


def test_goodbye_in_the_middle_closes_the_request_of_that_file() -> None:
    world = World()
    seeds(world, 1)
    asker = Client(world, "leecher-1")
    asker.lookup()
    asker.lookup("other.txt")
    asker.announce(AnnounceEvent.STARTED, left=SIZE)
    asker.announce(AnnounceEvent.STOPPED, left=SIZE)
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=failed bytes=0 ms=0 reason=peer left"
    ]


def test_goodbye_of_who_has_it_all_leaves_the_outcome_to_come() -> None:
    world = World()
    seeds(world, 1)
    asker = Client(world, "leecher-1")
    number = asker.lookup().request
    asker.announce(AnnounceEvent.STARTED, left=SIZE)
    asker.announce(AnnounceEvent.STOPPED, left=0)
    asker.outcome(number, sources=(SOURCE,))
    assert [line.split(" bytes")[0] for line in world.logged("outcome")] == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=succeeded from=seeder-2"
    ]


@pytest.mark.parametrize("end", ["lost", "peer left"])
def test_success_that_comes_after_being_given_up_replaces_it(end: str) -> None:
    world = World()
    seeds(world, 1)
    asker = Client(world, "leecher-1")
    number = asker.lookup().request
    if end == "lost":
        world.pass_time(TIMEOUT)
    else:
        asker.announce(AnnounceEvent.STOPPED, left=1)
    asker.outcome(number, OutcomeResult.FAILED, reason="late")
    assert len(world.logged("outcome")) == 1
    asker.outcome(number, sources=(SOURCE,))
    asker.outcome(number, sources=(SOURCE,))
    assert len(world.logged("outcome")) == 2
    assert "result=succeeded" in world.logged("outcome")[1]


def test_lookup_of_a_lost_request_opens_it_again() -> None:
    world = World()
    asker = Client(world, "leecher-1")
    number = asker.lookup().request
    world.pass_time(TIMEOUT * 3)
    assert asker.lookup(request=number).request == number
    world.pass_time(TIMEOUT - 0.1)
    assert len(world.logged("outcome")) == 1
    asker.outcome(number)
    assert len(rows(world)) == 1


def test_request_with_an_outcome_is_not_opened_again() -> None:
    world = World()
    asker = Client(world, "leecher-1")
    number = asker.lookup().request
    asker.outcome(number)
    assert asker.lookup(request=number).request == number + 1


def test_retransmitted_lookup_is_one_row_and_one_answer() -> None:
    world = World()
    seeds(world, 1)
    asker = Client(world, "leecher-1")
    packet = asker.lookup_packet()
    first = world.send(packet, asker.source)
    seeds(world, 1, first=2)
    assert world.send(packet, asker.source) == first
    assert len(rows(world)) == 1


def test_retransmission_under_a_newer_connection_id_is_the_same_request() -> None:
    world = World()
    asker = Client(world, "leecher-1")
    packet = asker.lookup_packet()
    first = world.send(packet, asker.source)
    world.pass_time(70)
    renewed = asker.connect().to_bytes(8, "big") + packet[8:]
    assert renewed != packet
    assert world.send(renewed, asker.source) == first
    assert len(rows(world)) == 1


@pytest.mark.parametrize("end", ["outcome", "lost"])
def test_late_repeat_of_a_lookup_under_a_number_that_is_closed_begins_and_opens_nothing(end: str) -> None:
    world = World()
    seeds(world, 1)
    asker, other = Client(world, "leecher-1"), Client(world, "leecher-2", ip="10.0.0.2")
    number = asker.lookup().request
    packets = [asker.lookup_packet(request=number) for _ in range(3)]
    answers = [world.send(packet, asker.source) for packet in packets]
    if end == "outcome":
        asker.outcome(number)
    else:
        world.pass_time(TIMEOUT)
        seeds(world, 1)
    assert [world.send(packet, asker.source) for packet in packets] == answers
    assert len(rows(world)) == 1
    assert len(world.core.requests) == 0
    other.lookup(request=number)
    assert len(rows(world)) == 2


def test_answers_are_kept_in_bounded_number() -> None:
    world = World(limits=Limits(answers=3))
    asker = Client(world, "leecher-1")
    packets = [asker.lookup_packet() for _ in range(4)]
    for packet in [*packets, packets[-1]]:
        world.send(packet, asker.source)
    assert len(rows(world)) == 4
    world.send(packets[0], asker.source)
    assert len(rows(world)) == 5


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(open_requests=2), "the tracker is full: 2 requests wait for their outcome"),
        (Limits(open_requests_per_ip=2), "the tracker is full: 2 requests from 10.0.0.1 wait for their outcome"),
    ],
)
def test_too_many_open_requests_are_refused(limits: Limits, message: str) -> None:
    world = World(limits=limits)
    asker = Client(world, "leecher-1")
    number = asker.lookup().request
    asker.lookup("other")
    with pytest.raises(TrackerError) as caught:
        asker.lookup("third")
    assert str(caught.value) == message
    asker.outcome(number)
    asker.lookup("third")


def test_running_request_of_a_forgotten_peer_ends_with_it() -> None:
    world = World()
    seeds(world, 1)
    asker = Client(world, "leecher-1")
    asker.lookup()
    asker.announce(AnnounceEvent.STARTED, left=SIZE)
    for _ in range(3):
        world.pass_time(KEEPALIVE)
        asker.announce(left=SIZE)
    world.pass_time(TIMEOUT)
    assert [line.split(" ", 1)[0] for line in world.logged()[-3:]] == ["forgotten", "forgotten", "outcome"]


def test_open_rows_of_an_earlier_life_have_the_timeout_to_be_heard_of() -> None:
    old = World()
    seeds(old, 1)
    asker, silent = Client(old, "leecher-1"), Client(old, "leecher-2", ip="10.0.0.2")
    number = asker.lookup().request
    silent.lookup()
    world = World(now=5000.0, first_request=3)
    world.core.restore(rows(old), world.now)
    asker.world, asker.connection = world, None
    world.pass_time(TIMEOUT - 0.5)
    assert asker.lookup(request=number).request == number
    world.pass_time(0.5)
    assert [line.split(" reason")[0] for line in world.logged("outcome")] == [
        "outcome id=2 peer=leecher-2 file=myfile.txt result=lost"
    ]
    asker.outcome(number)
    assert asker.lookup(request=0).request == 3


def test_lookup_whose_answer_died_with_the_tracker_is_still_one_row() -> None:
    old = World()
    asker = Client(old, "leecher-1")
    packet = asker.lookup_packet()
    old.send(packet, asker.source)
    world = World(now=5000.0, first_request=2)
    world.core.restore(rows(old), world.now)
    asker.world = world
    renewed = asker.connect().to_bytes(8, "big") + packet[8:]
    assert parse_lookup_reply(asker.ask(renewed)).request == 1
    assert rows(world) == []
    assert asker.lookup().request == 2


def test_numbers_of_a_tracker_without_memory_do_not_close_another_peers_row() -> None:
    world = World()
    Client(world, "leecher-2", ip="10.0.0.2").lookup()
    Client(world, "leecher-1").outcome(1)
    assert world.logged("outcome") == []


def test_lookup_finds_what_the_name_stands_for_now() -> None:
    world = World()
    seed = seeds(world, 1)[0]
    seed.announce(AnnounceEvent.STOPPED)
    assert not seed.lookup().found
    Client(world, "s", ip="10.0.0.3").announce(AnnounceEvent.STARTED, info_hash=OTHER_HASH)
    assert seed.lookup().info_hash == OTHER_HASH


STEPS = ("look", "look", "look", "page", "come", "seed", "done", "go", "end", "dup", "wait", "foreign", "stolen")


@pytest.mark.parametrize("seed", range(20))
def test_who_asks_again_is_told_what_is_true_now(seed: int) -> None:
    """The short way for the same question, the long one, and a tracker that has forgotten what it told are alike."""
    chance = random.Random(seed)
    script = [(chance.choice(STEPS), chance.randrange(3)) for _ in range(200)]
    short = FastWorld()
    answers = play(short, script)
    assert short.fast_answers
    assert answers == play(World(), script) == play(World(), script, forgetful=True)


def play(world: World, script: list[tuple[str, int]], *, forgetful: bool = False) -> list[object]:
    peers = [
        Client(world, f"peer-{number}", ip=f"10.0.0.{number % 2 + 1}", port=7000 + number, extended=number < 2)
        for number in range(3)
    ]
    numbers = [0] * 3
    sent: list[tuple[bytes, tuple[str, int]]] = []
    told: list[object] = []
    for peer in peers:
        peer.tid = 0  # the same in both worlds
    seeds(world, 1)
    for what, who in script:
        peer = peers[who]
        if forgetful:
            for number in range(1, 200):
                row = world.core.requests.by_number.get(number)
                if row is not None:
                    row.last_answer = None
            for swarm in world.core.registry.by_hash.values():
                swarm.lookup_tails.clear()
        packet = b""
        if what in {"look", "page"}:
            packet = peer.lookup_packet(request=numbers[who], first=int(what == "page"))
        elif what == "foreign":
            packet = peer.lookup_packet(request=numbers[(who + 1) % 3])
        elif what == "stolen":
            other = peers[(who + 1) % 3]
            connection = other.connect().to_bytes(8, "big")
            told.append(world.send(connection + peer.lookup_packet(request=numbers[who])[8:], other.source))
        elif what in {"come", "seed", "done", "go"}:
            event = {
                "come": AnnounceEvent.STARTED,
                "seed": AnnounceEvent.STARTED,
                "done": AnnounceEvent.COMPLETED,
                "go": AnnounceEvent.STOPPED,
            }[what]
            packet = peer.packet(event, left=SIZE if what == "come" else 0)
        elif what == "end":
            packet = peer.outcome_packet(numbers[who])
        elif what == "dup" and sent:
            told.append(world.send(*sent[-1 - who % len(sent)]))
        elif what == "wait":
            world.pass_time(0.9)
        if packet:
            sent.append((packet, peer.source))
            answer = world.send(packet, peer.source)
            told.append(answer)
            if what in {"look", "page"} and answer is not None and answer[0] == 0x54:
                numbers[who] = parse_lookup_reply(udp.parse_reply(answer)).request
    return [*told, *map(str, world.events), *world.records]
