"""A peer's tracker session in virtual time.

The tracker is the real tracker's core or a scripted tracker.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from tests.event_check import check_event
from tests.unit.wire.samples import pack_lookup_reply
from torrentnet.peer.tracker_client.membership import AnnounceIdentity, Membership
from torrentnet.peer.tracker_client.requests import PendingRequests
from torrentnet.peer.tracker_client.session import TrackerSession
from torrentnet.runtime.event_table import TRACKER
from torrentnet.runtime.events import parse_event
from torrentnet.tracker.core import Core
from torrentnet.tracker.settings import TrackerSettings
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.connection_id import ConnectionIds
from torrentnet.wire.udp.lookup import LookupHolder, LookupReply, LookupRequest, parse_lookup
from torrentnet.wire.udp.outcome import OutcomeReport, pack_outcome_reply, parse_outcome
from torrentnet.wire.udp.packets import Action, AnnounceRequest
from torrentnet.wire.udp.possession import PossessionReply, PossessionReport, pack_possession_reply, parse_possession
from torrentnet.wire.udp.url_data import parse_publication

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.unit.peer.simulation import Simulation, UdpLink
    from torrentnet.peer.tracker_client.session_events import SessionEvent
    from torrentnet.tracker.journal.records import Record

T = TypeVar("T")

ENDPOINT = Endpoint("198.18.0.4", 6881)
EPOCH = 1_795_436_951.0
"""2026-11-23T12:29:11Z: the time of day at virtual second 0."""
HASH = bytes(range(20))
SIZE, PIECE = 8 * 1024 * 1024, 256 * 1024
PIECES = SIZE // PIECE
MEMBER = Membership(HASH, "myfile.txt", SIZE, PIECE)
UNKNOWN = "unknown peer: announce with the event started"


class Tracker(Protocol):
    """A party that replies to datagrams."""

    def handle(self, data: bytes, source: tuple[str, int], now: float) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the tracker."""

    time: float
    name: str
    fields: dict[str, object]


class RealTracker:
    """The tracker's core; ``restart`` makes it lose its memory and its secret."""

    def __init__(self, simulation: Simulation, keepalive: float = 0.5, timeout: float = 2.0, seed: int = 0) -> None:
        self._simulation = simulation
        self._settings = TrackerSettings(keepalive, timeout)
        self._seed = seed
        self._lives = 0
        self.down = False
        self.records: list[Record] = []
        self.events: list[Event] = []
        self.core = self._make()
        self._watch()

    def _make(self) -> Core:
        self._lives += 1
        return Core(
            self._settings,
            ConnectionIds(f"secret of life {self._lives:8}".encode(), self._simulation.now),
            emit=self._emit,
            emit_lines=self._tell,
            write=self.records.extend,
            wall_clock=lambda: EPOCH + self._simulation.now,
            random=random.Random(self._seed),
            first_request=100 * self._lives,
        )

    def restart(self) -> None:
        """Restart without any memory of peers."""
        self.core = self._make()
        self.down = False

    def _emit(self, event: str, /, **fields: object) -> None:
        kept = {key.rstrip("_"): value for key, value in fields.items() if value is not None}
        self.events.append(Event(self._simulation.now, event, kept))

    def _tell(self, lines: Sequence[str]) -> None:
        for line in lines:
            event = parse_event(line)
            assert event is not None
            assert not check_event(event.name, set(event.fields), TRACKER)
            self.events.append(Event(self._simulation.now, event.name, dict(event.fields)))

    def _watch(self) -> None:
        if not self.down and self.core.next_deadline <= self._simulation.now:
            self.core.expire(self._simulation.now)
        self._simulation.after(0.01, self._watch)

    def handle(self, data: bytes, source: tuple[str, int], now: float) -> bytes | None:
        """Return the core's replies; none while it is down."""
        return None if self.down else self.core.handle(data, source, now)

    def named(self, *names: str) -> list[Event]:
        """Return the events of these names."""
        return [event for event in self.events if event.name in names]

    def of(self, kind: type[T]) -> list[T]:
        """Return the journal records of one kind."""
        return [record for record in self.records if isinstance(record, kind)]


