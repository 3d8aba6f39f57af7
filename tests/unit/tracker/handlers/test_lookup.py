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
from torrentnet.tracker.settings import Limits
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp import packets as udp
from torrentnet.wire.udp.lookup import parse_lookup_reply
from torrentnet.wire.udp.outcome import OutcomeResult, OutcomeSource
from torrentnet.wire.udp.packets import AnnounceEvent

SOURCE = OutcomeSource(Endpoint("10.0.1.2", 6881), 32, "seeder-2")


def rows(world: World) -> list[RequestOpened]:
    return [record for record in world.records if isinstance(record, RequestOpened)]


def test_lookup_returns_the_file_and_its_holders() -> None:
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


def test_unknown_name_is_answered_and_logged() -> None:
    world = World()
    found = Client(world, "leecher-1").lookup("nope.txt")
    assert (found.found, found.request, found.info_hash, found.size, found.holders) == (False, 1, bytes(20), 0, ())
    assert (found.keepalive_ms, found.timeout_ms) == (500, 2000)
    assert world.logged("request") == ["request id=1 peer=leecher-1 file=nope.txt holders=0"]


def test_requester_is_never_listed() -> None:
    world = World()
    clients = seeds(world, 3)
    own = clients[1].lookup()
    assert (own.complete, [holder.name for holder in own.holders]) == (2, ["seeder-1", "seeder-3"])
    elsewhere = Client(world, "x", ip="10.0.7.7", peer_id=clients[0].peer_id).lookup()
    assert (elsewhere.complete, [holder.name for holder in elsewhere.holders]) == (2, ["seeder-2", "seeder-3"])
    leecher = Client(world, "leecher-1")
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    assert leecher.lookup().incomplete == 0


def test_long_lists_are_paged_in_a_stable_order() -> None:
    world = World()
    clients = [Client(world, f"a-seeder-with-a-long-name-{number}", port=1000 + number) for number in range(500)]
    for client in clients:
        client.announce(AnnounceEvent.STARTED)
    requester = Client(world, "leecher-1", ip="10.0.0.9")
    names: list[str] = []
    request = 0
    while True:
        page = requester.lookup(request=request, first=len(names))
        request = page.request
        assert (page.complete, page.first) == (500, len(names))
        if not page.holders:
            break
        names += [holder.name for holder in page.holders]
    assert names == [client.name for client in clients]
    assert len(rows(world)) == 1
    assert (rows(world)[0].holder_count, len(rows(world)[0].holders)) == (500, 100)


def test_lookup_under_an_open_number_continues_its_row() -> None:
    world = World()
    requester = Client(world, "leecher-1")
    number = requester.lookup().request
    assert requester.lookup(request=number).request == number
    assert len(rows(world)) == 1


def test_lookup_under_zero_opens_a_row_and_ends_the_old_one() -> None:
    world = World()
    requester = Client(world, "leecher-1")
    assert [requester.lookup().request for _ in range(2)] == [1, 2]
    assert requester.lookup("other.txt").request == 3
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=failed bytes=0 ms=0 reason=requested again"
    ]
    requester.outcome(2)
    assert len(world.core.requests) == 1


@pytest.mark.parametrize("other", ["a stranger's", "for another file", "unknown"])
def test_lookup_under_a_foreign_number_opens_a_row(other: str) -> None:
    world = World()
    requester = Client(world, "leecher-1")
    number = requester.lookup().request
    if other == "a stranger's":
        found = Client(world, "leecher-2", ip="10.0.0.2").lookup(request=number)
    elif other == "for another file":
        found = requester.lookup("other.txt", request=number)
    else:
        found = requester.lookup(request=77)
    assert found.request == 2


def test_row_keeps_the_first_holders_it_finds() -> None:
    world = World()
    requester = Client(world, "leecher-1", ip="10.0.0.9")
    number = requester.lookup().request
    seeds(world, 1)
    requester.lookup(request=number)
    seeds(world, 1, first=2)
    requester.lookup(request=number)
    assert [record for record in world.records if isinstance(record, RequestUpdated)] == [
        RequestUpdated(number, HASH, ("seeder-1",), 1)
    ]


def test_success_is_logged_with_source_bytes_and_time() -> None:
    world = World()
    seeds(world, 2)
    requester = Client(world, "leecher-1")
    number = requester.lookup().request
    assert requester.outcome(number, sources=(SOURCE,)) == number
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=succeeded from=seeder-2 bytes=8388608 ms=120"
    ]


def test_failure_is_logged_with_its_reason() -> None:
    world = World()
    requester = Client(world, "leecher-1")
    number = requester.lookup().request
    requester.outcome(number, OutcomeResult.FAILED, reason="no seed answered")
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=failed bytes=0 ms=120 reason=no seed answered"
    ]


