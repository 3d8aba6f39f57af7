"""Look-up, outcome, and the one row that a request has in the log."""

from __future__ import annotations

import contextlib
import random

import pytest

from tests.unit.tracker.world import (
    HASH,
    KEEPALIVE,
    OTHER_HASH,
    PIECE,
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
from torrentnet.wire.info import make_info
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp import packets as udp
from torrentnet.wire.udp.lookup import parse_lookup_reply
from torrentnet.wire.udp.outcome import OutcomeResult, OutcomeSource
from torrentnet.wire.udp.packets import AnnounceEvent

SOURCE = OutcomeSource(Endpoint("10.0.1.2", 6881), 32, "seeder-2")


def rows(world: World) -> list[RequestOpened]:
    return [record for record in world.records if isinstance(record, RequestOpened)]


def test_lookup_returns_the_file_and_its_holders(world: World) -> None:
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


def test_unknown_name_is_answered_and_logged(world: World) -> None:
    found = Client(world, "leecher-1").lookup("nope.txt")
    assert (found.found, found.request, found.info_hash, found.size, found.holders) == (False, 1, bytes(20), 0, ())
    assert (found.keepalive_ms, found.timeout_ms) == (500, 2000)
    assert world.logged("request") == ["request id=1 peer=leecher-1 file=nope.txt holders=0"]


def test_requester_is_never_listed(world: World, leecher: Client) -> None:
    clients = seeds(world, 3)
    own = clients[1].lookup()
    assert (own.complete, [holder.name for holder in own.holders]) == (2, ["seeder-1", "seeder-3"])
    elsewhere = Client(world, "x", ip="10.0.7.7", peer_id=clients[0].peer_id).lookup()
    assert (elsewhere.complete, [holder.name for holder in elsewhere.holders]) == (2, ["seeder-2", "seeder-3"])
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    assert leecher.lookup().incomplete == 0


def test_long_lists_are_paged_in_a_stable_order(world: World) -> None:
    clients = [Client(world, f"a-seeder-with-a-long-name-{number}", port=1000 + number) for number in range(500)]
    for client in clients:
        client.announce(AnnounceEvent.STARTED)
    leecher = Client(world, "leecher-1", ip="10.0.0.9")
    names: list[str] = []
    request = 0
    while True:
        page = leecher.lookup(request=request, first=len(names))
        request = page.request
        assert (page.complete, page.first) == (500, len(names))
        if not page.holders:
            break
        names += [holder.name for holder in page.holders]
    assert names == [client.name for client in clients]
    assert len(rows(world)) == 1
    assert rows(world)[0].holder_count == 500
    assert 60 < len(rows(world)[0].holders) < 100  # no more names than fit into 2,000 characters


def test_lookup_under_an_open_number_continues_its_row(world: World, leecher: Client) -> None:
    number = leecher.lookup().request
    assert leecher.lookup(request=number).request == number
    assert len(rows(world)) == 1


def test_lookup_under_zero_opens_a_row_and_ends_the_old_one(world: World, leecher: Client) -> None:
    assert [leecher.lookup().request for _ in range(2)] == [1, 2]
    assert leecher.lookup("other.txt").request == 3
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=failed bytes=0 ms=0 reason=requested again"
    ]
    leecher.outcome(2)
    assert len(world.core.requests) == 1


@pytest.mark.parametrize("other", ["a stranger's", "for another file", "unknown"])
def test_lookup_under_a_foreign_number_opens_a_row(other: str, world: World, leecher: Client) -> None:
    number = leecher.lookup().request
    if other == "a stranger's":
        found = Client(world, "leecher-2", ip="10.0.0.2").lookup(request=number)
    elif other == "for another file":
        found = leecher.lookup("other.txt", request=number)
    else:
        found = leecher.lookup(request=77)
    assert found.request == 2


def test_row_keeps_the_first_holders_it_finds(world: World) -> None:
    leecher = Client(world, "leecher-1", ip="10.0.0.9")
    number = leecher.lookup().request
    seeds(world, 1)
    leecher.lookup(request=number)
    seeds(world, 1, first=2)
    leecher.lookup(request=number)
    assert [record for record in world.records if isinstance(record, RequestUpdated)] == [
        RequestUpdated(number, HASH, ("seeder-1",), 1)
    ]