@dataclass
class ScriptedTracker:
    """Replies as the test wants, and keeps every request with its time, repeats too."""

    keepalive_ms: int = 500
    interval: int = 5
    extended: bool = True
    """Whether it speaks the extension; else it replies ``unknown action``."""
    deaf: bool = False
    deaf_to: set[int] = field(default_factory=set)
    """Actions that it leaves unanswered."""
    refuse: dict[int, str] = field(default_factory=dict)
    """Actions to which it replies with this error."""
    holders: list[LookupHolder] = field(default_factory=list)
    piece_length: int = PIECE
    page: int = 30
    connects: int = 0
    asked: list[tuple[float, AnnounceRequest | LookupRequest | PossessionReport | OutcomeReport]] = field(
        default_factory=list
    )
    ids: int = 0x1000

    def handle(self, data: bytes, source: tuple[str, int], now: float) -> bytes | None:
        head = packets.parse_head(data)
        if self.deaf or head.action in self.deaf_to:
            return None
        tid = head.transaction_id
        if head.action == Action.CONNECT:
            self.connects += 1
            return packets.pack_connect_reply(tid, self.ids)
        if head.connection_id != self.ids:
            return packets.pack_error(tid, "connection id refused: connect again")
        if head.action != Action.ANNOUNCE and not self.extended:
            return packets.pack_error(tid, f"unknown action {head.action}")
        self.asked.append((now, _parse(data, head.action)))
        if head.action in self.refuse:
            return packets.pack_error(tid, self.refuse[head.action])
        return self._answer(self.asked[-1][1], tid)

    def _answer(self, request: AnnounceRequest | LookupRequest | PossessionReport | OutcomeReport, tid: int) -> bytes:
        if isinstance(request, AnnounceRequest):
            return packets.pack_announce_reply(tid, self.interval, 0, 1, b"")
        if isinstance(request, PossessionReport):
            return pack_possession_reply(PossessionReply(tid, self.keepalive_ms, 2_000, len(request.window)))
        if isinstance(request, OutcomeReport):
            return pack_outcome_reply(tid, request.request)
        page = tuple(self.holders[request.first : request.first + self.page])
        known = bool(self.holders)
        return pack_lookup_reply(
            LookupReply(
                tid,
                known,
                request.request or 7,
                self.keepalive_ms,
                2_000,
                HASH if known else bytes(20),
                SIZE if known else 0,
                self.piece_length if known else 0,
                len(self.holders),
                0,
                request.first,
                page,
            )
        )

    def requests(self, kind: type[T]) -> list[T]:
        """Return the requests of one kind."""
        return [request for _, request in self.asked if isinstance(request, kind)]

    def announces(self) -> list[tuple[float, packets.AnnounceEvent]]:
        """Return the announces: time and event."""
        return [
            (time, packets.AnnounceEvent(request.event))
            for time, request in self.asked
            if isinstance(request, AnnounceRequest)
        ]


def _parse(data: bytes, action: int) -> AnnounceRequest | LookupRequest | PossessionReport | OutcomeReport:
    if action == Action.ANNOUNCE:
        announce = packets.parse_announce(data)
        parse_publication(announce.options)
        return announce
    if action == Action.LOOKUP:
        return parse_lookup(data)
    if action == Action.POSSESSION:
        return parse_possession(data)
    assert action == Action.OUTCOME
    return parse_outcome(data)


class Member:
    """One peer's session as its loop drives it, with a link of its own to ``tracker``."""

    def __init__(
        self,
        simulation: Simulation,
        link: UdpLink,
        tracker: Tracker,
        *,
        name: str = "peer-1",
        endpoint: Endpoint = ENDPOINT,
        seed: int = 1,
        known: Membership | None = None,
    ) -> None:
        rng = random.Random(seed)
        self.simulation = simulation
        self.link = link
        self.tracker = tracker
        self.endpoint = endpoint
        self.identity = AnnounceIdentity(name, b"-NL0100-" + rng.randbytes(12), endpoint.port, rng.getrandbits(32))
        self.requests = PendingRequests(rng)
        self.session = TrackerSession(self.identity, self.requests, known, endpoint)
        self.events: list[tuple[float, SessionEvent]] = []
        self.heard: Callable[[SessionEvent], None] = lambda event: None
        self.alive = True
        self.sent = 0
        self._source = (endpoint.ip, 40_000 + seed)
        self._wake_at: float | None = None

    def poll(self) -> None:
        """Do what the loop does: send what is due, and schedule the next call."""
        now = self.simulation.now
        if not self.alive:
            return
        for data in self.session.datagrams_to_send(now):
            self.sent += 1
            self.link.send(data, self._arrive)
        self._take(self.session.poll_silence())
        due = self.session.due(now)
        if due is not None and (self._wake_at is None or due < self._wake_at or self._wake_at <= now):
            self._wake_at = due
            self.simulation.at(due, self._wake)

    def _wake(self) -> None:
        if self._wake_at is not None and self.simulation.now >= self._wake_at:
            self._wake_at = None
        self.poll()

    def _arrive(self, data: bytes) -> None:
        answer = self.tracker.handle(data, self._source, self.simulation.now)
        if answer is not None:
            self.link.send(answer, self.receive)

    def receive(self, data: bytes) -> None:
        """Receive a datagram from the tracker.

        The datagram may also come from a party that pretends to be the tracker.
        """
        if self.alive:
            self._take(self.session.receive_datagram(data, self.simulation.now))
            self.poll()

    def _take(self, events: list[SessionEvent]) -> None:
        for event in events:
            self.events.append((self.simulation.now, event))
            self.heard(event)

    def of(self, kind: type[T]) -> list[T]:
        """Return the session's events of one kind."""
        return [event for _, event in self.events if isinstance(event, kind)]

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass, after one round of the loop."""
        self.poll()
        return self.simulation.run(seconds, until)
