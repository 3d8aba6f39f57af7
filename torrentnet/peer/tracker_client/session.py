"""A peer's standing with the tracker: join, keep-alive, what it holds, and the good-bye. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from torrentnet.peer.tracker_client.lookup import LookupResult, PagedLookup, lookup_from_announce
from torrentnet.peer.tracker_client.membership import AnnounceIdentity, Membership, build_announce
from torrentnet.peer.tracker_client.possession_reporter import PossessionReporter
from torrentnet.peer.tracker_client.requests import PendingRequests, RequestKind, TrackerErrorReply, TrackerReply
from torrentnet.wire.errors import PacketError
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.lookup import LookupReply, parse_lookup_reply
from torrentnet.wire.udp.outcome import OutcomeReport, pack_outcome, parse_outcome_reply
from torrentnet.wire.udp.possession import parse_possession_reply

if TYPE_CHECKING:
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.piece_set import PieceSet

DEFAULT_KEEPALIVE = 5.0
INITIAL_MAX_RETRY_PAUSE = 1.0
"""Seconds between repeats, at most, until the tracker has told its keep-alive: after a few of them it may forget us."""
MIN_KEEPALIVE, MAX_KEEPALIVE = 0.05, 3600.0
_UNKNOWN_PEER = "unknown peer"


@dataclass(frozen=True, slots=True)
class SwarmJoined:
    """The tracker knows us now (first time, or again after it had lost us)."""

    again: bool


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """The tracker refused what must not simply be repeated."""

    kind: RequestKind
    message: str


@dataclass(frozen=True, slots=True)
class OutcomeRecorded:
    """The tracker has closed our request in its log."""


@dataclass(frozen=True, slots=True)
class SwarmLeft:
    """The tracker has taken note of our good-bye."""


@dataclass(frozen=True, slots=True)
class SilenceChanged:
    """The tracker does not answer any more (``silent``), or does again."""

    silent: bool


@dataclass(frozen=True, slots=True)
class PeersReceived:
    """The tracker has listed peers of the swarm, whole or not."""

    peers: tuple[Endpoint, ...]
    leechers: int
    """How many peers of the swarm lack something, whether they are listed or not."""


SessionEvent: TypeAlias = (
    LookupResult | PeersReceived | SwarmJoined | RequestRefused | OutcomeRecorded | SwarmLeft | SilenceChanged
)


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
        identity: AnnounceIdentity,
        requests: PendingRequests,
        membership: Membership | None = None,
        own_endpoint: Endpoint | None = None,
    ) -> None:
        self._identity = identity
        self._requests = requests
        self._membership = membership
        self._own_endpoint = own_endpoint
        self._peers_requested = False
        self.want_peers = False
        """Whether every announce asks for peers of the swarm; :class:`PeersReceived` tells them."""
        self._possession = PossessionReporter(identity, requests)
        self._keepalive = DEFAULT_KEEPALIVE
        requests.max_pause = INITIAL_MAX_RETRY_PAUSE
        self._next_keepalive: float | None = None
        self._ever_joined = False
        self._was_silent = False
        self._leaving = False
        self._goodbye_deadline: float | None = None
        self._started_at: float | None = None
        self.uploaded = 0
        self.downloaded = 0

    @property
    def keepalive(self) -> float:
        """Seconds between two keep-alives, as the tracker last said."""
        return self._keepalive

    @property
    def supports_extension(self) -> bool:
        """False once the tracker has turned out to speak plain BEP 15 only."""
        return self._possession.supports_extension

    def lookup(self, name: str, request: int, now: float) -> None:
        """Ask who has the file ``name`` whole; ``request`` 0 begins a new row in the tracker's log.

        Where the file is known, ask for its peers: they may lack pieces, and nothing is logged.
        """
        if self._membership is not None:
            self._request_peers(self._membership, now)
            return
        self._request_lookup(PagedLookup(self._identity, name, request), now)

    def join(self, member: Membership, held: PieceSet, now: float) -> None:
        """Announce that we hold ``held`` (kept and looked at again) of a file, and keep doing so."""
        holdings = self._possession
        if self._membership is not None and holdings.joined:
            self.update_held(member, held)
            return
        holdings.membership, holdings.held = member, held
        holdings.joined = False
        self._announce(packets.AnnounceEvent.STARTED, now)

    def update_held(self, member: Membership, held: PieceSet) -> None:
        """What is held of the file, known better now than when we joined; reported at once."""
        holdings = self._possession
        told = holdings.membership
        holdings.membership, holdings.held = member, held
        holdings.report_all(0.0)
        if told is not None and told.piece_length != member.piece_length and self._next_keepalive is not None:
            self._next_keepalive = 0.0

    def announce_now(self, now: float) -> None:
        """Let the next keep-alive come now, for what the tracker tells in its answer."""
        if self._next_keepalive is not None:
            self._next_keepalive = now

    def announce_completed(self, now: float) -> None:
        """Announce that the last piece is there."""
        self._announce(packets.AnnounceEvent.COMPLETED, now)
        self._possession.report_by(now)

    def report_outcome(self, outcome: OutcomeReport, now: float) -> None:
        """Report how the request ended, until the tracker has noted it."""
        self._requests.start(
            RequestKind.OUTCOME,
            lambda cid, tid: pack_outcome(outcome._replace(connection_id=cid, transaction_id=tid)),
            now,
        )

    def leave(self, now: float, timeout: float) -> None:
        """Say good-bye; :class:`SwarmLeft` follows when the tracker has heard it.

        A good-bye ends the requests that are open, so an outcome under way goes first: the good-bye waits for it, at
        most half of the ``patience`` (seconds) that the caller has.
        """
        self._leaving = True
        for kind in (RequestKind.LOOKUP, RequestKind.POSSESSION, RequestKind.ANNOUNCE):
            self._requests.cancel(kind)
        if self._possession.membership:
            self._goodbye_deadline = now + timeout / 2
        self._next_keepalive = None

    @property
    def lookup_unsupported(self) -> bool:
        """Whether the tracker has given us a connection id and then left several look-ups unanswered."""
        return self._requests.unanswered(RequestKind.LOOKUP)

    @property
    def is_settled(self) -> bool:
        """Whether everything that was to be said has been said, and answered."""
        return self._goodbye_deadline is None and not any(self._requests.is_pending(kind) for kind in RequestKind)

    def due(self, now: float) -> float | None:
        """When to call :meth:`datagrams` next."""
        times = [self._requests.due(), self._next_keepalive]
        if not self._leaving:
            times.append(self._possession.due(now))
        if self._goodbye_deadline is not None:
            times.append(self._goodbye_deadline if self._requests.is_pending(RequestKind.OUTCOME) else now)
        return min((time for time in times if time is not None), default=None)

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """What to send to the tracker now."""
        if self._next_keepalive is not None and now >= self._next_keepalive:
            self._next_keepalive = now + self._keepalive
            if not self._requests.is_pending(RequestKind.ANNOUNCE):
                self._announce(
                    packets.AnnounceEvent.NONE if self._possession.joined else packets.AnnounceEvent.STARTED, now
                )
        if not self._leaving:
            self._possession.tick(now, self._keepalive)
        if self._goodbye_deadline is not None and (
            now >= self._goodbye_deadline or not self._requests.is_pending(RequestKind.OUTCOME)
        ):
            self._goodbye_deadline = None
            self._announce(packets.AnnounceEvent.STOPPED, now)
            self._next_keepalive = None
        return self._requests.datagrams_to_send(now)

    def receive_datagram(self, data: bytes, now: float) -> list[SessionEvent]:
        """Take a datagram from the tracker."""
        events: list[SessionEvent] = []
        try:
            answer = self._requests.receive_datagram(data, now)
            if isinstance(answer, TrackerErrorReply):
                self._handle_error(answer, now, events)
            elif answer:
                self._handle_reply(answer, now, events)
        except PacketError:
            self._requests.dropped_datagrams += 1
        events.extend(self.poll_silence())
        return events

    def poll_silence(self) -> list[SessionEvent]:
        """Whether the tracker has fallen silent or come back since the last call."""
        if self._requests.tracker_silent == self._was_silent:
            return []
        self._was_silent = self._requests.tracker_silent
        return [SilenceChanged(self._was_silent)]

    def _handle_reply(self, answer: TrackerReply, now: float, events: list[SessionEvent]) -> None:
        if answer.kind is not RequestKind.ANNOUNCE:
            self._possession.extension_confirmed()
        if answer.kind is RequestKind.LOOKUP:
            assert isinstance(answer.tag, PagedLookup)
            self._handle_lookup(parse_lookup_reply(answer.reply), answer.tag, now, events)
        elif answer.kind is RequestKind.ANNOUNCE:
            self._handle_announce(packets.parse_announce_reply(answer.reply), answer.tag, now, events)
        elif answer.kind is RequestKind.POSSESSION:
            possessed = parse_possession_reply(answer.reply)
            self._set_keepalive(possessed.keepalive_ms, now)
            self._possession.window_accepted(now)
        else:
            parse_outcome_reply(answer.reply)
            events.append(OutcomeRecorded())

    def _handle_announce(
        self, announced: packets.AnnounceReply, tag: object, now: float, events: list[SessionEvent]
    ) -> None:
        holdings = self._possession
        if tag is packets.AnnounceEvent.STOPPED:
            holdings.joined = False
            events.append(SwarmLeft())
            return
        holdings.announce_accepted()
        if not holdings.supports_extension:
            self._set_keepalive(announced.interval * 1000, now)
        if not holdings.joined:
            holdings.joined = True
            holdings.report_all(now)
            events.append(SwarmJoined(again=self._ever_joined))
            self._ever_joined = True
        if self.want_peers and announced.peers:
            events.append(PeersReceived(announced.peers, announced.leechers))
        if self._peers_requested and self._membership is not None:
            self._peers_requested = False
            events.append(lookup_from_announce(self._membership, announced, self._own_endpoint))

    def _handle_error(self, refusal: TrackerErrorReply, now: float, events: list[SessionEvent]) -> None:
        if refusal.tag is packets.AnnounceEvent.STOPPED:
            events.append(SwarmLeft())
            return
        if refusal.message.startswith(_UNKNOWN_PEER):
            # It was restarted, or we were silent for too long: publish again, nothing needs a human. At once, or
            # with the next keep-alive where that was done just now: one that knows nobody must not be flooded.
            if self._possession.membership and not self._leaving:
                self._possession.joined = False
                if self._started_at is None or now - self._started_at >= self._keepalive:
                    self._announce(packets.AnnounceEvent.STARTED, now)
            return
        if refusal.kind is RequestKind.POSSESSION:
            self._possession.window_refused()
            return
        events.append(RequestRefused(refusal.kind, refusal.message))

    def _handle_lookup(self, found: LookupReply, lookup: PagedLookup, now: float, events: list[SessionEvent]) -> None:
        self._set_keepalive(found.keepalive_ms, now)
        done = lookup.receive_page(found)
        if done is None:
            self._request_lookup(lookup, now)
        else:
            events.append(done)

    def _request_peers(self, known: Membership, now: float) -> None:
        holdings = self._possession
        if holdings.membership is None:
            holdings.membership, holdings.held = known, known.empty_piece_set()
        self._peers_requested = True
        self._announce(packets.AnnounceEvent.NONE if holdings.joined else packets.AnnounceEvent.STARTED, now)

    def _request_lookup(self, lookup: PagedLookup, now: float) -> None:
        self._requests.start(RequestKind.LOOKUP, lookup.pack, now, lookup)

    def _announce(self, event: packets.AnnounceEvent, now: float) -> None:
        member, held = self._possession.membership, self._possession.held
        assert member is not None and held is not None

        def build(connection_id: int, transaction_id: int) -> bytes:
            return build_announce(
                connection_id,
                transaction_id,
                self._identity,
                member,
                held,
                event,
                downloaded=self.downloaded,
                uploaded=self.uploaded,
                want_peers=self._peers_requested or self.want_peers,
            )

        self._requests.start(RequestKind.ANNOUNCE, build, now, event)
        self._next_keepalive = now + self._keepalive
        if event is packets.AnnounceEvent.STARTED:
            self._started_at = now

    def _set_keepalive(self, milliseconds: int, now: float) -> None:
        keepalive = min(max(milliseconds / 1000, MIN_KEEPALIVE), MAX_KEEPALIVE)
        self._requests.max_pause = keepalive
        if keepalive == self._keepalive:
            return
        self._keepalive = keepalive
        self._possession.report_by(now + keepalive)
        if self._next_keepalive is not None:
            self._next_keepalive = min(self._next_keepalive, now + keepalive)
