"""Sessions with the real tracker's core over a faulty link.

The link loses, duplicates, delays and reorders datagrams.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.simulation import Simulation, Trouble, UdpLink
from tests.unit.peer.trackers import MEMBER, PIECES, SIZE, Member, RealTracker
from torrentnet.peer.tracker_client.lookup import LookupResult
from torrentnet.peer.tracker_client.membership import Membership
from torrentnet.peer.tracker_client.session_events import OutcomeRecorded, RequestRefused, SwarmJoined, SwarmLeft
from torrentnet.tracker.journal.records import (
    FileEventKind,
    HolderAdded,
    HolderCompleted,
    HolderRemoved,
    RequestClosed,
    RequestOpened,
    RequestState,
)
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp.outcome import OutcomeReport, OutcomeResult, OutcomeSource

if TYPE_CHECKING:
    from torrentnet.wire.udp.lookup import LookupReply

SEEDS = range(40)
BAD = Trouble(loss=0.2, duplicate=0.2, delay=0.001, jitter=0.3)


def outcome(
    member: Member, found: LookupReply, result: OutcomeResult = OutcomeResult.SUCCEEDED, reason: str = ""
) -> OutcomeReport:
    source = OutcomeSource(Endpoint("198.18.0.9", 6881), PIECES, "seeder")
    return OutcomeReport(
        0,
        0,
        result,
        member.endpoint.port,
        found.info_hash,
        member.identity.peer_id,
        found.request,
        SIZE,
        1_500,
        (source,) if result is OutcomeResult.SUCCEEDED else (),
        reason,
    )


class Lab:
    """A tracker, a seed, and a leecher, each with its own link."""

    def __init__(self, seed: int, trouble: Trouble | None = None, keepalive: float = 0.5, timeout: float = 2.0) -> None:
        self.simulation = Simulation()
        self.rng = random.Random(seed)
        self.tracker = RealTracker(self.simulation, keepalive, timeout, seed)
        self.trouble = trouble or Trouble()
        self.seeder = self.member("seeder", "198.18.0.9", seed + 1)
        self.leecher = self.member("leecher", "198.18.0.4", seed + 2)

    def member(self, name: str, ip: str, seed: int) -> Member:
        link = UdpLink(self.simulation, self.rng, self.trouble)
        return Member(self.simulation, link, self.tracker, name=name, endpoint=Endpoint(ip, 6881), seed=seed)

    def now(self) -> float:
        return self.simulation.now

    def share(self) -> None:
        self.seeder.session.join(MEMBER, PieceSet.full(PIECES), self.simulation.now)
        assert self.seeder.run(60.0, lambda: bool(self.seeder.of(SwarmJoined)))

    def look_up(self) -> LookupResult:
        self.leecher.session.lookup("myfile.txt", 0, self.simulation.now)
        assert self.leecher.run(60.0, lambda: bool(self.leecher.of(LookupResult)))
        return self.leecher.of(LookupResult)[0]

    def lists(self, member: Member) -> bool:
        return self.tracker.core.registry.find(MEMBER.info_hash, member.endpoint.ip, member.endpoint.port) is not None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_complete_session_leaves_one_record_of_each_kind(seed: int) -> None:
    lab = Lab(seed, BAD, keepalive=1.0, timeout=30.0)
    lab.share()
    leecher, now = lab.leecher, lab.now
    done = lab.look_up()
    assert [holder.name for holder in done.holders] == ["seeder"]
    held = PieceSet(PIECES)
    leecher.session.join(MEMBER, held, now())
    assert leecher.run(60.0, lambda: bool(leecher.of(SwarmJoined)))
    for piece in range(PIECES):
        held.add(piece)
        leecher.run(0.05)
    leecher.session.announce_completed(now())
    leecher.session.report_outcome(outcome(leecher, done.found), now())
    assert leecher.run(60.0, lambda: bool(leecher.of(OutcomeRecorded)) and leecher.session.is_settled)
    leecher.session.leave(now(), 2.0)
    assert leecher.run(60.0, lambda: bool(leecher.of(SwarmLeft)))
    # Datagrams in flight arrive.
    lab.simulation.run(5.0)

    (opened,) = lab.tracker.of(RequestOpened)
    (closed,) = lab.tracker.of(RequestClosed)
    assert (opened.peer, opened.file, opened.holders) == ("leecher", "myfile.txt", ("seeder",))
    assert (closed.number, closed.state, closed.sources) == (
        opened.number,
        RequestState.SUCCEEDED,
        (("seeder", PIECES),),
    )
    assert [record.key.peer for record in lab.tracker.of(HolderAdded)] == ["seeder", "leecher"]
    (completed,) = lab.tracker.of(HolderCompleted)
    (removed,) = lab.tracker.of(HolderRemoved)
    assert completed.key.peer == "leecher"
    assert (removed.key.peer, removed.kind) == ("leecher", FileEventKind.LEFT)
    assert not lab.lists(leecher)
    assert lab.lists(lab.seeder)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_failure_is_recorded_before_the_stopped_event(seed: int) -> None:
    lab = Lab(seed, Trouble(loss=0.1, duplicate=0.2, jitter=0.2), timeout=30.0)
    lab.share()
    done = lab.look_up()
    leecher, now = lab.leecher, lab.now
    leecher.session.join(MEMBER, PieceSet(PIECES), now())
    leecher.run(1.0)
    leecher.session.report_outcome(outcome(leecher, done.found, OutcomeResult.FAILED, "nobody could be used"), now())
    leecher.session.leave(now(), 10.0)
    assert leecher.run(60.0, lambda: leecher.session.is_settled)
    lab.simulation.run(5.0)
    (closed,) = lab.tracker.of(RequestClosed)
    assert (closed.state, closed.reason) == (RequestState.FAILED, "nobody could be used")
    assert not lab.lists(leecher)


@pytest.mark.parametrize("seed", range(10))
def test_a_peer_behind_a_lossy_link_does_not_expire(seed: int) -> None:
    lab = Lab(seed, Trouble(loss=0.1, duplicate=0.1, jitter=0.1))
    lab.share()
    lab.seeder.run(60.0)
    assert not lab.tracker.named("forgotten")
    assert lab.lists(lab.seeder)


@pytest.mark.parametrize("down", [0.0, 0.3, 3.0, 20.0, 70.0, 200.0])
@pytest.mark.parametrize("keepalive", [0.5, 2.0, 5.0])
def test_a_restarted_tracker_lists_all_within_one_interval(down: float, keepalive: float) -> None:
    lab = Lab(1, keepalive=keepalive, timeout=3 * keepalive)
    lab.share()
    held = PieceSet(PIECES, range(5))
    lab.leecher.session.join(MEMBER, held, lab.simulation.now)
    assert lab.leecher.run(5.0, lambda: bool(lab.leecher.of(SwarmJoined)))
    lab.simulation.run(4 * keepalive + 0.1)
    lab.tracker.down = True
    lab.simulation.run(down)
    lab.tracker.restart()
    start = lab.simulation.now
    assert lab.simulation.run(10.0, lambda: lab.lists(lab.seeder) and lab.lists(lab.leecher))
    # Refused id, connect, unknown peer, started: four round trips of 2 ms.
    assert lab.simulation.now - start <= keepalive + 0.010
    registry = lab.tracker.core.registry
    named = registry.by_name.get("myfile.txt")
    assert named is not None
    assert (named.seeders, named.leechers) == (1, 1)
    lab.simulation.run(keepalive)
    found = registry.find(MEMBER.info_hash, lab.leecher.endpoint.ip, lab.leecher.endpoint.port)
    assert found is not None
    assert found.pieces == held


@pytest.mark.parametrize("seed", range(10))
def test_a_restart_over_a_lossy_link_heals(seed: int) -> None:
    lab = Lab(seed, BAD, keepalive=1.0, timeout=10.0)
    lab.share()
    lab.simulation.run(5.0)
    lab.tracker.restart()
    assert lab.simulation.run(30.0, lambda: lab.lists(lab.seeder))
    lab.simulation.run(30.0)
    assert lab.lists(lab.seeder)
    assert lab.seeder.session.keepalive == 1.0


def test_a_request_continues_after_the_trackers_restart() -> None:
    """The request is loaded from the journal, and the peer's outcome closes it."""
    lab = Lab(1)
    lab.share()
    done = lab.look_up()
    leecher, now = lab.leecher, lab.now
    leecher.session.join(MEMBER, PieceSet(PIECES), now())
    leecher.run(2.0)
    lab.tracker.restart()
    lab.tracker.core.restore(lab.tracker.of(RequestOpened), now())
    lab.simulation.run(2.0)
    leecher.session.report_outcome(outcome(leecher, done.found), now())
    assert leecher.run(5.0, lambda: bool(leecher.of(OutcomeRecorded)))
    (closed,) = lab.tracker.of(RequestClosed)
    assert closed.number == done.found.request
    assert closed.state is RequestState.SUCCEEDED


