"""The peer's side of the tracker protocol (BEP 15 and the extension), without I/O."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from torrentnet.peer.tracker_client.lookup import PagedLookup, lookup_from_announce
from torrentnet.peer.tracker_client.membership import AnnounceIdentity, Membership, build_announce
from torrentnet.peer.tracker_client.possession_reporter import PossessionReporter
from torrentnet.peer.tracker_client.requests import PendingRequests, RequestKind, TrackerErrorReply, TrackerReply
from torrentnet.peer.tracker_client.session_events import (
    OutcomeRecorded,
    PeersReceived,
    RequestRefused,
    SilenceChanged,
    SwarmJoined,
    SwarmLeft,
)
from torrentnet.wire.errors import PacketError
from torrentnet.wire.udp.error_texts import UNKNOWN_PEER
from torrentnet.wire.udp.lookup import LookupReply, parse_lookup_reply
from torrentnet.wire.udp.outcome import OutcomeReport, pack_outcome, parse_outcome_reply
from torrentnet.wire.udp.packets import AnnounceEvent, parse_announce_reply
from torrentnet.wire.udp.possession import parse_possession_reply

if TYPE_CHECKING:
    from torrentnet.peer.tracker_client.session_events import SessionEvent
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.piece_set import PieceSet
    from torrentnet.wire.udp.packets import AnnounceReply

DEFAULT_KEEPALIVE: Final = 5.0
INITIAL_MAX_RETRY_PAUSE: Final = 1.0
"""Longest pause between two tries until the tracker's keep-alive interval is known, which may be short."""
MIN_KEEPALIVE: Final = 0.05
MAX_KEEPALIVE: Final = 3600.0


