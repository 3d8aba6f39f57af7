"""A peer's session with a scripted tracker."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.simulation import Simulation, Trouble, UdpLink
from tests.unit.peer.trackers import MEMBER, PIECES, SIZE, UNKNOWN, Member, ScriptedTracker
from torrentnet.peer.tracker_client.lookup import LookupResult
from torrentnet.peer.tracker_client.membership import Membership
from torrentnet.peer.tracker_client.requests import RequestKind
from torrentnet.peer.tracker_client.session_events import (
    OutcomeRecorded,
    RequestRefused,
    SilenceChanged,
    SwarmJoined,
    SwarmLeft,
)
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.piece_set import MAX_WINDOW, PieceSet
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.lookup import LookupHolder, LookupRequest
from torrentnet.wire.udp.outcome import OutcomeReport, OutcomeResult
from torrentnet.wire.udp.packets import Action, AnnounceEvent, AnnounceRequest
from torrentnet.wire.udp.possession import PossessionReport
from torrentnet.wire.udp.url_data import Publication, parse_publication

if TYPE_CHECKING:
    from collections.abc import Iterable

ROUND_TRIP = 0.0021
"""Delay of an announce for which a connection id must be requested first."""


class ScriptedMember(Member):
    """A member whose tracker is scripted."""

    tracker: ScriptedTracker


def make(tracker: ScriptedTracker | None = None, trouble: Trouble | None = None) -> ScriptedMember:
    simulation = Simulation()
    return ScriptedMember(simulation, UdpLink(simulation, random.Random(1), trouble), tracker or ScriptedTracker())


def joined(
    tracker: ScriptedTracker | None = None, held: PieceSet | None = None, trouble: Trouble | None = None
) -> ScriptedMember:
    member = make(tracker, trouble)
    member.session.join(MEMBER, PieceSet.full(PIECES) if held is None else held, member.simulation.now)
    assert member.run(30.0, lambda: bool(member.of(SwarmJoined)))
    return member


def gaps(times: Iterable[float]) -> list[float]:
    return [round(later - earlier, 6) for earlier, later in itertools.pairwise(times)]


def outcome(request: int = 7) -> OutcomeReport:
    return OutcomeReport(0, 0, OutcomeResult.SUCCEEDED, 6881, bytes(20), bytes(20), request, SIZE, 1_000, (), "")


# -- Joining ---------------------------------------------------------------------------------------


def test_a_join_publishes_name_size_piece_length_and_peer() -> None:
    member = joined()
    announce = member.tracker.requests(AnnounceRequest)[0]
    assert announce.event == AnnounceEvent.STARTED
    assert (announce.left, announce.port, announce.ip) == (0, 6881, 0)
    assert announce.peer_id == member.identity.peer_id
    assert announce.key == member.identity.key
    assert parse_publication(announce.options) == Publication("myfile.txt", SIZE, 256 * 1024, "peer-1", extended=True)
    assert [event for _, event in member.events] == [SwarmJoined(again=False)]


def test_nothing_is_reported_without_a_piece_length() -> None:
    member = make()
    member.session.join(Membership(bytes(20), "a", SIZE, 0), PieceSet(1), member.simulation.now)
    member.run(3.0)
    for announce in member.tracker.requests(AnnounceRequest):
        assert parse_publication(announce.options).piece_length is None
        assert announce.left == SIZE
    assert member.tracker.requests(PossessionReport) == []
    # Both are reported as soon as they are known.
    member.session.update_held(MEMBER, PieceSet(PIECES, [1]))
    member.run(1.0)
    last = member.tracker.requests(AnnounceRequest)[-1]
    assert parse_publication(last.options).piece_length == 256 * 1024
    report = member.tracker.requests(PossessionReport)[-1]
    assert (report.pieces, len(report.window)) == (PIECES, 1)


# -- Keep-alive ------------------------------------------------------------------------------------


@pytest.mark.parametrize("keepalive_ms", [50, 500, 2_000, 5_000, 60_000])
def test_the_keepalive_interval_is_the_trackers(keepalive_ms: int) -> None:
    member = joined(ScriptedTracker(keepalive_ms=keepalive_ms))
    seconds = keepalive_ms / 1000
    member.run(5.0 + seconds)
    start = len(member.tracker.announces())
    member.run(12 * seconds)
    announces = member.tracker.announces()[start:]
    assert {event for _, event in announces} == {AnnounceEvent.NONE}
    assert len(announces) == 12
    assert gaps(time for time, _ in announces) == [pytest.approx(seconds, abs=ROUND_TRIP)] * 11


def test_a_new_keepalive_takes_effect_at_once() -> None:
    tracker = ScriptedTracker(keepalive_ms=60_000)
    member = joined(tracker)
    member.run(1.0)
    tracker.keepalive_ms = 500
    member.session.lookup("myfile.txt", 0, member.simulation.now)
    member.run(0.1)
    start = len(tracker.announces())
    member.run(3.0)
    assert len(tracker.announces()) - start in {5, 6}


def test_an_absurd_keepalive_is_bounded() -> None:
    for milliseconds in (0, 1, 0xFFFFFFFF):
        member = joined(ScriptedTracker(keepalive_ms=milliseconds))
        member.run(10.0)
        assert 0.05 <= member.session.keepalive <= 3_600.0
        assert member.sent <= 10.0 / 0.05 + 10


def test_before_the_first_reply_a_request_is_retried_every_second() -> None:
    """Retries are frequent, because the tracker may list the peer already.

    A tracker whose first reply is lost lists the peer, and expires it after a few keep-alive intervals.
    """
    member = make()
    member.tracker.deaf = True
    member.session.lookup("myfile.txt", 0, member.simulation.now)
    member.run(4.0)
    sent = member.sent
    member.run(10.0)
    assert 10 <= member.sent - sent <= 13


def test_a_lost_keepalive_is_retried_before_the_next() -> None:
    member = joined(ScriptedTracker(keepalive_ms=5_000))
    member.run(1.0)
    sent, tracker = member.sent, member.tracker
    tracker.deaf = True
    assert member.run(10.0, lambda: member.sent > sent)
    missed = member.simulation.now
    tracker.deaf = False
    start = len(tracker.announces())
    assert member.run(10.0, lambda: len(tracker.announces()) > start)
    assert member.simulation.now - missed < 1.0


# -- Possession ------------------------------------------------------------------------------------


def test_new_pieces_are_reported_once_per_keepalive() -> None:
    held = PieceSet(PIECES)
    member = joined(ScriptedTracker(keepalive_ms=1_000), held)
    member.run(0.5)
    assert len(member.tracker.requests(PossessionReport)) == 1
    for piece in range(20):
        held.add(piece)
        member.run(0.1)
    assert len(member.tracker.requests(PossessionReport)) in {3, 4}
    member.run(5.0)
    reports = member.tracker.requests(PossessionReport)
    assert len(reports) in {3, 4, 5}
    assert reports[-1].window == PieceSet(PIECES, range(20))
    member.run(20.0)
    assert len(member.tracker.requests(PossessionReport)) == len(reports)


def test_many_pieces_are_reported_in_windows() -> None:
    pieces = 2 * MAX_WINDOW + 7
    rng = random.Random(5)
    held = PieceSet(pieces, (piece for piece in range(pieces) if rng.random() < 0.5))
    member = make()
    member.session.join(Membership(bytes(20), "large", pieces * 16_384, 16_384), held, member.simulation.now)
    member.run(5.0)
    seen = PieceSet(pieces)
    reports = member.tracker.requests(PossessionReport)
    assert len(reports) == 3
    for report in reports:
        seen.replace_window(report.first, report.window)
    assert seen == held


def test_a_lost_window_is_retried_before_the_next() -> None:
    pieces = 3 * MAX_WINDOW
    member = make(trouble=Trouble(loss=0.4, duplicate=0.2, jitter=0.4))
    member.session.join(
        Membership(bytes(20), "large", pieces * 16_384, 16_384),
        PieceSet(pieces, [0, pieces - 1]),
        member.simulation.now,
    )
    member.run(60.0)
    assert {report.first for report in member.tracker.requests(PossessionReport)} == {0, MAX_WINDOW, 2 * MAX_WINDOW}


# -- Look-ups --------------------------------------------------------------------------------------


def holders(count: int) -> list[LookupHolder]:
    return [LookupHolder(Endpoint(f"198.18.{n // 200}.{n % 200 + 1}", 6881), f"seeder-{n}") for n in range(count)]


@pytest.mark.parametrize("count", [0, 1, 29, 30, 31, 95])
def test_a_lookup_collects_all_pages_in_one_request(count: int) -> None:
    member = make(ScriptedTracker(holders=holders(count)))
    member.session.lookup("myfile.txt", 0, member.simulation.now)
    assert member.run(5.0, lambda: bool(member.of(LookupResult)))
    (done,) = member.of(LookupResult)
    assert list(done.holders) == holders(count)
    assert done.found.found == (count > 0)
    pages = member.tracker.requests(LookupRequest)
    assert len(pages) == max(1, -(-count // 30))
    assert [page.request for page in pages] == [0] + [7] * (len(pages) - 1)
    assert {(page.name, page.peer) for page in pages} == {("myfile.txt", "peer-1")}


# -- Expired and refused peers ---------------------------------------------------------------------


def test_an_unknown_peer_joins_again() -> None:
    member = joined()
    tracker = member.tracker
    member.run(2.0)
    tracker.refuse = {Action.ANNOUNCE: UNKNOWN}
    before = len(tracker.announces())
    assert member.run(2.0, lambda: len(tracker.announces()) > before)
    tracker.refuse = {}
    assert member.run(1.0, lambda: len(member.of(SwarmJoined)) == 2)
    assert tracker.announces()[-1][1] == AnnounceEvent.STARTED
    assert member.of(SwarmJoined)[-1] == SwarmJoined(again=True)


def test_a_report_of_an_unknown_peer_makes_it_join_again() -> None:
    held = PieceSet(PIECES)
    member = joined(held=held)
    tracker = member.tracker
    member.run(2.0)
    tracker.refuse = {Action.POSSESSION: UNKNOWN}
    held.add(1)
    reported = len(tracker.requests(PossessionReport))
    assert member.run(2.0, lambda: len(tracker.requests(PossessionReport)) > reported)
    tracker.refuse = {}
    member.run(1.0)
    assert tracker.announces()[-2][1] == AnnounceEvent.STARTED
    assert member.events[-1][1] == SwarmJoined(again=True)
    assert member.session.supports_extension
    last = tracker.requests(PossessionReport)[-1]
    assert 1 in last.window


def test_a_tracker_that_lists_no_peer_is_not_flooded() -> None:
    member = make(ScriptedTracker(refuse={Action.ANNOUNCE: UNKNOWN}), Trouble(delay=0.01))
    member.session.join(MEMBER, PieceSet.full(PIECES), member.simulation.now)
    member.run(60.0)
    assert member.sent <= 60 / 0.5 * 3


@pytest.mark.parametrize("keepalive", [0.25, 1.0, 5.0])
@pytest.mark.parametrize("age", [0.1, 3.0, 59.9])
def test_a_restarted_tracker_lists_the_peer_within_one_interval(keepalive: float, age: float) -> None:
    member = joined(ScriptedTracker(keepalive_ms=round(keepalive * 1_000)))
    member.run(age)
    tracker = member.tracker
    tracker.ids += 1
    tracker.refuse = {Action.ANNOUNCE: UNKNOWN}
    before = len(tracker.announces())
    start = member.simulation.now
    assert member.run(6.0, lambda: len(tracker.announces()) > before)
    tracker.refuse = {}
    assert member.run(6.0, lambda: len(member.of(SwarmJoined)) == 2)
    assert member.simulation.now - start <= keepalive + 0.02


def test_a_refused_request_is_reported_and_not_repeated() -> None:
    member = make(ScriptedTracker(refuse={Action.ANNOUNCE: "name taken: it is another file"}))
    member.session.join(MEMBER, PieceSet.full(PIECES), member.simulation.now)
    assert member.run(1.0, lambda: bool(member.of(RequestRefused)))
    assert member.of(RequestRefused)[0] == RequestRefused(RequestKind.ANNOUNCE, "name taken: it is another file")


def test_a_refused_lookup_is_reported() -> None:
    member = make(ScriptedTracker(refuse={Action.LOOKUP: "the tracker is full"}))
    member.session.lookup("myfile.txt", 0, member.simulation.now)
    member.run(10.0)
    assert [event for _, event in member.events] == [RequestRefused(RequestKind.LOOKUP, "the tracker is full")]


# -- Trackers without the extension ----------------------------------------------------------------


def test_a_plain_tracker_is_detected_by_its_error() -> None:
    member = joined(ScriptedTracker(extended=False, interval=30))
    member.run(5.0)
    assert not member.session.supports_extension
    start = len(member.tracker.announces())
    member.run(310.0)
    announces = member.tracker.announces()[start:]
    assert gaps(time for time, _ in announces)[1:] == [pytest.approx(30.0, abs=ROUND_TRIP)] * (len(announces) - 2)
    assert len(announces) in {10, 11}


def test_a_plain_tracker_is_detected_by_its_silence() -> None:
    member = joined(ScriptedTracker(deaf_to={Action.POSSESSION}, interval=30))
    member.run(120.0)
    assert not member.session.supports_extension
    assert member.session.keepalive == 30.0
    assert not member.of(SilenceChanged)
    count = member.sent
    member.run(120.0)
    assert member.sent - count <= 12


def test_a_tracker_that_used_the_extension_never_counts_as_plain() -> None:
    """A report is lost while keep-alives arrive.

    A retry after several seconds would be too slow.
    """
    held = PieceSet(PIECES)
    member = joined(ScriptedTracker(keepalive_ms=500, interval=5), held)
    member.run(2.0)
    tracker = member.tracker
    tracker.deaf_to = {Action.POSSESSION}
    held.add(3)
    member.run(10.0)
    assert member.session.supports_extension
    assert member.session.keepalive == 0.5
    tracker.deaf_to = set()
    member.run(2.0)
    last = tracker.requests(PossessionReport)[-1]
    assert 3 in last.window


def test_a_refused_report_changes_nothing_else() -> None:
    held = PieceSet(PIECES)
    member = joined(ScriptedTracker(keepalive_ms=500, interval=5), held)
    member.run(2.0)
    tracker = member.tracker
    tracker.refuse = {Action.POSSESSION: "the tracker is full: no more room for possession reports"}
    held.add(3)
    member.run(5.0)
    start = len(tracker.announces())
    member.run(5.0)
    assert len(tracker.announces()) - start in {9, 10, 11}


# -- Silence ---------------------------------------------------------------------------------------


def test_silence_and_return_are_reported_once_each() -> None:
    member = joined()
    tracker = member.tracker
    member.run(2.0)
    tracker.deaf = True
    member.run(60.0)
    assert member.of(SilenceChanged) == [SilenceChanged(silent=True)]
    tracker.deaf = False
    member.run(30.0)
    assert member.of(SilenceChanged) == [
        SilenceChanged(silent=True),
        SilenceChanged(silent=False),
    ]


def test_an_absent_tracker_is_silent_from_the_start() -> None:
    member = make(ScriptedTracker(deaf=True))
    member.session.lookup("myfile.txt", 0, member.simulation.now)
    assert member.run(10.0, lambda: bool(member.of(SilenceChanged)))


# -- Outcome and leaving ---------------------------------------------------------------------------


def test_an_outcome_is_retried_until_it_is_recorded() -> None:
    member = joined()
    tracker = member.tracker
    member.run(1.0)
    tracker.deaf_to = {Action.OUTCOME}
    member.session.report_outcome(outcome(), member.simulation.now)
    member.run(20.0)
    assert not member.of(OutcomeRecorded)
    assert not member.session.is_settled
    tracker.deaf_to = set()
    assert member.run(5.0, lambda: bool(member.of(OutcomeRecorded)))
    recorded = tracker.requests(OutcomeReport)[-1]
    assert (recorded.request, recorded.transferred, recorded.elapsed_ms) == (7, SIZE, 1_000)


def test_the_stopped_event_is_the_last_request() -> None:
    member = joined()
    tracker = member.tracker
    member.run(1.0)
    member.session.leave(member.simulation.now, 0.6)
    assert member.run(0.5, lambda: bool(member.of(SwarmLeft)))
    assert member.session.is_settled
    before = len(tracker.asked)
    member.run(30.0)
    assert len(tracker.asked) == before
    assert tracker.announces()[-1][1] == AnnounceEvent.STOPPED


def test_leaving_before_joining_sends_nothing() -> None:
    member = make()
    member.session.lookup("myfile.txt", 0, member.simulation.now)
    member.session.leave(member.simulation.now, 0.6)
    member.run(30.0)
    assert member.sent == 0
    assert member.session.is_settled


@pytest.mark.parametrize("text", [UNKNOWN, "the tracker is full"])
def test_a_refused_stopped_event_ends_the_session(text: str) -> None:
    member = joined()
    member.run(1.0)
    member.tracker.refuse = {Action.ANNOUNCE: text}
    member.session.leave(member.simulation.now, 0.6)
    member.run(10.0)
    assert member.session.is_settled
    assert {event for _, event in member.tracker.announces()[-2:]} <= {AnnounceEvent.NONE, AnnounceEvent.STOPPED}
    assert member.tracker.announces()[-1][1] == AnnounceEvent.STOPPED


@pytest.mark.parametrize("deaf_to", [set(), {Action.OUTCOME}], ids=["recorded", "unanswered"])
def test_the_stopped_event_waits_for_the_outcome_in_time(deaf_to: set[int]) -> None:
    tracker = ScriptedTracker(deaf_to=deaf_to)
    member = joined(tracker, held=PieceSet(PIECES))
    member.run(1.0)
    member.session.report_outcome(outcome(), member.simulation.now)
    member.session.leave(member.simulation.now, 0.6)
    assert member.run(0.5, lambda: bool(member.of(SwarmLeft)))
    if not deaf_to:
        assert [type(request) for _, request in tracker.asked[-2:]] == [OutcomeReport, AnnounceRequest]


@pytest.mark.parametrize("action", [Action.ANNOUNCE, Action.LOOKUP, Action.POSSESSION, Action.OUTCOME])
def test_truncated_replies_are_ignored(action: Action) -> None:
    """They count as lost."""

    class Broken(ScriptedTracker):
        def handle(self, data: bytes, source: tuple[str, int], now: float) -> bytes | None:
            answer = super().handle(data, source, now)
            return answer[:11] if answer and packets.parse_head(data).action == action else answer

    member = make(Broken(holders=holders(2)))
    now = member.simulation.now
    member.session.join(MEMBER, PieceSet(PIECES), now)
    member.session.lookup("myfile.txt", 0, now)
    member.session.report_outcome(outcome(), now)
    member.run(30.0)
    assert bool(member.of(SwarmJoined)) == (action != Action.ANNOUNCE)
    assert bool(member.of(LookupResult)) == (action != Action.LOOKUP)
    assert bool(member.of(OutcomeRecorded)) == (action != Action.OUTCOME)