def test_a_silent_peer_expires_and_may_come_back() -> None:
    lab = Lab(1)
    lab.share()
    lab.simulation.run(3.0)
    lab.seeder.link.trouble = Trouble(down=True)
    cut = lab.simulation.now
    assert lab.simulation.run(5.0, lambda: not lab.lists(lab.seeder))
    assert 1.5 <= lab.simulation.now - cut <= 2.05
    lab.simulation.run(30.0)
    lab.seeder.link.trouble = Trouble()
    back = lab.simulation.now
    assert lab.simulation.run(5.0, lambda: lab.lists(lab.seeder))
    assert lab.simulation.now - back <= 0.52
    lab.simulation.run(0.1)
    assert lab.seeder.of(SwarmJoined)[-1] == SwarmJoined(again=True)


def test_a_name_is_refused_while_its_file_has_peers() -> None:
    lab = Lab(1)
    lab.share()
    other = lab.member("other", "198.18.0.7", 99)
    other.session.join(
        Membership(bytes(20), "myfile.txt", SIZE, 16_384), PieceSet.full(SIZE // 16_384), lab.simulation.now
    )
    assert other.run(5.0, lambda: bool(other.of(RequestRefused)))
    refused = other.of(RequestRefused)[0]
    assert refused.message.startswith("name taken: myfile.txt is another file here, held by seeder (198.18.0.9:6881)")
    lab.simulation.run(10.0)
    assert not lab.tracker.named("forgotten")
    named = lab.tracker.core.registry.by_name.get("myfile.txt")
    assert named is not None
    assert [holder.name for holder in lab.tracker.core.registry.members()] == ["seeder"]


@pytest.mark.parametrize("seed", range(30))
def test_a_late_started_event_does_not_revive_a_peer(seed: int) -> None:
    lab = Lab(seed, Trouble(duplicate=0.9, jitter=1.0), timeout=30.0)
    lab.share()
    lab.seeder.session.leave(lab.now(), 5.0)
    assert lab.seeder.run(30.0, lambda: bool(lab.seeder.of(SwarmLeft)))
    lab.simulation.run(5.0)
    assert not lab.lists(lab.seeder)


def test_an_unknown_piece_length_may_be_announced_later() -> None:
    """The piece length is announced once it is known; then pieces are reported."""
    lab = Lab(1)
    leecher, now = lab.leecher, lab.now
    leecher.session.join(Membership(MEMBER.info_hash, "myfile.txt", SIZE, 0), PieceSet(1), now())
    leecher.run(2.0)
    swarm = lab.tracker.core.registry.by_name.get("myfile.txt")
    assert swarm is not None
    assert swarm.piece_length is None
    held = PieceSet(PIECES, range(4))
    leecher.session.update_held(MEMBER, held)
    leecher.run(2.0)
    assert swarm.pieces == PIECES
    (member,) = lab.tracker.core.registry.members()
    assert member.pieces == held
    assert leecher.session.supports_extension
    assert leecher.session.keepalive == 0.5