def test_repeated_outcome_counts_once() -> None:
    world = World()
    requester = Client(world, "leecher-1")
    number = requester.lookup().request
    packet = requester.outcome_packet(number)
    assert world.send(packet, requester.source) == world.send(packet, requester.source)
    requester.outcome(number, OutcomeResult.FAILED, reason="another reason")
    assert len(world.logged("outcome")) == 1


def test_outcome_of_an_unknown_request_is_answered() -> None:
    world = World()
    assert Client(world, "leecher-1").outcome(4711) == 4711
    assert world.records == []


@pytest.mark.parametrize("stranger", [{"ip": "10.0.0.2"}, {"peer_id": b"-XT0100-somebody.els"}])
def test_only_the_requester_may_close_its_request(stranger: dict[str, str]) -> None:
    world = World()
    requester = Client(world, "leecher-1")
    number = requester.lookup().request
    other = Client(world, "leecher-1", ip=stranger.get("ip", requester.ip))
    other.peer_id = requester.peer_id if "ip" in stranger else b"-XT0100-somebody.els"
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
def test_every_kind_of_datagram_keeps_a_request_alive(sign: str) -> None:
    world = World()
    requester = Client(world, "leecher-1")
    number = requester.lookup().request
    requester.announce(AnnounceEvent.STARTED, left=SIZE)
    for _ in range(4):
        world.pass_time(TIMEOUT - 0.1)
        if sign == "lookup":
            requester.lookup(request=number)
        elif sign == "announce":
            requester.announce(AnnounceEvent.STARTED, left=SIZE)
        elif sign == "possession":
            try:
                requester.possess(PieceSet(32))
            except TrackerError:
                requester.announce(AnnounceEvent.STARTED, left=SIZE)
        else:
            requester.outcome(999)
    assert world.logged("outcome") == []


def test_stopped_leecher_ends_its_request_for_that_file() -> None:
    world = World()
    seeds(world, 1)
    requester = Client(world, "leecher-1")
    requester.lookup()
    requester.lookup("other.txt")
    requester.announce(AnnounceEvent.STARTED, left=SIZE)
    requester.announce(AnnounceEvent.STOPPED, left=SIZE)
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=failed bytes=0 ms=0 reason=peer left"
    ]


def test_stopped_seed_may_still_report_its_outcome() -> None:
    world = World()
    seeds(world, 1)
    requester = Client(world, "leecher-1")
    number = requester.lookup().request
    requester.announce(AnnounceEvent.STARTED, left=SIZE)
    requester.announce(AnnounceEvent.STOPPED, left=0)
    requester.outcome(number, sources=(SOURCE,))
    assert [line.split(" bytes")[0] for line in world.logged("outcome")] == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=succeeded from=seeder-2"
    ]


@pytest.mark.parametrize("end", ["lost", "peer left"])
def test_late_success_replaces_an_abandoned_outcome(end: str) -> None:
    world = World()
    seeds(world, 1)
    requester = Client(world, "leecher-1")
    number = requester.lookup().request
    if end == "lost":
        world.pass_time(TIMEOUT)
    else:
        requester.announce(AnnounceEvent.STOPPED, left=1)
    requester.outcome(number, OutcomeResult.FAILED, reason="late")
    assert len(world.logged("outcome")) == 1
    requester.outcome(number, sources=(SOURCE,))
    requester.outcome(number, sources=(SOURCE,))
    assert len(world.logged("outcome")) == 2
    assert "result=succeeded" in world.logged("outcome")[1]


def test_lookup_of_a_lost_request_opens_it_again() -> None:
    world = World()
    requester = Client(world, "leecher-1")
    number = requester.lookup().request
    world.pass_time(TIMEOUT * 3)
    assert requester.lookup(request=number).request == number
    world.pass_time(TIMEOUT - 0.1)
    assert len(world.logged("outcome")) == 1
    requester.outcome(number)
    assert len(rows(world)) == 1


def test_request_with_an_outcome_is_not_opened_again() -> None:
    world = World()
    requester = Client(world, "leecher-1")
    number = requester.lookup().request
    requester.outcome(number)
    assert requester.lookup(request=number).request == number + 1


def test_retransmitted_lookup_has_one_row_and_one_answer() -> None:
    world = World()
    seeds(world, 1)
    requester = Client(world, "leecher-1")
    packet = requester.lookup_packet()
    first = world.send(packet, requester.source)
    seeds(world, 1, first=2)
    assert world.send(packet, requester.source) == first
    assert len(rows(world)) == 1


def test_retransmission_may_have_a_newer_connection_id() -> None:
    world = World()
    requester = Client(world, "leecher-1")
    packet = requester.lookup_packet()
    first = world.send(packet, requester.source)
    world.pass_time(70)
    renewed = requester.connect().to_bytes(8, "big") + packet[8:]
    assert renewed != packet
    assert world.send(renewed, requester.source) == first
    assert len(rows(world)) == 1