def test_success_is_logged_with_source_bytes_and_time(world: World, leecher: Client) -> None:
    seeds(world, 2)
    number = leecher.lookup().request
    assert leecher.outcome(number, sources=(SOURCE,)) == number
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=succeeded from=seeder-2 bytes=8388608 ms=120"
    ]


def test_failure_is_logged_with_its_reason(world: World, leecher: Client) -> None:
    number = leecher.lookup().request
    leecher.outcome(number, OutcomeResult.FAILED, reason="no seed answered")
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=failed bytes=0 ms=120 reason=no seed answered"
    ]


def test_repeated_outcome_counts_once(world: World, leecher: Client) -> None:
    number = leecher.lookup().request
    packet = leecher.outcome_packet(number)
    assert world.send(packet, leecher.source) == world.send(packet, leecher.source)
    leecher.outcome(number, OutcomeResult.FAILED, reason="another reason")
    assert len(world.logged("outcome")) == 1


def test_outcome_of_an_unknown_request_is_answered(world: World) -> None:
    assert Client(world, "leecher-1").outcome(4711) == 4711
    assert world.records == []


@pytest.mark.parametrize("stranger", [{"ip": "10.0.0.2"}, {"peer_id": b"-XT0100-somebody.els"}])
def test_only_the_requester_may_close_its_request(stranger: dict[str, str], world: World, leecher: Client) -> None:
    number = leecher.lookup().request
    other = Client(world, "leecher-1", ip=stranger.get("ip", leecher.ip))
    other.peer_id = leecher.peer_id if "ip" in stranger else b"-XT0100-somebody.els"
    assert other.outcome(number) == number
    assert world.logged("outcome") == []
    assert world.logged("refused") == [
        f"refused what=outcome address={other.ip}:40881 reason=request 1 is another peer's"
    ]


def test_silent_requester_is_lost(world: World) -> None:
    Client(world, "leecher-1").lookup()
    world.pass_time(TIMEOUT - 0.001)
    assert world.logged("outcome") == []
    world.pass_time(0.001)
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=lost reason=the peer was silent for 2.0 s"
    ]
    assert world.core.next_deadline == float("inf")


@pytest.mark.parametrize("sign", ["lookup", "announce", "possession", "outcome"])
def test_every_kind_of_datagram_keeps_a_request_alive(sign: str, world: World, leecher: Client) -> None:
    number = leecher.lookup().request
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    for _ in range(4):
        world.pass_time(TIMEOUT - 0.1)
        if sign == "lookup":
            leecher.lookup(request=number)
        elif sign == "announce":
            leecher.announce(AnnounceEvent.STARTED, left=SIZE)
        elif sign == "possession":
            try:
                leecher.possess(PieceSet(32))
            except TrackerError:
                leecher.announce(AnnounceEvent.STARTED, left=SIZE)
        else:
            leecher.outcome(999)
    assert world.logged("outcome") == []


def test_stopped_leecher_ends_its_request_for_that_file(world: World, leecher: Client) -> None:
    seeds(world, 1)
    leecher.lookup()
    leecher.lookup("other.txt")
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    leecher.announce(AnnounceEvent.STOPPED, left=SIZE)
    assert world.logged("outcome") == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=failed bytes=0 ms=0 reason=peer left"
    ]


def test_stopped_seed_may_still_report_its_outcome(world: World, leecher: Client) -> None:
    seeds(world, 1)
    number = leecher.lookup().request
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    leecher.announce(AnnounceEvent.STOPPED, left=0)
    leecher.outcome(number, sources=(SOURCE,))
    assert [line.split(" bytes")[0] for line in world.logged("outcome")] == [
        "outcome id=1 peer=leecher-1 file=myfile.txt result=succeeded from=seeder-2"
    ]


