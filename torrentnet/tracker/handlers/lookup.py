"""Handle look-ups and outcomes: requests for a file by name (docs/protocol.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from torrentnet.tracker.journal.records import RequestState
from torrentnet.tracker.refusals import RefusalReason
from torrentnet.tracker.swarms.open_requests import LastAnswer
from torrentnet.tracker.swarms.peer_table import COMPLETE
from torrentnet.wire.endpoint import endpoint_key
from torrentnet.wire.udp.lookup import (
    HolderPage,
    LookupReply,
    LookupRequest,
    lookup_reply_tail,
    pack_lookup_page,
    pack_lookup_reply_tail,
    parse_lookup,
)
from torrentnet.wire.udp.outcome import OutcomeResult, pack_outcome_reply, parse_outcome
from torrentnet.wire.udp.packets import REQUEST_HEAD

if TYPE_CHECKING:
    from torrentnet.tracker.handlers.response_cache import ResponseCache
    from torrentnet.tracker.journal.audit_log import AuditLog
    from torrentnet.tracker.refusals import RefusalLog
    from torrentnet.tracker.swarms.open_requests import OpenRequest, OpenRequests
    from torrentnet.tracker.swarms.registry import SwarmRegistry
    from torrentnet.tracker.swarms.swarm import SeedList, Swarm
    from torrentnet.wire.info import Info

NO_INFO_HASH: Final = bytes(20)
LOOKUP_BODY: Final = slice(REQUEST_HEAD, None)
"""The part of a look-up behind its transaction id."""
WITHOUT_CONNECTION_ID: Final = slice(8, None)
"""The part of a datagram that is equal in all its retransmissions."""
_MAX_CACHED_TAILS: Final = 4
"""Answers that are cached for a version of a swarm, 1.5 kB each."""

LookupAnswer: TypeAlias = tuple[bool, int, bytes]
"""Arguments of ``pack_lookup_reply_tail`` behind the transaction id: found, request number, tail."""


@dataclass(slots=True, eq=False)
class LookupHandler:
    """Handles look-up and outcome.

    Each method is passed a datagram with a valid connection id, its source and the time, and returns the answer. Raises
    :class:`PacketError` and :class:`RefusalError`; then nothing has changed.
    """

    _registry: SwarmRegistry
    _requests: OpenRequests
    _audit_log: AuditLog
    _refusals: RefusalLog
    _times_ms: tuple[int, int]
    """Keep-alive interval and time-out."""
    _cache: ResponseCache[tuple[str, bytes], LookupAnswer]

    def lookup(self, data: bytes, source: tuple[str, int], now: float) -> bytes:
        """Return the complete peers of the file with this name; open a request.

        An unknown name is answered and logged as well. A look-up under the number of the requester's own open request
        never opens another request, so its answer need not be cached.
        """
        lookup = parse_lookup(data)
        _, tid, first, number, peer_id, port, name, _ = lookup
        ip = source[0]
        waits = self._requests.mark_seen(ip, peer_id, now)
        request = self._requests.find_own(number, ip, peer_id, name) if number and waits else None
        cache_key = None
        if request is None:
            cache_key = (ip, data[WITHOUT_CONNECTION_ID])
            cached = self._cache.find(cache_key, now)
            if cached is not None:
                return pack_lookup_reply_tail(tid, *cached)
        swarm = self._registry.by_name.get(name)
        own_key = endpoint_key(ip, port)
        seeds = None if swarm is None else swarm.seeds_for(own_key, peer_id)
        if request is not None:
            self._continue(request, swarm, seeds)
        elif not number or not self._requests.is_late_repeat(number, tid, ip):
            request = self._open(lookup, ip, swarm, seeds, waits=waits, now=now)
        known = self._registry.reserved(name) if swarm is None else None
        tail = self._tail(first, own_key, swarm, seeds, known)
        parts = swarm is not None or known is not None, number if request is None else request.number, tail
        answer = pack_lookup_reply_tail(tid, *parts)
        if request is not None and number == request.number:
            request.note_transaction(tid)
            if swarm is not None:
                request.last_answer = LastAnswer(own_key >> 16, swarm, swarm.version, data[LOOKUP_BODY], tail)
        elif request is not None and cache_key is not None:
            self._cache.store(cache_key, parts, len(answer), now)
        return answer

    def outcome(self, data: bytes, source: tuple[str, int], now: float) -> bytes:
        """Close a request; an unknown or closed number changes nothing."""
        outcome = parse_outcome(data)
        ip, number = source[0], outcome.request
        self._requests.mark_seen(ip, outcome.peer_id, now)
        succeeded = outcome.result is OutcomeResult.SUCCEEDED
        request = self._requests.close_by_outcome(number, ip, outcome.peer_id, succeeded=succeeded)
        if request is not None:
            if request.info_hash is None and outcome.info_hash != NO_INFO_HASH:
                request.info_hash = outcome.info_hash
            self._audit_log.request_closed(
                request,
                RequestState.SUCCEEDED if succeeded else RequestState.FAILED,
                now,
                sources=tuple((source.name, source.pieces) for source in outcome.sources),
                transferred=outcome.transferred,
                elapsed_ms=outcome.elapsed_ms,
                reason=outcome.reason,
            )
            for member in self._registry.confirm(request.info_hash, outcome.sources):
                self._audit_log.pieces_changed(member)
        elif self._requests.is_foreign(number, ip, outcome.peer_id):
            text = f"request {number} is another peer's"
            self._refusals.report(RefusalReason.FOREIGN_OUTCOME, "outcome", source, text, now)
        return pack_outcome_reply(outcome.transaction_id, number)

    def _open(
        self, lookup: LookupRequest, ip: str, swarm: Swarm | None, seeds: SeedList | None, *, waits: bool, now: float
    ) -> OpenRequest:
        """Return the request that a look-up resumes, or open a new request."""
        if waits or lookup.request:
            resumed = self._requests.resume(lookup.request, ip, lookup.peer_id, lookup.name, now)
            if resumed is not None:
                request, reopened = resumed
                self._continue(request, swarm, seeds, reopened=reopened)
                return request
        if waits:
            # A peer that was restarted under its old peer id would otherwise keep its old request open for ever.
            for abandoned in self._requests.abandon_all(ip, lookup.peer_id, file=lookup.name):
                self._audit_log.request_closed(abandoned, RequestState.FAILED, now, reason="requested again")
        info_hash, holder_count = None if swarm is None else swarm.info_hash, 0 if seeds is None else len(seeds)
        _, _, _, _, peer_id, port, name, peer = lookup
        request = self._requests.open(ip, port, peer_id, peer, name, info_hash, holder_count, now)
        self._audit_log.request_opened(request, self._holder_names(seeds), now)
        return request

    def _continue(
        self, request: OpenRequest, swarm: Swarm | None, seeds: SeedList | None, *, reopened: bool = False
    ) -> None:
        """Log the first holders, a new info-hash or the reopening of a request."""
        info_hash = None if swarm is None else swarm.info_hash
        total = 0 if seeds is None else len(seeds)
        first_holders = not request.holder_count and total > 0
        if first_holders:
            request.holder_count = total
        if info_hash is not None and request.info_hash != info_hash:
            request.info_hash = info_hash
            reopened = True
        if first_holders or reopened:
            self._audit_log.request_updated(request, self._holder_names(seeds) if first_holders else None)

    def _holder_names(self, seeds: SeedList | None) -> tuple[str, ...]:
        return () if seeds is None else seeds.names(self._registry.limits.named_holders)

    def _tail(self, first: int, own_key: int, swarm: Swarm | None, seeds: SeedList | None, known: Info | None) -> bytes:
        """Return the part of the answer behind the request's number, cached if possible.

        ``known`` is a file that nobody shares, whose .torrent the tracker has.
        """
        if known is not None:
            info_hash, size, piece_length = known.info_hash, known.length, known.piece_length
            reply = LookupReply(0, True, 0, *self._times_ms, info_hash, size, piece_length, 0, 0, first, ())
            return lookup_reply_tail(pack_lookup_page(reply, HolderPage()))
        if swarm is None or seeds is None:
            reply = LookupReply(0, False, 0, *self._times_ms, NO_INFO_HASH, 0, 0, 0, 0, first, ())
            return lookup_reply_tail(pack_lookup_page(reply, HolderPage()))
        own = swarm.members.get(own_key)
        incomplete = swarm.leechers
        if own is not None and not swarm.table.flags[own] & COMPLETE:
            incomplete -= 1
        cached = swarm.lookup_tails.get((first, incomplete)) if seeds.has_all else None
        if cached is not None:
            return cached
        size, piece_length = swarm.size or 0, swarm.piece_length or 0
        reply = LookupReply(
            0, True, 0, *self._times_ms, swarm.info_hash, size, piece_length, len(seeds), incomplete, first, ()
        )
        tail = lookup_reply_tail(pack_lookup_page(reply, seeds.page(first)))
        if seeds.has_all and len(swarm.lookup_tails) < _MAX_CACHED_TAILS:
            swarm.lookup_tails[first, incomplete] = tail
        return tail
