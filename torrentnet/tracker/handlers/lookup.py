"""Look-up and outcome: a file is asked for by its name, and how that ended (docs/protocol.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from torrentnet.tracker.journal.records import RequestState
from torrentnet.tracker.refusals import RefusalReason
from torrentnet.tracker.swarms.open_requests import LastAnswer
from torrentnet.wire.endpoint import endpoint_key
from torrentnet.wire.udp import outcome as outcomes
from torrentnet.wire.udp.lookup import (
    HolderPage,
    LookupReply,
    LookupRequest,
    lookup_reply_tail,
    pack_lookup_page,
    pack_lookup_reply_tail,
    parse_lookup,
)

if TYPE_CHECKING:
    from torrentnet.tracker.handlers.response_cache import ResponseCache
    from torrentnet.tracker.journal.audit_log import AuditLog
    from torrentnet.tracker.refusals import RefusalLog
    from torrentnet.tracker.settings import TrackerSettings
    from torrentnet.tracker.swarms.open_requests import OpenRequest, OpenRequests
    from torrentnet.tracker.swarms.registry import SwarmRegistry
    from torrentnet.tracker.swarms.swarm import SeedList, Swarm

_NO_HASH = bytes(20)
_MAX_CACHED_TAILS = 4
"""Answers that a swarm remembers as long as they are true, 1.5 kB each."""
_ASKED = slice(16, None)
"""A look-up from behind its transaction id on."""
_IDENTITY = slice(8, None)
"""What two datagrams have in common that are the same request: all but the connection id."""


LookupAnswer: TypeAlias = tuple[bool, int, bytes]
"""What an answer is made of besides its transaction id; the last and longest part is the same for many."""


class LookupHandler:
    """Answers these two. Each method takes a datagram behind a valid connection id, its source and the time.

    They raise :class:`PacketError` and :class:`Refused`, and then nothing has changed.
    """

    def __init__(
        self,
        settings: TrackerSettings,
        registry: SwarmRegistry,
        requests: OpenRequests,
        chronicle: AuditLog,
        refusals: RefusalLog,
        answered: ResponseCache[tuple[str, bytes], LookupAnswer],
    ) -> None:
        self._times = settings.keepalive_ms, settings.timeout_ms
        self._registry = registry
        self._requests = requests
        self._chronicle = chronicle
        self._refusals = refusals
        self.answered = answered
        """Answers by the asker's address and all of its datagram but the connection id."""

    def lookup(self, data: bytes, source: tuple[str, int], now: float) -> bytes:
        """Who has the file of this name whole? That nobody has is an answer too, and a row of the log.

        One under the number of an open row of the asker's own makes none, however often it comes, so that its answer
        need not be kept.
        """
        lookup = parse_lookup(data)
        _, tid, first, number, peer_id, port, name, _ = lookup
        ip = source[0]
        waits = self._requests.heard(ip, peer_id, now)
        row = self._requests.own(number, ip, peer_id, name) if number and waits else None
        key = None
        if row is None:
            key = (ip, data[_IDENTITY])
            known = self.answered.find(key, now)
            if known is not None:
                return pack_lookup_reply_tail(tid, *known)
        swarm = self._registry.named(name)
        place = endpoint_key(ip, port)
        seeds = None if swarm is None else swarm.seeds_without(place, peer_id)
        if row is not None:
            self._goes_on(row, swarm, seeds)
        elif not number or not self._requests.is_repeat(number, tid, ip):
            row = self._row(lookup, ip, swarm, seeds, waits=waits, now=now)
        tail = self._tail(first, place, swarm, seeds)
        told = swarm is not None, number if row is None else row.number, tail
        answer = pack_lookup_reply_tail(tid, *told)
        if row is not None and number == row.number:
            row.note(tid)
            if swarm is not None:
                row.again = LastAnswer(place >> 16, swarm, swarm.moment, data[_ASKED], tail)
        elif row is not None and key is not None:
            self.answered.keep(key, told, len(answer), now)
        return answer

    def outcome(self, data: bytes, source: tuple[str, int], now: float) -> bytes:
        """How a request ended. One that is not known any more, or has its outcome, changes nothing."""
        outcome = outcomes.parse_outcome(data)
        ip, number = source[0], outcome.request
        self._requests.heard(ip, outcome.peer_id, now)
        succeeded = outcome.result is outcomes.OutcomeResult.SUCCEEDED
        row = self._requests.close(number, ip, outcome.peer_id, succeeded=succeeded)
        if row is not None:
            self._close(row, outcome, now)
        elif self._requests.is_foreign(number, ip, outcome.peer_id):
            self._refusals.tell(
                RefusalReason.FOREIGN_OUTCOME, "outcome", source, f"request {number} is another peer's", now
            )
        return outcomes.pack_outcome_reply(outcome.transaction_id, number)

    def _close(self, row: OpenRequest, outcome: outcomes.OutcomeReport, now: float) -> None:
        if row.info_hash is None and outcome.info_hash != _NO_HASH:
            row.info_hash = outcome.info_hash
        self._chronicle.outcome(
            row,
            RequestState.SUCCEEDED if outcome.result is outcomes.OutcomeResult.SUCCEEDED else RequestState.FAILED,
            now,
            sources=tuple((source.name, source.pieces) for source in outcome.sources),
            transferred=outcome.transferred,
            elapsed_ms=outcome.elapsed_ms,
            reason=outcome.reason,
        )

    def _row(
        self, lookup: LookupRequest, ip: str, swarm: Swarm | None, seeds: SeedList | None, *, waits: bool, now: float
    ) -> OpenRequest:
        if waits or lookup.request:
            resumed = self._requests.resume(lookup.request, ip, lookup.peer_id, lookup.name, now)
            if resumed is not None:
                row, reopened = resumed
                self._goes_on(row, swarm, seeds, reopened=reopened)
                return row
        if waits:
            # Without this, a peer that was started anew under its old peer id would keep its dead request alive.
            for abandoned in self._requests.give_up(ip, lookup.peer_id, file=lookup.name):
                self._chronicle.outcome(abandoned, RequestState.FAILED, now, reason="asked anew")
        info_hash, holders = None if swarm is None else swarm.info_hash, 0 if seeds is None else len(seeds)
        _, _, _, _, peer_id, port, name, peer = lookup
        row = self._requests.open(ip, port, peer_id, peer, name, info_hash, holders, now)
        self._chronicle.request(row, self._names(seeds), now)
        return row

    def _goes_on(
        self, row: OpenRequest, swarm: Swarm | None, seeds: SeedList | None, *, reopened: bool = False
    ) -> None:
        info_hash = None if swarm is None else swarm.info_hash
        total = 0 if seeds is None else len(seeds)
        first_holders = not row.holders and total > 0
        if first_holders:
            row.holders = total
        if info_hash is not None and row.info_hash != info_hash:
            row.info_hash = info_hash
            reopened = True
        if first_holders or reopened:
            self._chronicle.request_goes_on(row, self._names(seeds) if first_holders else None)

    def _names(self, seeds: SeedList | None) -> tuple[str, ...]:
        return () if seeds is None else seeds.names(self._registry.limits.named_holders)

    def _tail(self, first: int, place: int, swarm: Swarm | None, seeds: SeedList | None) -> bytes:
        """The answer from behind the request's number on."""
        if swarm is None or seeds is None:
            return self._pack(LookupReply(0, False, 0, *self._times, _NO_HASH, 0, 0, 0, 0, first, ()), HolderPage())
        own = swarm.members.get(place)
        incomplete = len(swarm.members) - len(swarm.complete)
        if own is not None and own not in swarm.complete:
            incomplete -= 1
        known = swarm.told.get((first, incomplete)) if seeds.all_there_are else None
        if known is not None:
            return known
        size, piece_length = swarm.size or 0, swarm.piece_length or 0
        found = LookupReply(
            0, True, 0, *self._times, swarm.info_hash, size, piece_length, len(seeds), incomplete, first, ()
        )
        tail = self._pack(found, seeds.page(first))
        if seeds.all_there_are and len(swarm.told) < _MAX_CACHED_TAILS:
            swarm.told[first, incomplete] = tail
        return tail

    @staticmethod
    def _pack(found: LookupReply, page: HolderPage) -> bytes:
        return lookup_reply_tail(pack_lookup_page(found, page))