@pytest.mark.parametrize("end", ["lost", "peer left"])
def test_late_success_replaces_an_abandoned_outcome(end: str, world: World, leecher: Client) -> None:
    seeds(world, 1)
    number = leecher.lookup().request
    if end == "lost":
        world.pass_time(TIMEOUT)
    else:
        leecher.announce(AnnounceEvent.STOPPED, left=1)
    leecher.outcome(number, OutcomeResult.FAILED, reason="late")
    assert len(world.logged("outcome")) == 1
    leecher.outcome(number, sources=(SOURCE,))
    leecher.outcome(number, sources=(SOURCE,))
    assert len(world.logged("outcome")) == 2
    assert "result=succeeded" in world.logged("outcome")[1]


def test_lookup_of_a_lost_request_opens_it_again(world: World, leecher: Client) -> None:
    number = leecher.lookup().request
    world.pass_time(TIMEOUT * 3)
    assert leecher.lookup(request=number).request == number
    world.pass_time(TIMEOUT - 0.1)
    assert len(world.logged("outcome")) == 1
    leecher.outcome(number)
    assert len(rows(world)) == 1


def test_request_with_an_outcome_is_not_opened_again(leecher: Client) -> None:
    number = leecher.lookup().request
    leecher.outcome(number)
    assert leecher.lookup(request=number).request == number + 1


def test_retransmitted_lookup_has_one_row_and_one_answer(world: World, leecher: Client) -> None:
    seeds(world, 1)
    packet = leecher.lookup_packet()
    first = world.send(packet, leecher.source)
    seeds(world, 1, first=2)
    assert world.send(packet, leecher.source) == first
    assert len(rows(world)) == 1


def test_retransmission_may_have_a_newer_connection_id(world: World, leecher: Client) -> None:
    packet = leecher.lookup_packet()
    first = world.send(packet, leecher.source)
    world.pass_time(70)
    renewed = leecher.connect().to_bytes(8, "big") + packet[8:]
    assert renewed != packet
    assert world.send(renewed, leecher.source) == first
    assert len(rows(world)) == 1


@pytest.mark.parametrize("end", ["outcome", "lost"])
def test_late_repeat_under_a_closed_number_opens_nothing(end: str, world: World) -> None:
    seeds(world, 1)
    leecher, other = Client(world, "leecher-1"), Client(world, "leecher-2", ip="10.0.0.2")
    number = leecher.lookup().request
    packets = [leecher.lookup_packet(request=number) for _ in range(3)]
    answers = [world.send(packet, leecher.source) for packet in packets]
    if end == "outcome":
        leecher.outcome(number)
    else:
        world.pass_time(TIMEOUT)
        seeds(world, 1)
    assert [world.send(packet, leecher.source) for packet in packets] == answers
    assert len(rows(world)) == 1
    assert len(world.core.requests) == 0
    other.lookup(request=number)
    assert len(rows(world)) == 2


def test_number_of_cached_answers_is_limited() -> None:
    world = World(limits=Limits(answers=3))
    leecher = Client(world, "leecher-1")
    packets = [leecher.lookup_packet() for _ in range(4)]
    for packet in [*packets, packets[-1]]:
        world.send(packet, leecher.source)
    assert len(rows(world)) == 4
    world.send(packets[0], leecher.source)
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
    leecher = Client(world, "leecher-1")
    number = leecher.lookup().request
    leecher.lookup("other")
    with pytest.raises(TrackerError) as caught:
        leecher.lookup("third")
    assert str(caught.value) == message
    leecher.outcome(number)
    leecher.lookup("third")


def test_few_addresses_never_open_all_requests() -> None:
    world = World(limits=Limits(open_requests=1_000, open_requests_per_ip=200))
    for host in range(12):
        crowd = Client(world, "crowd", ip=f"10.0.3.{host}")
        with contextlib.suppress(TrackerError):
            for number in range(300):
                crowd.lookup(f"file-{number}")
    assert Client(world, "leecher-1", ip="10.0.0.9").lookup().request > 0


def test_first_page_has_a_seed_of_each_address(world: World) -> None:
    """An address registers 400 seeds, before and after an honest one does."""
    for port in range(1, 401):
        Client(world, f"made-up-{port}", ip="10.0.0.1", port=port).announce(AnnounceEvent.STARTED)
        if port == 200:
            seeds(world, 2)
    found = Client(world, "leecher-1", ip="10.0.0.9").lookup()
    assert found.complete == 402
    assert [holder.name for holder in found.holders[:4]] == ["made-up-1", "seeder-1", "seeder-2", "made-up-2"]