class TrackerSession:
    """One peer's session with one tracker.

    Pass received datagrams to :meth:`receive_datagram`, and send what :meth:`datagrams_to_send` returns no later than
    :meth:`due`. ``now`` is the time of a monotonic clock.

    ``membership`` describes the file of a magnet link or a .torrent file. Then announces (BEP 15) list its peers in
    place of a look-up by name, except for ``own_endpoint``.
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
        """Whether each announce requests peers; :class:`PeersReceived` reports them."""
        self._possession = PossessionReporter(identity, requests)
        self.keepalive = DEFAULT_KEEPALIVE
        """The tracker's keep-alive interval."""
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
    def supports_extension(self) -> bool:
        """False once the tracker has turned out to support only BEP 15."""
        return self._possession.supports_extension

    def lookup(self, name: str, request: int, now: float) -> None:
        """Request the complete peers of the file ``name`` from the tracker.

        ``request`` is the look-up's number in the tracker's log; 0 creates a record there. With a known membership,
        request the swarm's peers by an announce: they may be incomplete, and the tracker records no request.
        """
        membership, possession = self._membership, self._possession
        if membership is None:
            self._request_lookup(PagedLookup(self._identity, name, request), now)
            return
        if possession.membership is None:
            possession.membership, possession.held = membership, membership.empty_piece_set()
        self._peers_requested = True
        self._announce(AnnounceEvent.NONE if possession.joined else AnnounceEvent.STARTED, now)

    def join(self, membership: Membership, held: PieceSet, now: float) -> None:
        """Announce the peer now and at each keep-alive.

        ``held`` contains the held pieces; the caller's own set is used, not a copy.
        """
        possession = self._possession
        if self._membership is not None and possession.joined:
            self.update_held(membership, held)
            return
        possession.membership, possession.held = membership, held
        possession.joined = False
        self._announce(AnnounceEvent.STARTED, now)

    def update_held(self, membership: Membership, held: PieceSet) -> None:
        """Replace what :meth:`join` announced, and report it at once."""
        possession = self._possession
        previous = possession.membership
        possession.membership, possession.held = membership, held
        possession.report_all(0.0)
        if previous is not None and previous.piece_length != membership.piece_length:
            self.announce_now(0.0)

    def announce_now(self, now: float) -> None:
        """Send the next keep-alive now, because its reply lists peers."""
        if self._next_keepalive is not None:
            self._next_keepalive = now

    def announce_completed(self, now: float) -> None:
        """Announce that the file is complete."""
        self._announce(AnnounceEvent.COMPLETED, now)
        self._possession.report_by(now)

    def report_outcome(self, outcome: OutcomeReport, now: float) -> None:
        """Report the request's outcome until the tracker has recorded it."""
        self._requests.start(
            RequestKind.OUTCOME,
            lambda cid, tid: pack_outcome(outcome._replace(connection_id=cid, transaction_id=tid)),
            now,
        )

    def leave(self, now: float, timeout: float) -> None:
        """Announce the stopped event; :class:`SwarmLeft` reports the tracker's reply.

        A pending outcome is reported first, for at most half of ``timeout``: the stopped event would close its
        request.
        """
        self._leaving = True
        for kind in (RequestKind.LOOKUP, RequestKind.POSSESSION, RequestKind.ANNOUNCE):
            self._requests.cancel(kind)
        if self._possession.membership:
            self._goodbye_deadline = now + timeout / 2
        self._next_keepalive = None

    @property
    def lookup_unsupported(self) -> bool:
        """Whether the tracker has sent a connection id but ignored several look-ups."""
        return self._requests.unanswered(RequestKind.LOOKUP)

    @property
    def is_settled(self) -> bool:
        """Whether the tracker has replied to every request."""
        return self._goodbye_deadline is None and not any(self._requests.is_pending(kind) for kind in RequestKind)

    def due(self, now: float) -> float | None:
        """Return when to call :meth:`datagrams_to_send` next."""
        times = [self._requests.due(), self._next_keepalive]
        if not self._leaving:
            times.append(self._possession.due(now))
        if self._goodbye_deadline is not None:
            times.append(self._goodbye_deadline if self._requests.is_pending(RequestKind.OUTCOME) else now)
        return min((time for time in times if time is not None), default=None)

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Return the datagrams to send to the tracker now."""
        if self._next_keepalive is not None and now >= self._next_keepalive:
            self._next_keepalive = now + self.keepalive
            if not self._requests.is_pending(RequestKind.ANNOUNCE):
                self._announce(AnnounceEvent.NONE if self._possession.joined else AnnounceEvent.STARTED, now)
        if not self._leaving:
            self._possession.tick(now, self.keepalive)
        if self._goodbye_deadline is not None and (
            now >= self._goodbye_deadline or not self._requests.is_pending(RequestKind.OUTCOME)
        ):
            self._goodbye_deadline = None
            self._announce(AnnounceEvent.STOPPED, now)
            self._next_keepalive = None
        return self._requests.datagrams_to_send(now)

    def receive_datagram(self, data: bytes, now: float) -> list[SessionEvent]:
        """Handle a datagram from the tracker; return the resulting events."""
        events: list[SessionEvent] = []
        reply = self._requests.receive_datagram(data, now)
        # A reply that does not parse counts as lost.
        with contextlib.suppress(PacketError):
            if isinstance(reply, TrackerErrorReply):
                self._handle_error(reply, now, events)
            elif reply:
                self._handle_reply(reply, now, events)
        events.extend(self.poll_silence())
        return events

    def poll_silence(self) -> list[SessionEvent]:
        """Return an event if the tracker has become silent or has returned.

        Changes since the last call are reported.
        """
        if self._requests.tracker_silent == self._was_silent:
            return []
        self._was_silent = self._requests.tracker_silent
        return [SilenceChanged(self._was_silent)]

    def _handle_reply(self, reply: TrackerReply, now: float, events: list[SessionEvent]) -> None:
        if reply.kind is not RequestKind.ANNOUNCE:
            self._possession.extension_seen = True
        if reply.kind is RequestKind.LOOKUP:
            assert isinstance(reply.tag, PagedLookup)
            self._handle_lookup(parse_lookup_reply(reply.reply), reply.tag, now, events)
        elif reply.kind is RequestKind.ANNOUNCE:
            self._handle_announce(parse_announce_reply(reply.reply), reply.tag, now, events)
        elif reply.kind is RequestKind.POSSESSION:
            possession = parse_possession_reply(reply.reply)
            self._set_keepalive(possession.keepalive_ms, now)
            self._possession.window_accepted(now)
        else:
            parse_outcome_reply(reply.reply)
            events.append(OutcomeRecorded())

    def _handle_announce(self, reply: AnnounceReply, tag: object, now: float, events: list[SessionEvent]) -> None:
        possession = self._possession
        if tag is AnnounceEvent.STOPPED:
            possession.joined = False
            events.append(SwarmLeft())
            return
        possession.announce_accepted()
        if not possession.supports_extension:
            self._set_keepalive(reply.interval * 1000, now)
        if not possession.joined:
            possession.joined = True
            possession.report_all(now)
            events.append(SwarmJoined(again=self._ever_joined))
            self._ever_joined = True
        if self.want_peers and reply.peers:
            events.append(PeersReceived(reply.peers, reply.leechers))
        if self._peers_requested and self._membership is not None:
            self._peers_requested = False
            events.append(lookup_from_announce(self._membership, reply, self._own_endpoint))

    def _handle_error(self, error: TrackerErrorReply, now: float, events: list[SessionEvent]) -> None:
        if error.tag is AnnounceEvent.STOPPED:
            events.append(SwarmLeft())
            return
        if error.message.startswith(UNKNOWN_PEER):
            # The tracker was restarted, or has expired this peer. Join again, but only once per keep-alive interval:
            # the tracker may send this error each time.
            if self._possession.membership and not self._leaving:
                self._possession.joined = False
                if self._started_at is None or now - self._started_at >= self.keepalive:
                    self._announce(AnnounceEvent.STARTED, now)
            return
        if error.kind is RequestKind.POSSESSION:
            self._possession.window_refused()
            return
        events.append(RequestRefused(error.kind, error.message))

    def _handle_lookup(self, reply: LookupReply, lookup: PagedLookup, now: float, events: list[SessionEvent]) -> None:
        self._set_keepalive(reply.keepalive_ms, now)
        result = lookup.receive_page(reply)
        if result is None:
            self._request_lookup(lookup, now)
        else:
            events.append(result)

    def _request_lookup(self, lookup: PagedLookup, now: float) -> None:
        self._requests.start(RequestKind.LOOKUP, lookup.pack, now, lookup)

    def _announce(self, event: AnnounceEvent, now: float) -> None:
        membership, held = self._possession.membership, self._possession.held
        assert membership is not None and held is not None

        def build(connection_id: int, transaction_id: int) -> bytes:
            return build_announce(
                connection_id,
                transaction_id,
                self._identity,
                membership,
                held,
                event,
                downloaded=self.downloaded,
                uploaded=self.uploaded,
                want_peers=self._peers_requested or self.want_peers,
            )

        self._requests.start(RequestKind.ANNOUNCE, build, now, event)
        self._next_keepalive = now + self.keepalive
        if event is AnnounceEvent.STARTED:
            self._started_at = now

    def _set_keepalive(self, milliseconds: int, now: float) -> None:
        keepalive = min(max(milliseconds / 1000, MIN_KEEPALIVE), MAX_KEEPALIVE)
        self._requests.max_pause = keepalive
        if keepalive == self.keepalive:
            return
        self.keepalive = keepalive
        self._possession.report_by(now + keepalive)
        if self._next_keepalive is not None:
            self._next_keepalive = min(self._next_keepalive, now + keepalive)
