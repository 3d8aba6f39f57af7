"""Announce, scrape and possession: what peers say of themselves, and what they are told of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.tracker.handlers.response_cache import request_key
from torrentnet.tracker.journal.records import RequestState
from torrentnet.tracker.limits import DEFAULT_WANT
from torrentnet.tracker.refusals import RefusalError, RefusalReason
from torrentnet.wire.udp.packets import (
    MAX_PEERS,
    AnnounceEvent,
    AnnounceRequest,
    ScrapeCounts,
    pack_announce_reply,
    pack_scrape_reply,
    parse_announce,
    parse_head,
    parse_scrape,
)
from torrentnet.wire.udp.possession import PossessionReply, pack_possession_reply, parse_possession
from torrentnet.wire.udp.url_data import parse_publication

if TYPE_CHECKING:
    from random import Random

    from torrentnet.tracker.handlers.response_cache import RequestKey, ResponseCache
    from torrentnet.tracker.journal.audit_log import AuditLog
    from torrentnet.tracker.refusals import RefusalLog
    from torrentnet.tracker.settings import TrackerSettings
    from torrentnet.tracker.swarms.open_requests import OpenRequests
    from torrentnet.tracker.swarms.registry import SwarmRegistry
    from torrentnet.tracker.swarms.swarm import SwarmMember

# Plain integers: looking a member up in an enumeration costs more than the comparison.
_COMPLETED = int(AnnounceEvent.COMPLETED)
_STARTED = int(AnnounceEvent.STARTED)
_STOPPED = int(AnnounceEvent.STOPPED)

_UNKNOWN_ANNOUNCE = "unknown peer: this tracker does not know you; announce with the event started"
_UNKNOWN_POSSESSION = "unknown peer: this tracker does not know you; announce with the event started, then report"


class AnnounceHandler:
    """Answers these three. Each method takes a datagram behind a valid connection id, its source and the time.

    They raise :class:`PacketError` and :class:`RefusalError`, and then the requester stands as it stood before.
    """

    def __init__(
        self,
        settings: TrackerSettings,
        registry: SwarmRegistry,
        requests: OpenRequests,
        chronicle: AuditLog,
        refusals: RefusalLog,
        answered: ResponseCache[RequestKey, bytes],
        random: Random,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._requests = requests
        self._chronicle = chronicle
        self._refusals = refusals
        self._answered = answered
        self._random = random
        self._interval = settings.interval

    def announce(self, data: bytes, source: tuple[str, int], now: float) -> bytes:
        """BEP 15, announce. The periodic one of a peer that has nothing new to say takes the short way."""
        announce = parse_announce(data)
        ip = source[0]
        if announce.ip:
            self._refusals.count(RefusalReason.ADDRESS_FIELD)
        self._requests.heard(ip, announce.peer_id, now)
        holder = self._registry.find(announce.info_hash, ip, announce.port)
        if (
            holder is not None
            and not announce.event
            and announce.left == holder.left
            and hash(announce.options) == holder.options
            and announce.peer_id == holder.peer_id
        ):
            self._registry.heard(holder.row, now)
            return self._answer(announce, holder)
        return self._news(announce, request_key(data, source), holder, now)

    def scrape(self, data: bytes, _source: tuple[str, int], _now: float) -> bytes:
        """BEP 48's numbers for each info-hash; to ask for them makes nobody a member."""
        swarms = (self._registry.swarm(info_hash) for info_hash in parse_scrape(data))
        return pack_scrape_reply(
            parse_head(data).transaction_id,
            tuple(
                ScrapeCounts(swarm.seeders, swarm.downloads, swarm.leechers) if swarm else ScrapeCounts(0, 0, 0)
                for swarm in swarms
            ),
        )

    def possession(self, data: bytes, source: tuple[str, int], now: float) -> bytes:
        """A peer reports its pieces, which is a sign of life as well."""
        report = parse_possession(data)
        ip = source[0]
        holder = self._registry.find(report.info_hash, ip, report.port)
        if holder is None or holder.peer_id != report.peer_id:
            raise RefusalError(RefusalReason.UNKNOWN_PEER, _UNKNOWN_POSSESSION)
        self._registry.heard(holder.row, now)
        self._requests.heard(ip, report.peer_id, now)
        key = request_key(data, source)
        known = self._answered.find(key, now)
        if known is not None:
            return known
        before = None if holder.pieces is None else holder.pieces.bitfield()
        held = self._registry.set_pieces(holder, report)
        if holder.pieces is not None and holder.pieces.bitfield() != before:
            self._chronicle.holds(holder)
        settings = self._settings
        answer = PossessionReply(report.transaction_id, settings.keepalive_ms, settings.timeout_ms, held)
        packed = pack_possession_reply(answer)
        return self._answered.keep(key, packed, len(packed), now)

    def _news(self, announce: AnnounceRequest, key: RequestKey, holder: SwarmMember | None, now: float) -> bytes:
        ip = key[0][0]
        if announce.event:
            # A retransmission, perhaps a late one: a `started` that comes behind the `stopped` must not revive anybody.
            known = self._answered.find(key, now)
            if known is not None:
                if holder is not None and holder.peer_id == announce.peer_id:
                    self._registry.heard(holder.row, now)
                return known
        if announce.event == _STOPPED:
            answer = self._stopped(announce, ip, holder, now)
        else:
            holder = self._taken_in(announce, ip, holder, now)
            answer = self._answer(announce, holder)
        return self._answered.keep(key, answer, len(answer), now) if announce.event else answer

    def _stopped(self, announce: AnnounceRequest, ip: str, holder: SwarmMember | None, now: float) -> bytes:
        if announce.left:
            self._give_up(ip, announce.peer_id, announce.info_hash, now)
        if holder is not None and holder.peer_id == announce.peer_id:
            self._registry.remove(holder)
            self._chronicle.left(holder)
        swarm = self._registry.swarm(announce.info_hash)
        leechers, seeders = (swarm.leechers, swarm.seeders) if swarm else (0, 0)
        return pack_announce_reply(announce.transaction_id, self._interval, leechers, seeders, b"")

    def _give_up(self, ip: str, peer_id: bytes, info_hash: bytes | None, now: float) -> None:
        for row in self._requests.give_up(ip, peer_id, info_hash):
            self._chronicle.outcome(row, RequestState.FAILED, now, reason="peer left")

    def _taken_in(self, announce: AnnounceRequest, ip: str, holder: SwarmMember | None, now: float) -> SwarmMember:
        same = holder is not None and holder.peer_id == announce.peer_id
        if holder is not None and same and holder.options == hash(announce.options):
            self._updated(announce, holder, now)
            return holder
        publication = parse_publication(announce.options)
        if holder is not None and same:
            if self._registry.republish(holder, announce, publication):
                self._chronicle.file_known(holder.swarm)
            self._updated(announce, holder, now)
            return holder
        if publication.extended and announce.event != _STARTED:
            raise RefusalError(RefusalReason.UNKNOWN_PEER, _UNKNOWN_ANNOUNCE)
        if holder is not None:
            self._replaced(holder, now)
        holder = self._registry.join(announce, publication, ip, now)
        if announce.event == _COMPLETED and holder.complete:
            holder.swarm.downloads += 1
        self._chronicle.file_known(holder.swarm)
        self._chronicle.came(holder)
        return holder

    def _replaced(self, holder: SwarmMember, now: float) -> None:
        """Another life of a peer has come up where one died without a word."""
        self._registry.remove(holder)
        self._chronicle.forgotten(holder, now - holder.seen, replaced=True)
        for row in self._requests.give_up(holder.ip, holder.peer_id):
            self._chronicle.outcome(row, RequestState.LOST, now, reason="the peer was started anew")

    def _updated(self, announce: AnnounceRequest, holder: SwarmMember, now: float) -> None:
        self._registry.heard(holder.row, now)
        complete = not announce.left
        if complete and not holder.complete:
            self._registry.set_left(holder, 0)
            if announce.event == _COMPLETED:
                holder.swarm.downloads += 1
            self._chronicle.completed(holder)
        elif holder.complete and not complete:
            if holder.extended and announce.event != _STARTED:
                # Its own late datagram from before it was complete; a peer that really lost pieces starts anew.
                return
            self._registry.set_left(holder, announce.left)
            self._chronicle.came(holder)
        elif announce.left != holder.left:
            before = holder.percent()
            self._registry.set_left(holder, announce.left)
            if holder.pieces is None and holder.percent() != before:
                self._chronicle.holds(holder)

    def _answer(self, announce: AnnounceRequest, holder: SwarmMember) -> bytes:
        want = announce.want
        if want < 0:
            want = DEFAULT_WANT
        elif want > MAX_PEERS:
            want = MAX_PEERS
        swarm = holder.swarm
        return pack_announce_reply(
            announce.transaction_id,
            self._interval,
            len(swarm.members) - len(swarm.complete),
            len(swarm.complete),
            swarm.sample(holder.row, want, self._random),
        )
