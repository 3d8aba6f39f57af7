"""The differential test of the tracker's fast path.

Answers, state, events and records equal those of the handlers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.tracker.world import HASH, OTHER_HASH, SIZE, Client, FastWorld, World, error_of
from torrentnet.runtime.events import format_field
from torrentnet.tracker.core import ID_REFUSED
from torrentnet.tracker.fastpath import fast_path
from torrentnet.tracker.settings import TrackerSettings
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.names import decode_peer_name
from torrentnet.wire.udp import connection_id
from torrentnet.wire.udp import packets as udp
from torrentnet.wire.udp.outcome import OutcomeResult, OutcomeSource
from torrentnet.wire.udp.packets import AnnounceEvent, AnnounceRequest

ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.255.255.255")


@pytest.fixture
def world() -> FastWorld:
    return FastWorld()


def state(world: World) -> tuple[object, ...]:
    core = world.core
    table = core.registry.table
    return (
        [(replace(one, swarm=one.swarm.info_hash), table.longest_gap[one.row]) for one in core.registry.members()],  # type: ignore[arg-type]
        [(one.info_hash, one.name, one.downloads, bytes(one.compact)) for one in core.registry.by_hash.values()],
        core.refusals.counts,
        core.received,
        len(core.requests),
        [str(seen) for seen in world.events],
        world.records,
    )


waits = st.sampled_from([0.0, 0.0, 0.3, 1.9, 100.0, 121.0, 601.0])
plain = st.fixed_dictionaries({"who": st.integers(0, 5), "wait": waits})
wild = st.fixed_dictionaries(
    {
        "who": st.integers(0, 5),
        "event": st.sampled_from([0, 0, 1, 2, 3, 4]),
        "left": st.sampled_from([0, SIZE, SIZE // 2]),
        "want": st.sampled_from([-1, 0, 1, 3, 50, 200, 201, -7]),
        "ip": st.sampled_from([0, 0, 0, 77]),
        "hash": st.sampled_from([HASH, HASH, OTHER_HASH]),
        "tail": st.sampled_from([None, None, None, b"", b"\0\0", b"\x02\xff"]),
        "cut": st.sampled_from([0, 0, 0, 0, 1, 60]),
        "connection": st.sampled_from(["good", "good", "good", "flipped", "stranger's"]),
        "wait": waits,
    }
)


def play(world: World, script: list[dict[str, Any]]) -> tuple[list[bytes | None], str]:
    """Return the answers to a script of announces, and the state afterwards."""
    # Six peers at four endpoints; every third one uses the extension.
    clients = [
        Client(world, f"peer-{number}", ip=ADDRESSES[number % 2], port=6881 + number % 4 // 2, extended=number % 3 == 0)
        for number in range(6)
    ]
    lefts = [SIZE] * 6
    for client in clients:
        client.tid = 0  # the same in every world
        client.connect()
        client.announce(AnnounceEvent.STARTED, left=SIZE)
    answers: list[bytes | None] = []
    for step in script:
        who = step["who"]
        client = clients[who]
        assert client.connection is not None
        connection = client.connection
        if step.get("connection") == "flipped":
            connection ^= 1 << 33
        elif step.get("connection") == "stranger's":
            connection = clients[(who + 1) % 6].connection or 0
        left = lefts[who] = step.get("left", lefts[who])
        tail = client.publication() if step.get("tail") is None else step["tail"]
        announce = AnnounceRequest(
            connection,
            len(answers),
            step.get("hash", HASH),
            client.peer_id,
            5,
            left,
            7,
            step.get("event", 0),
            step.get("ip", 0),
            9,
            step.get("want", -1),
            client.port,
            tail,
        )
        packet = udp.pack_announce(announce)
        answers.append(world.send(packet[: len(packet) - step.get("cut", 0)], client.source))
        world.pass_time(step["wait"])
        if step["wait"] > 60:
            client.connect()
    return answers, repr(state(world))


@given(script=st.lists(plain | wild, min_size=1, max_size=40))
@settings(max_examples=400)
def test_announces_are_the_same_with_and_without_fast_path(script: list[dict[str, Any]]) -> None:
    assert play(World(), script) == play(FastWorld(), script)


def mostly(usual: object, *others: object) -> st.SearchStrategy[Any]:
    return st.sampled_from([usual] * 4 * len(others) + list(others))


asking = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["lookup"] * 4 + ["outcome"] * 3 + ["announce", "again"]),
        "who": st.integers(0, 5),
        "file": mostly("myfile.txt", "nobody's.txt", "other.txt"),
        "number": mostly("own", "another's", "none", "unknown"),
        "first": mostly(0, 1, 70),
        "result": st.sampled_from([OutcomeResult.SUCCEEDED, OutcomeResult.FAILED]),
        "sources": st.integers(0, 2),
        "reason": mostly("", "no seed is left", 'a="b"'),
        "event": st.sampled_from(
            [AnnounceEvent.NONE, AnnounceEvent.STARTED, AnnounceEvent.COMPLETED, AnnounceEvent.STOPPED]
        ),
        "left": st.sampled_from([0, SIZE, SIZE // 2]),
        "patch": mostly(
            None,
            (16, b"\2"),
            (17, b"\3"),
            (44, b"\0\0"),
            (46, b"\0"),
            (48, b"/"),
            (78, b"\t"),
            (79, b"\xff"),
            (1, b"\1"),
        ),
        "cut": mostly(0, 1, 2, 30),
        "behind": mostly(False, True),
        "wait": mostly(0.0, 0.3, 0.3, 1.9, 2.1, 121.0),
        "which": st.integers(0, 3),
    }
)


def ask(world: World, script: list[dict[str, Any]]) -> tuple[list[bytes | None], str]:
    """Return the answers to a script of requests, and the state afterwards.

    The requests are look-ups, outcomes and announces, and repetitions of earlier ones.
    """
    seeders = [Client(world, f"seeder-{number}", ip=f"10.0.1.{number}") for number in range(3)]
    clients = [Client(world, f"leecher-{number}", ip=f"10.0.0.{number % 4}") for number in range(4)]
    # One client has another's peer id, and one has another's address.
    clients += [Client(world, "twin", ip="10.0.0.9", peer_id=clients[0].peer_id), Client(world, "heir", ip="10.0.0.1")]
    for client in (*seeders, *clients):
        client.tid = 0  # the same in every world
        client.connect()
    for seeder in seeders:
        seeder.announce(AnnounceEvent.STARTED)
    answers: list[bytes | None] = []
    numbers = [0] * len(clients)
    sent: list[tuple[bytes, Client]] = []
    for step in script:
        who = step["who"]
        client = clients[who]
        number = {"own": numbers[who], "another's": numbers[who - 1], "none": 0, "unknown": 77}[step["number"]]
        if step["kind"] == "lookup":
            # Most look-ups open a request.
            begun = 0 if step["first"] == 0 and step["number"] == "own" else number
            packet = client.lookup_packet(step["file"], request=begun, first=step["first"])
        elif step["kind"] == "outcome":
            sources = tuple(
                OutcomeSource(Endpoint("10.0.1.0", 6881), 16, f"seeder-{one}") for one in range(step["sources"])
            )
            packet = client.outcome_packet(number, step["result"], sources=sources, reason=step["reason"])
        elif step["kind"] == "announce":
            packet = client.packet(step["event"], left=step["left"])
        else:
            packet, client = sent[-1 - step["which"] % len(sent)] if sent else (client.packet(), client)
        if step["patch"] is not None and len(packet) > step["patch"][0]:
            at, value = step["patch"]
            packet = packet[:at] + value + packet[at + len(value) :]
        sent.append((packet, client))
        world.behind = step["behind"]
        answer = world.send(packet[: len(packet) - step["cut"]], client.source)
        answers.append(answer)
        if step["kind"] == "lookup" and answer is not None and len(answer) >= 68:
            numbers[who] = int.from_bytes(answer[12:16], "big")
        world.behind = False
        world.pass_time(step["wait"])
        for one in seeders:
            if step["wait"] > 60:
                one.connect()
            if step["wait"]:
                one.announce(AnnounceEvent.STARTED)
        if step["wait"] > 60:
            for one in clients:
                one.connect()
    requests = world.core.requests
    rows = [
        (
            row.number,
            row.peer,
            row.port,
            row.file,
            row.info_hash,
            row.holder_count,
            row.requester.last_seen,
            len(row.requester.requests()),
        )
        for row in requests.by_number.values()
    ]
    return answers, repr((state(world), rows, requests.next_deadline, list(requests.requesters)))


@given(script=st.lists(asking, min_size=1, max_size=60))
@settings(max_examples=500)
def test_lookups_are_the_same_with_and_without_fast_path(script: list[dict[str, Any]]) -> None:
    assert ask(World(), script) == ask(FastWorld(), script)


def test_lookup_and_outcome_of_one_file_take_the_fast_path(world: FastWorld) -> None:
    for number in (1, 2):
        Client(world, f"seeder-{number}", ip=f"10.0.1.{number}").announce(AnnounceEvent.STARTED)
    first, second, third = (Client(world, f"leecher-{number}", ip=f"10.0.0.{number}") for number in (1, 2, 3))
    packet = first.lookup_packet()
    answer = world.send(packet, first.source)
    assert answer is not None
    assert world.fast_answers == 0, "the first look-up fills the cache"
    found = second.lookup()
    assert world.fast_answers == 1
    assert (found.complete, [holder.name for holder in found.holders]) == (2, ["seeder-1", "seeder-2"])
    assert (
        second.outcome(found.request, sources=(OutcomeSource(Endpoint("10.0.1.1", 6881), 32, "seeder-1"),))
        == found.request
    )
    assert world.fast_answers == 2
    assert world.send(packet, first.source) == answer, "a retransmission opens no request"
    assert second.lookup().request == found.request + 1
    assert world.fast_answers == 3
    second.lookup()
    assert world.fast_answers == 4
    third.lookup("nobody's.txt")
    third.lookup()
    assert world.fast_answers == 5
    third.lookup()
    assert world.fast_answers == 5, "the fast path declines a requester of several files"
    assert world.logged("request", "outcome") == [
        "request id=1 peer=leecher-1 file=myfile.txt holders=2",
        "request id=2 peer=leecher-2 file=myfile.txt holders=2",
        "outcome id=2 peer=leecher-2 file=myfile.txt result=succeeded from=seeder-1 bytes=8388608 ms=120",
        "request id=3 peer=leecher-2 file=myfile.txt holders=2",
        "outcome id=3 peer=leecher-2 file=myfile.txt result=failed bytes=0 ms=0 reason=requested again",
        "request id=4 peer=leecher-2 file=myfile.txt holders=2",
        "request id=5 peer=leecher-3 file=nobody's.txt holders=0",
        "request id=6 peer=leecher-3 file=myfile.txt holders=2",
        "outcome id=6 peer=leecher-3 file=myfile.txt result=failed bytes=0 ms=0 reason=requested again",
        "request id=7 peer=leecher-3 file=myfile.txt holders=2",
    ]


@pytest.mark.parametrize("want", [-1, 0, 1, 49, 50, 51, 200, 201, 2**31 - 1])
def test_fast_path_lists_as_many_peers_as_the_handler(want: int) -> None:
    answers = []
    for world in (World(), FastWorld()):
        crowd = [Client(world, f"peer-{number}", ip=f"10.0.1.{number}", extended=False) for number in range(1, 251)]
        for client in crowd:
            client.tid = 0
            client.announce(AnnounceEvent.STARTED)
        packets = [client.packet(want=want) for client in crowd]
        answers.append([world.send(packet, client.source) for packet, client in zip(packets, crowd, strict=True)])
        assert not isinstance(world, FastWorld) or world.fast_answers == len(crowd)
    assert answers[0] == answers[1]


def test_periodic_announce_takes_the_fast_path() -> None:
    world = FastWorld(settings=TrackerSettings(5.0, 15.0))
    own, standard = Client(world, "own"), Client(world, "standard", ip="10.0.0.2", extended=False)
    for client in (own, standard):
        client.announce(AnnounceEvent.STARTED, left=5)
        assert world.fast_answers == 0
    for client in (own, standard):
        before = world.fast_answers
        for _ in range(3):
            assert client.announce(left=5).leechers == 2
        assert world.fast_answers == before + 3
    own.announce(left=4)
    assert world.fast_answers == 6, "a change is handled by the core"
    own.announce(left=4)
    assert world.fast_answers == 7


def test_verified_connection_id_expires(world: FastWorld) -> None:
    client = Client(world, "standard", extended=False)
    client.announce(AnnounceEvent.STARTED)
    world.now += 119
    client.announce()
    assert world.fast_answers == 1
    world.now += 3
    assert error_of(world.send(client.packet(), client.source)) == ID_REFUSED


def test_verified_connection_id_belongs_to_one_address(world: FastWorld) -> None:
    client = Client(world, "standard", extended=False)
    other = Client(world, "other", ip="10.0.0.2", extended=False)
    for one in (client, other):
        one.announce(AnnounceEvent.STARTED)
        one.announce()
    assert error_of(world.send(client.packet(), other.source)) == ID_REFUSED


def test_number_of_verified_ids_is_limited(monkeypatch: pytest.MonkeyPatch, world: FastWorld) -> None:
    monkeypatch.setattr(fast_path, "MAX_VERIFIED", 20)
    monkeypatch.setattr(connection_id, "MAX_VERIFIED", 20)
    client = Client(world, "standard", extended=False)
    client.announce(AnnounceEvent.STARTED)
    for number in range(200):
        assert world.fast_answers == number
        world.now += 1.1
        client.connect()
        client.announce()
        assert 0 < len(world.fast_path._verified) <= 20
        assert 0 < len(world.core.ids._verified) <= 20


def test_fast_announce_keeps_a_request_alive(world: FastWorld) -> None:
    leecher = Client(world, "leecher")
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    leecher.lookup("other.txt")
    for _ in range(5):
        world.pass_time(1.5)
        leecher.announce(left=SIZE)
    assert world.fast_answers == 5
    assert len(world.core.requests) == 1
    world.pass_time(2.5)
    assert len(world.core.requests) == 0


def test_repeated_lookup_of_an_open_request_takes_the_fast_path(world: FastWorld) -> None:
    seed, leecher = Client(world, "seeder-1"), Client(world, "leecher-1", ip="10.0.0.2")
    seed.announce(AnnounceEvent.STARTED)
    number = leecher.lookup().request
    first = leecher.lookup(request=number)
    assert world.fast_answers == 0
    again = [leecher.lookup(request=number) for _ in range(3)]
    assert world.fast_answers == 3
    assert [found._replace(transaction_id=0) for found in again] == [first._replace(transaction_id=0)] * 3
    Client(world, "seeder-2", ip="10.0.0.3").announce(AnnounceEvent.STARTED)
    assert leecher.lookup(request=number).complete == 2, "the answer is up to date"
    assert world.fast_answers == 3
    leecher.lookup(request=number)
    assert world.fast_answers == 4
    assert len([record for record in world.records if type(record).__name__ == "RequestOpened"]) == 1


def test_fast_lookup_keeps_its_request_alive(world: FastWorld) -> None:
    seed, leecher = Client(world, "seeder-1"), Client(world, "leecher-1", ip="10.0.0.2")
    seed.announce(AnnounceEvent.STARTED)
    number = leecher.lookup().request
    leecher.lookup(request=number)
    for _ in range(5):
        world.pass_time(1.5)
        seed.announce()
        leecher.lookup(request=number)
    assert world.fast_answers == 10
    assert len(world.core.requests) == 1


@pytest.mark.parametrize("wrong", ["another's id", "too old", "another's number", "a byte more", "a byte less"])
def test_fast_path_declines_a_lookup_that_differs(wrong: str, world: FastWorld) -> None:
    Client(world, "seeder-1").announce(AnnounceEvent.STARTED)
    leecher, other = Client(world, "leecher-1", ip="10.0.0.2"), Client(world, "leecher-2", ip="10.0.0.3")
    number = leecher.lookup().request
    other.lookup()
    leecher.lookup(request=number)
    packet = leecher.lookup_packet(request=number)
    if wrong == "another's id":
        packet = other.connect().to_bytes(8, "big") + packet[8:]
    elif wrong == "too old":
        world.now += 121
    elif wrong == "another's number":
        packet = leecher.lookup_packet(request=number + 1)
    else:
        packet = packet + b"x" if wrong == "a byte more" else packet[:-1]
    before = world.fast_answers
    world.send(packet, leecher.source)
    assert world.fast_answers == before


def served(world: World) -> tuple[Client, int]:
    """Return a leecher with an open request, after the answer has been cached."""
    Client(world, "seeder-1").announce(AnnounceEvent.STARTED)
    Client(world, "leecher-0", ip="10.0.0.9").lookup()
    leecher = Client(world, "leecher-1", ip="10.0.0.2")
    return leecher, leecher.lookup().request


def test_lookup_repeated_after_its_outcome_opens_no_request(world: FastWorld) -> None:
    leecher, _ = served(world)
    leecher.outcome(2)
    packet = leecher.lookup_packet()
    first = world.send(packet, leecher.source)
    leecher.outcome(3)
    assert world.fast_answers == 4
    assert world.send(packet, leecher.source) == first
    assert len(world.logged("request")) == 3


def test_fast_path_accepts_only_the_requesters_outcome(world: FastWorld) -> None:
    leecher, number = served(world)
    Client(world, "twin", ip="10.0.0.3", peer_id=leecher.peer_id).outcome(number)
    Client(world, "heir", ip=leecher.ip).outcome(number)
    assert world.logged("outcome") == []
    before = world.fast_answers
    leecher.outcome(number)
    assert world.fast_answers == before + 1
    assert len(world.logged("outcome")) == 1


def test_fast_outcome_keeps_other_requests_alive(world: FastWorld) -> None:
    leecher, number = served(world)
    leecher.lookup("other.txt")
    world.pass_time(1.5)
    before = world.fast_answers
    leecher.outcome(number)
    assert world.fast_answers == before + 1
    world.pass_time(1.5)
    assert "other.txt" in [row.file for row in world.core.requests.by_number.values()]


@given(name=st.from_regex(r"\A[0-9A-Za-z_-][0-9A-Za-z._-]{0,63}\Z") | st.text(max_size=70))
def test_plain_name_is_valid_and_logged_unquoted(name: str) -> None:
    raw = name.encode("utf-8", "surrogatepass")
    if fast_path._PLAIN(raw) is not None:
        assert decode_peer_name(raw) == name
        assert format_field(name) == name


def test_other_names_are_logged_the_same_by_both_paths() -> None:
    logs = []
    for world in (World(), FastWorld()):
        name = 'a "b"=c.txt'
        for number in (1, 2):
            Client(world, f"seeder-{number}", ip=f"10.0.1.{number}").announce(AnnounceEvent.STARTED, name=name)
        for number, peer in enumerate(["first", "zweiter=ü", "drit.ter", "..x"]):
            client = Client(world, peer, ip=f"10.0.2.{number}")
            client.outcome(client.lookup(name).request)
        logs.append(world.logged("request", "outcome"))
        assert not isinstance(world, FastWorld) or world.fast_answers == 7
    assert logs[0] == logs[1]
    assert "peer=zweiter=ü" in logs[0][2]
