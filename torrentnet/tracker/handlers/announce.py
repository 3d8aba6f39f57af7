"""Handle announces, scrapes and possession reports (BEP 15, docs/protocol.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.tracker.handlers.response_cache import request_key
from torrentnet.tracker.journal.records import RequestState
from torrentnet.tracker.refusals import RefusalError, RefusalReason
from torrentnet.tracker.settings import DEFAULT_WANT
from torrentnet.wire.udp.error_texts import UNKNOWN_PEER
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
    from torrentnet.tracker.swarms.open_requests import OpenRequests
    from torrentnet.tracker.swarms.registry import SwarmRegistry
    from torrentnet.tracker.swarms.swarm import SwarmMember

# Plain integers, because comparing with a member of an enumeration is slower.
_COMPLETED: Final = int(AnnounceEvent.COMPLETED)
_STARTED: Final = int(AnnounceEvent.STARTED)
_STOPPED: Final = int(AnnounceEvent.STOPPED)

_UNKNOWN_ANNOUNCE: Final = f"{UNKNOWN_PEER}: this tracker does not know you; announce with the event started"
_UNKNOWN_POSSESSION: Final = f"{_UNKNOWN_ANNOUNCE}, then report"


@dataclass(slots=True, eq=False)
class AnnounceHandler:
    """Handles announce, scrape and possession.

    Each method is passed a datagram with a valid connection id, its source and the time, and returns the answer. Raises
    :class:`PacketError` and :class:`RefusalError`; then nothing has changed for the sender.
    """

    _registry: SwarmRegistry
    _requests: OpenRequests
    _audit_log: AuditLog
    _refusals: RefusalLog
    _times_ms: tuple[int, int]
    """Keep-alive interval and time-out."""
    _cache: ResponseCache[RequestKey, bytes]
    _interval: int
    _random: Random

    def announce(self, data: bytes, source: tuple[str, int], now: float) -> bytes:
        """Register a peer or store its progress (BEP 15, announce)."""
        announce = parse_announce(data)
        ip = source[0]
        if announce.ip:
            self._refusals.count(RefusalReason.ADDRESS_FIELD)
        self._requests.mark_seen(ip, announce.peer_id, now)
        member = self._registry.find(announce.info_hash, ip, announce.port)
        if (
            member is not None
            and not announce.event
            and announce.left == member.left
            and hash(announce.options) == member.options_hash
            and announce.peer_id == member.peer_id
        ):
            self._registry.mark_seen(member.row, now)
            return self._pack_answer(announce, member)
        return self._handle_change(announce, request_key(data, source), member, now)

    def scrape(self, data: bytes, _source: tuple[str, int], _now: float) -> bytes:
        """Return the peer counts of each info-hash (BEP 48); a scrape registers nobody."""
        swarms = map(self._registry.by_hash.get, parse_scrape(data))
        counts = (
            ScrapeCounts(swarm.seeders, swarm.downloads, swarm.leechers) if swarm else ScrapeCounts(0, 0, 0)
            for swarm in swarms
        )
        return pack_scrape_reply(parse_head(data).transaction_id, tuple(counts))

    def possession(self, data: bytes, source: tuple[str, int], now: float) -> bytes:
        """Store which pieces a peer holds; the report also keeps the peer alive."""
        report = parse_possession(data)
        ip = source[0]
        member = self._registry.find(report.info_hash, ip, report.port)
        if member is None or member.peer_id != report.peer_id:
            raise RefusalError(RefusalReason.UNKNOWN_PEER, _UNKNOWN_POSSESSION)
        self._registry.mark_seen(member.row, now)
        self._requests.mark_seen(ip, report.peer_id, now)
        key = request_key(data, source)
        cached = self._cache.find(key, now)
        if cached is not None:
            return cached
        held, changed = self._registry.update_pieces(member, report)
        if changed:
            self._audit_log.pieces_changed(member)
        answer = pack_possession_reply(PossessionReply(report.transaction_id, *self._times_ms, held))
        return self._cache.store(key, answer, len(answer), now)

    def _handle_change(
        self, announce: AnnounceRequest, key: RequestKey, member: SwarmMember | None, now: float
    ) -> bytes:
        ip = key[0][0]
        if announce.event:
            # This may be a late retransmission: a `started` that arrives after `stopped` must not register the peer.
            cached = self._cache.find(key, now)
            if cached is not None:
                if member is not None and member.peer_id == announce.peer_id:
                    self._registry.mark_seen(member.row, now)
                return cached
        if announce.event == _STOPPED:
            answer = self._stop(announce, ip, member, now)
        else:
            member = self._register(announce, key[0], member, now)
            answer = self._pack_answer(announce, member)
        return self._cache.store(key, answer, len(answer), now) if announce.event else answer

    def _stop(self, announce: AnnounceRequest, ip: str, member: SwarmMember | None, now: float) -> bytes:
        if announce.left:
            for request in self._requests.abandon_all(ip, announce.peer_id, announce.info_hash):
                self._audit_log.request_closed(request, RequestState.FAILED, now, reason="peer left")
        if member is not None and member.peer_id == announce.peer_id:
            self._registry.remove(member)
            self._audit_log.member_left(member)
        swarm = self._registry.by_hash.get(announce.info_hash)
        leechers, seeders = (swarm.leechers, swarm.seeders) if swarm else (0, 0)
        return pack_announce_reply(announce.transaction_id, self._interval, leechers, seeders, b"")

    def _register(
        self, announce: AnnounceRequest, source: tuple[str, int], member: SwarmMember | None, now: float
    ) -> SwarmMember:
        if member is not None and member.peer_id == announce.peer_id:
            if member.options_hash != hash(announce.options):
                publication = parse_publication(announce.options)
                if self._registry.update_publication(member, announce, publication):
                    self._audit_log.file_updated(member.swarm)
            self._update(announce, member, now)
            return member
        publication = parse_publication(announce.options)
        if publication.extended and announce.event != _STARTED:
            raise RefusalError(RefusalReason.UNKNOWN_PEER, _UNKNOWN_ANNOUNCE)
        if member is not None:
            self._replace(member, now)
        member = self._registry.join(announce, publication, source[0], now)
        conflict = self._registry.name_conflict(member.swarm, announce.info_hash, publication.name)
        if conflict:
            self._refusals.report(RefusalReason.NAME_TAKEN, "name", source, conflict, now)
        if announce.event == _COMPLETED and member.complete:
            member.swarm.downloads += 1
        self._audit_log.file_updated(member.swarm)
        self._audit_log.member_added(member)
        return member

    def _replace(self, member: SwarmMember, now: float) -> None:
        """Remove a peer whose endpoint another peer id has announced: it was restarted."""
        self._registry.remove(member)
        self._audit_log.member_expired(member, now - member.last_seen, replaced=True)
        for request in self._requests.abandon_all(member.endpoint.ip, member.peer_id):
            self._audit_log.request_closed(request, RequestState.LOST, now, reason="the peer was restarted")

    def _update(self, announce: AnnounceRequest, member: SwarmMember, now: float) -> None:
        self._registry.mark_seen(member.row, now)
        complete = not announce.left
        if complete and not member.complete:
            self._registry.set_left(member, 0)
            if announce.event == _COMPLETED:
                member.swarm.downloads += 1
            self._audit_log.member_completed(member)
        elif member.complete and not complete:
            if member.extended and announce.event != _STARTED:
                # A late datagram from before the peer was complete. A peer that lost pieces announces `started`.
                return
            self._registry.set_left(member, announce.left)
            self._audit_log.member_added(member)
        elif announce.left != member.left:
            before = member.percent()
            self._registry.set_left(member, announce.left)
            if member.pieces is None and member.percent() != before:
                self._audit_log.pieces_changed(member)

    def _pack_answer(self, announce: AnnounceRequest, member: SwarmMember) -> bytes:
        want = announce.want
        if want < 0:
            want = DEFAULT_WANT
        elif want > MAX_PEERS:
            want = MAX_PEERS
        swarm = member.swarm
        return pack_announce_reply(
            announce.transaction_id,
            self._interval,
            swarm.leechers,
            swarm.seeders,
            swarm.sample(member.row, want, self._random),
        )