@pytest.mark.parametrize("kind", [World, FastWorld])
@pytest.mark.parametrize(
    ("shared", "wanted"), [("\u00dcbung.pdf", "U\u0308bung.pdf"), ("U\u0308bung.pdf", "\u00dcbung.pdf")]
)
def test_name_is_found_in_either_unicode_form(kind: type[World], shared: str, wanted: str) -> None:
    world = kind()
    Client(world, "seeder-1", ip="10.0.1.1").announce(AnnounceEvent.STARTED, name=shared)
    for number in range(2):
        assert Client(world, f"leecher-{number}").lookup(wanted).complete == 1


def test_name_of_a_torrent_is_found_before_anybody_shares_it() -> None:
    given = make_info("given.txt", SIZE, PIECE, bytes(20) * 32)
    found = Client(World(known_files=(given,)), "leecher-1").lookup("given.txt")
    assert (found.found, found.info_hash, found.size, found.piece_length) == (True, given.info_hash, SIZE, PIECE)
    assert (found.complete, found.holders) == (0, ())


@pytest.mark.parametrize("kind", [World, FastWorld])
def test_claim_of_a_standard_client_is_believed_after_a_download(kind: type[World]) -> None:
    world = kind()
    Client(world, "seeder-1", ip="10.0.1.1").announce(AnnounceEvent.STARTED)
    Client(world, "x", ip="10.0.1.2", extended=False).announce(AnnounceEvent.STARTED)

    def pieces() -> list[str]:
        return [member.describe_pieces() for member in world.core.registry.members()]

    assert pieces() == ["all 32", "says it has all 32"]
    leecher = Client(world, "leecher-1")
    leecher.outcome(leecher.lookup().request, sources=(SOURCE,))
    assert pieces() == ["all 32", "all 32"]


def test_open_request_of_an_expired_peer_is_lost(world: World, leecher: Client) -> None:
    seeds(world, 1)
    leecher.lookup()
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    for _ in range(3):
        world.pass_time(KEEPALIVE)
        leecher.announce(left=SIZE)
    world.pass_time(TIMEOUT)
    assert [line.split(" ", 1)[0] for line in world.logged()[-3:]] == ["forgotten", "forgotten", "outcome"]


def test_restored_requests_expire_after_one_timeout() -> None:
    old = World()
    seeds(old, 1)
    leecher, silent = Client(old, "leecher-1"), Client(old, "leecher-2", ip="10.0.0.2")
    number = leecher.lookup().request
    silent.lookup()
    world = World(now=5000.0, first_request=3)
    world.core.restore(rows(old), world.now)
    leecher.world, leecher.connection = world, None
    world.pass_time(TIMEOUT - 0.5)
    assert leecher.lookup(request=number).request == number
    world.pass_time(0.5)
    assert [line.split(" reason")[0] for line in world.logged("outcome")] == [
        "outcome id=2 peer=leecher-2 file=myfile.txt result=lost"
    ]
    leecher.outcome(number)
    assert leecher.lookup(request=0).request == 3


def test_lookup_repeated_after_a_restart_has_one_row() -> None:
    old = World()
    leecher = Client(old, "leecher-1")
    packet = leecher.lookup_packet()
    old.send(packet, leecher.source)
    world = World(now=5000.0, first_request=2)
    world.core.restore(rows(old), world.now)
    leecher.world = world
    renewed = leecher.connect().to_bytes(8, "big") + packet[8:]
    assert parse_lookup_reply(leecher.ask(renewed)).request == 1
    assert rows(world) == []
    assert leecher.lookup().request == 2


def test_numbers_of_an_earlier_tracker_close_no_foreign_row(world: World) -> None:
    Client(world, "leecher-2", ip="10.0.0.2").lookup()
    Client(world, "leecher-1").outcome(1)
    assert world.logged("outcome") == []


def test_lookup_returns_the_current_content_of_a_name(world: World) -> None:
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
