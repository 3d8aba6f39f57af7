"""A peer's standing with the tracker: join, keep-alive, what it holds, and the good-bye. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from torrentnet.peer.holdings import Holdings
from torrentnet.peer.lookup import LookupDone, PagedLookup, as_lookup
from torrentnet.peer.membership import Identity, Membership, pack_membership
from torrentnet.peer.requests import Answer, Kind, Refusal, Requests
from torrentnet.wire import udp
from torrentnet.wire.errors import PacketError
from torrentnet.wire.lookup import Found, parse_found
from torrentnet.wire.outcome import Outcome, pack_outcome, parse_noted
from torrentnet.wire.possession import parse_possessed

if TYPE_CHECKING:
    from torrentnet.wire.pieces import PieceSet

DEFAULT_KEEPALIVE = 5.0
SLOWEST_UNTOLD = 1.0
"""Seconds between repeats, at most, until the tracker has told its keep-alive: after a few of them it may forget us."""
MIN_KEEPALIVE, MAX_KEEPALIVE = 0.05, 3600.0
_UNKNOWN_PEER = "unknown peer"


@dataclass(frozen=True, slots=True)
class Joined:
    """The tracker knows us now (first time, or again after it had lost us)."""

    again: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The tracker refused what must not simply be repeated."""

    kind: Kind
    message: str


@dataclass(frozen=True, slots=True)
class OutcomeNoted:
    """The tracker has closed our request in its log."""


@dataclass(frozen=True, slots=True)
class Departed:
    """The tracker has taken note of our good-bye."""


@dataclass(frozen=True, slots=True)
class Silence:
    """The tracker does not answer any more (``silent``), or does again."""

    silent: bool


@dataclass(frozen=True, slots=True)
class PeersListed:
    """The tracker has listed peers of the swarm, whole or not."""

    peers: tuple[udp.Endpoint, ...]
    leechers: int
    """How many peers of the swarm lack something, whether they are listed or not."""


SessionEvent: TypeAlias = LookupDone | PeersListed | Joined | Refused | OutcomeNoted | Departed | Silence