@pytest.mark.parametrize("end", ["outcome", "lost"])
def test_late_repeat_under_a_closed_number_opens_nothing(end: str) -> None:
    world = World()
    seeds(world, 1)
    requester, other = Client(world, "leecher-1"), Client(world, "leecher-2", ip="10.0.0.2")
    number = requester.lookup().request
    packets = [requester.lookup_packet(request=number) for _ in range(3)]
    answers = [world.send(packet, requester.source) for packet in packets]
    if end == "outcome":
        requester.outcome(number)
    else:
        world.pass_time(TIMEOUT)
        seeds(world, 1)
    assert [world.send(packet, requester.source) for packet in packets] == answers
    assert len(rows(world)) == 1
    assert len(world.core.requests) == 0
    other.lookup(request=number)
    assert len(rows(world)) == 2


def test_number_of_cached_answers_is_limited() -> None:
    world = World(limits=Limits(answers=3))
    requester = Client(world, "leecher-1")
    packets = [requester.lookup_packet() for _ in range(4)]
    for packet in [*packets, packets[-1]]:
        world.send(packet, requester.source)
    assert len(rows(world)) == 4
    world.send(packets[0], requester.source)
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
    requester = Client(world, "leecher-1")
    number = requester.lookup().request
    requester.lookup("other")
    with pytest.raises(TrackerError) as caught:
        requester.lookup("third")
    assert str(caught.value) == message
    requester.outcome(number)
    requester.lookup("third")


def test_open_request_of_an_expired_peer_is_lost() -> None:
    world = World()
    seeds(world, 1)
    requester = Client(world, "leecher-1")
    requester.lookup()
    requester.announce(AnnounceEvent.STARTED, left=SIZE)
    for _ in range(3):
        world.pass_time(KEEPALIVE)
        requester.announce(left=SIZE)
    world.pass_time(TIMEOUT)
    assert [line.split(" ", 1)[0] for line in world.logged()[-3:]] == ["forgotten", "forgotten", "outcome"]


def test_restored_requests_expire_after_one_timeout() -> None:
    old = World()
    seeds(old, 1)
    requester, silent = Client(old, "leecher-1"), Client(old, "leecher-2", ip="10.0.0.2")
    number = requester.lookup().request
    silent.lookup()
    world = World(now=5000.0, first_request=3)
    world.core.restore(rows(old), world.now)
    requester.world, requester.connection = world, None
    world.pass_time(TIMEOUT - 0.5)
    assert requester.lookup(request=number).request == number
    world.pass_time(0.5)
    assert [line.split(" reason")[0] for line in world.logged("outcome")] == [
        "outcome id=2 peer=leecher-2 file=myfile.txt result=lost"
    ]
    requester.outcome(number)
    assert requester.lookup(request=0).request == 3


def test_lookup_repeated_after_a_restart_has_one_row() -> None:
    old = World()
    requester = Client(old, "leecher-1")
    packet = requester.lookup_packet()
    old.send(packet, requester.source)
    world = World(now=5000.0, first_request=2)
    world.core.restore(rows(old), world.now)
    requester.world = world
    renewed = requester.connect().to_bytes(8, "big") + packet[8:]
    assert parse_lookup_reply(requester.ask(renewed)).request == 1
    assert rows(world) == []
    assert requester.lookup().request == 2


def test_numbers_of_an_earlier_tracker_close_no_foreign_row() -> None:
    world = World()
    Client(world, "leecher-2", ip="10.0.0.2").lookup()
    Client(world, "leecher-1").outcome(1)
    assert world.logged("outcome") == []


def test_lookup_returns_the_current_content_of_a_name() -> None:
    world = World()
    seed = seeds(world, 1)[0]
    seed.announce(AnnounceEvent.STOPPED)
    assert not seed.lookup().found
    Client(world, "s", ip="10.0.0.3").announce(AnnounceEvent.STARTED, info_hash=OTHER_HASH)
    assert seed.lookup().info_hash == OTHER_HASH


STEPS = ("look", "look", "look", "page", "come", "seed", "done", "go", "end", "dup", "wait", "foreign", "stolen")


@pytest.mark.parametrize("seed", range(20))
def test_repeated_lookups_are_always_up_to_date(seed: int) -> None:
    """Fast path, handler, and a handler without caches return the same answers."""
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
    answers: list[object] = []
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
            answers.append(world.send(connection + peer.lookup_packet(request=numbers[who])[8:], other.source))
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
            answers.append(world.send(*sent[-1 - who % len(sent)]))
        elif what == "wait":
            world.pass_time(0.9)
        if packet:
            sent.append((packet, peer.source))
            answer = world.send(packet, peer.source)
            answers.append(answer)
            if what in {"look", "page"} and answer is not None and answer[0] == 0x54:
                numbers[who] = parse_lookup_reply(udp.parse_reply(answer)).request
    return [*answers, *map(str, world.events), *world.records]