class TrackerSession:
    """Speaks with one tracker for one peer.

    Feed it datagrams (:meth:`receive`), send what :meth:`datagrams` hands out, and call both again no later than
    :meth:`due`. ``now`` is any clock that does not jump, in seconds.

    ``known`` is what the peer was told of its file by a magnet link or a .torrent: nothing is asked by name then, and
    the peers are those that an announce lists, as any tracker of BEP 15 does. ``own`` is the peer's own address, which
    some trackers list too.
    """

    def __init__(
        self,
        identity: Identity,
        requests: Requests,
        known: Membership | None = None,
        own: udp.Endpoint | None = None,
    ) -> None:
        self._identity = identity
        self._requests = requests
        self._known = known
        self._own = own
        self._wants_peers = False
        self.want_peers = False
        """Whether every announce asks for peers of the swarm; :class:`PeersListed` tells them."""
        self._holdings = Holdings(identity, requests)
        self._keepalive = DEFAULT_KEEPALIVE
        requests.slowest = SLOWEST_UNTOLD
        self._next_keepalive: float | None = None
        self._ever_joined = False
        self._was_silent = False
        self._leaving = False
        self._goodbye_by: float | None = None
        self._published_at: float | None = None
        self.uploaded = 0
        self.downloaded = 0

    @property
    def keepalive(self) -> float:
        """Seconds between two keep-alives, as the tracker last said."""
        return self._keepalive

    @property
    def extended(self) -> bool:
        """False once the tracker has turned out to speak plain BEP 15 only."""
        return self._holdings.extended

    def lookup(self, name: str, request: int, now: float) -> None:
        """Ask who has the file ``name`` whole; ``request`` 0 begins a new row in the tracker's log.

        Where the file is known, ask for its peers: they may lack pieces, and nothing is logged.
        """
        if self._known is not None:
            self._ask_peers(self._known, now)
            return
        self._ask_lookup(PagedLookup(self._identity, name, request), now)

    def join(self, member: Membership, held: PieceSet, now: float) -> None:
        """Announce that we hold ``held`` (kept and looked at again) of a file, and keep doing so."""
        holdings = self._holdings
        if self._known is not None and holdings.joined:
            self.hold(member, held)
            return
        holdings.member, holdings.held = member, held
        holdings.joined = False
        self._announce(udp.Event.STARTED, now)

    def hold(self, member: Membership, held: PieceSet) -> None:
        """What is held of the file, known better now than when we joined; reported at once."""
        holdings = self._holdings
        told = holdings.member
        holdings.member, holdings.held = member, held
        holdings.again(0.0)
        if told is not None and told.piece_length != member.piece_length and self._next_keepalive is not None:
            self._next_keepalive = 0.0

    def announce_soon(self, now: float) -> None:
        """Let the next keep-alive come now, for what the tracker tells in its answer."""
        if self._next_keepalive is not None:
            self._next_keepalive = now

    def completed(self, now: float) -> None:
        """Announce that the last piece is there."""
        self._announce(udp.Event.COMPLETED, now)
        self._holdings.soon(now)

    def outcome(self, outcome: Outcome, now: float) -> None:
        """Report how the request ended, until the tracker has noted it."""
        self._requests.ask(
            Kind.OUTCOME,
            lambda cid, tid: pack_outcome(outcome._replace(connection_id=cid, transaction_id=tid)),
            now,
        )

    def leave(self, now: float, patience: float) -> None:
        """Say good-bye; :class:`Departed` follows when the tracker has heard it.

        A good-bye ends the requests that are open, so an outcome under way goes first: the good-bye waits for it, at
        most half of the ``patience`` (seconds) that the caller has.
        """
        self._leaving = True
        for kind in (Kind.LOOKUP, Kind.POSSESSION, Kind.ANNOUNCE):
            self._requests.forget(kind)
        if self._holdings.member:
            self._goodbye_by = now + patience / 2
        self._next_keepalive = None

    @property
    def knows_no_names(self) -> bool:
        """Whether the tracker has given us a connection id and then left several look-ups unanswered."""
        return self._requests.unanswered(Kind.LOOKUP)

    @property
    def settled(self) -> bool:
        """Whether everything that was to be said has been said, and answered."""
        return self._goodbye_by is None and not any(self._requests.busy(kind) for kind in Kind)

    def due(self, now: float) -> float | None:
        """When to call :meth:`datagrams` next."""
        times = [self._requests.due(), self._next_keepalive]
        if not self._leaving:
            times.append(self._holdings.due(now))
        if self._goodbye_by is not None:
            times.append(self._goodbye_by if self._requests.busy(Kind.OUTCOME) else now)
        return min((time for time in times if time is not None), default=None)

    def datagrams(self, now: float) -> list[bytes]:
        """What to send to the tracker now."""
        if self._next_keepalive is not None and now >= self._next_keepalive:
            self._next_keepalive = now + self._keepalive
            if not self._requests.busy(Kind.ANNOUNCE):
                self._announce(udp.Event.NONE if self._holdings.joined else udp.Event.STARTED, now)
        if not self._leaving:
            self._holdings.tick(now, self._keepalive)
        if self._goodbye_by is not None and (now >= self._goodbye_by or not self._requests.busy(Kind.OUTCOME)):
            self._goodbye_by = None
            self._announce(udp.Event.STOPPED, now)
            self._next_keepalive = None
        return self._requests.datagrams(now)

    def receive(self, data: bytes, now: float) -> list[SessionEvent]:
        """Take a datagram from the tracker."""
        events: list[SessionEvent] = []
        try:
            answer = self._requests.receive(data, now)
            if isinstance(answer, Refusal):
                self._take_refusal(answer, now, events)
            elif answer:
                self._take_answer(answer, now, events)
        except PacketError:
            self._requests.dropped += 1
        events.extend(self.silence())
        return events

    def silence(self) -> list[SessionEvent]:
        """Whether the tracker has fallen silent or come back since the last call."""
        if self._requests.silent == self._was_silent:
            return []
        self._was_silent = self._requests.silent
        return [Silence(self._was_silent)]

    def _take_answer(self, answer: Answer, now: float, events: list[SessionEvent]) -> None:
        if answer.kind is not Kind.ANNOUNCE:
            self._holdings.speaks_extension()
        if answer.kind is Kind.LOOKUP:
            assert isinstance(answer.tag, PagedLookup)
            self._take_found(parse_found(answer.reply), answer.tag, now, events)
        elif answer.kind is Kind.ANNOUNCE:
            self._take_announced(udp.parse_announced(answer.reply), answer.tag, now, events)
        elif answer.kind is Kind.POSSESSION:
            possessed = parse_possessed(answer.reply)
            self._set_keepalive(possessed.keepalive_ms, now)
            self._holdings.answered(now)
        else:
            parse_noted(answer.reply)
            events.append(OutcomeNoted())

    def _take_announced(self, announced: udp.Announced, tag: object, now: float, events: list[SessionEvent]) -> None:
        holdings = self._holdings
        if tag is udp.Event.STOPPED:
            holdings.joined = False
            events.append(Departed())
            return
        holdings.announce_answered()
        if not holdings.extended:
            self._set_keepalive(announced.interval * 1000, now)
        if not holdings.joined:
            holdings.joined = True
            holdings.again(now)
            events.append(Joined(again=self._ever_joined))
            self._ever_joined = True
        if self.want_peers and announced.peers:
            events.append(PeersListed(announced.peers, announced.leechers))
        if self._wants_peers and self._known is not None:
            self._wants_peers = False
            events.append(as_lookup(self._known, announced, self._own))

    def _take_refusal(self, refusal: Refusal, now: float, events: list[SessionEvent]) -> None:
        if refusal.tag is udp.Event.STOPPED:
            events.append(Departed())
            return
        if refusal.message.startswith(_UNKNOWN_PEER):
            # It was restarted, or we were silent for too long: publish again, nothing needs a human. At once, or
            # with the next keep-alive where that was done just now: one that knows nobody must not be flooded.
            if self._holdings.member and not self._leaving:
                self._holdings.joined = False
                if self._published_at is None or now - self._published_at >= self._keepalive:
                    self._announce(udp.Event.STARTED, now)
            return
        if refusal.kind is Kind.POSSESSION:
            self._holdings.refused()
            return
        events.append(Refused(refusal.kind, refusal.message))

    def _take_found(self, found: Found, lookup: PagedLookup, now: float, events: list[SessionEvent]) -> None:
        self._set_keepalive(found.keepalive_ms, now)
        done = lookup.take(found)
        if done is None:
            self._ask_lookup(lookup, now)
        else:
            events.append(done)

    def _ask_peers(self, known: Membership, now: float) -> None:
        holdings = self._holdings
        if holdings.member is None:
            holdings.member, holdings.held = known, known.none_held()
        self._wants_peers = True
        self._announce(udp.Event.NONE if holdings.joined else udp.Event.STARTED, now)

    def _ask_lookup(self, lookup: PagedLookup, now: float) -> None:
        self._requests.ask(Kind.LOOKUP, lookup.pack, now, lookup)

    def _announce(self, event: udp.Event, now: float) -> None:
        member, held = self._holdings.member, self._holdings.held
        assert member is not None and held is not None

        def build(connection_id: int, transaction_id: int) -> bytes:
            return pack_membership(
                connection_id,
                transaction_id,
                self._identity,
                member,
                held,
                event,
                downloaded=self.downloaded,
                uploaded=self.uploaded,
                peers=self._wants_peers or self.want_peers,
            )

        self._requests.ask(Kind.ANNOUNCE, build, now, event)
        self._next_keepalive = now + self._keepalive
        if event is udp.Event.STARTED:
            self._published_at = now

    def _set_keepalive(self, milliseconds: int, now: float) -> None:
        keepalive = min(max(milliseconds / 1000, MIN_KEEPALIVE), MAX_KEEPALIVE)
        self._requests.slowest = keepalive
        if keepalive == self._keepalive:
            return
        self._keepalive = keepalive
        self._holdings.soon(now + keepalive)
        if self._next_keepalive is not None:
            self._next_keepalive = min(self._next_keepalive, now + keepalive)
