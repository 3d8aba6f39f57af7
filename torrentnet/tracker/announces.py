"""Announce, scrape and possession: what peers say of themselves, and what they are told of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.tracker.answered import key_of
from torrentnet.tracker.limits import DEFAULT_WANT
from torrentnet.tracker.records import Result
from torrentnet.tracker.refusals import Reason, Refused
from torrentnet.wire.possession import Possessed, pack_possessed, parse_possession
from torrentnet.wire.udp import (
    MAX_PEERS,
    Announce,
    Event,
    Swarm,
    pack_announced,
    pack_scraped,
    parse_announce,
    parse_head,
    parse_scrape,
)
from torrentnet.wire.urldata import parse_publication

if TYPE_CHECKING:
    from random import Random

    from torrentnet.tracker.answered import Answered, Key
    from torrentnet.tracker.chronicle import Chronicle
    from torrentnet.tracker.refusals import Refusals
    from torrentnet.tracker.registry import Registry
    from torrentnet.tracker.requests import Requests
    from torrentnet.tracker.settings import Settings
    from torrentnet.tracker.swarm import Holder

# Plain integers: looking a member up in an enumeration costs more than the comparison.
_COMPLETED = int(Event.COMPLETED)
_STARTED = int(Event.STARTED)
_STOPPED = int(Event.STOPPED)

_UNKNOWN_ANNOUNCE = "unknown peer: this tracker does not know you; announce with the event started"
_UNKNOWN_POSSESSION = "unknown peer: this tracker does not know you; announce with the event started, then report"


class AnnounceDesk:
    """Answers these three. Each method takes a datagram behind a valid connection id, its source and the time.

    They raise :class:`PacketError` and :class:`Refused`, and then the requester stands as it stood before.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        requests: Requests,
        chronicle: Chronicle,
        refusals: Refusals,
        answered: Answered[Key, bytes],
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
            self._refusals.count(Reason.ADDRESS_FIELD)
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
        return self._news(announce, key_of(data, source), holder, now)

    def scrape(self, data: bytes, _source: tuple[str, int], _now: float) -> bytes:
        """BEP 48's numbers for each info-hash; to ask for them makes nobody a member."""
        swarms = (self._registry.swarm(info_hash) for info_hash in parse_scrape(data))
        return pack_scraped(
            parse_head(data).transaction_id,
            tuple(
                Swarm(swarm.seeders, swarm.downloads, swarm.leechers) if swarm else Swarm(0, 0, 0) for swarm in swarms
            ),
        )

    def possession(self, data: bytes, source: tuple[str, int], now: float) -> bytes:
        """A peer reports its pieces, which is a sign of life as well."""
        report = parse_possession(data)
        ip = source[0]
        holder = self._registry.find(report.info_hash, ip, report.port)
        if holder is None or holder.peer_id != report.peer_id:
            raise Refused(Reason.UNKNOWN_PEER, _UNKNOWN_POSSESSION)
        self._registry.heard(holder.row, now)
        self._requests.heard(ip, report.peer_id, now)
        key = key_of(data, source)
        known = self._answered.find(key, now)
        if known is not None:
            return known
        before = None if holder.pieces is None else holder.pieces.bitfield()
        held = self._registry.set_pieces(holder, report)
        if holder.pieces is not None and holder.pieces.bitfield() != before:
            self._chronicle.holds(holder)
        settings = self._settings
        answer = Possessed(report.transaction_id, settings.keepalive_ms, settings.timeout_ms, held)
        packed = pack_possessed(answer)
        return self._answered.keep(key, packed, len(packed), now)

    def _news(self, announce: Announce, key: Key, holder: Holder | None, now: float) -> bytes:
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

    def _stopped(self, announce: Announce, ip: str, holder: Holder | None, now: float) -> bytes:
        if announce.left:
            self._give_up(ip, announce.peer_id, announce.info_hash, now)
        if holder is not None and holder.peer_id == announce.peer_id:
            self._registry.remove(holder)
            self._chronicle.left(holder)
        swarm = self._registry.swarm(announce.info_hash)
        leechers, seeders = (swarm.leechers, swarm.seeders) if swarm else (0, 0)
        return pack_announced(announce.transaction_id, self._interval, leechers, seeders, b"")

    def _give_up(self, ip: str, peer_id: bytes, info_hash: bytes | None, now: float) -> None:
        for row in self._requests.give_up(ip, peer_id, info_hash):
            self._chronicle.outcome(row, Result.FAILED, now, reason="peer left")

    def _taken_in(self, announce: Announce, ip: str, holder: Holder | None, now: float) -> Holder:
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
            raise Refused(Reason.UNKNOWN_PEER, _UNKNOWN_ANNOUNCE)
        if holder is not None:
            self._replaced(holder, now)
        holder = self._registry.join(announce, publication, ip, now)
        if announce.event == _COMPLETED and holder.complete:
            holder.swarm.downloads += 1
        self._chronicle.file_known(holder.swarm)
        self._chronicle.came(holder)
        return holder

    def _replaced(self, holder: Holder, now: float) -> None:
        """Another life of a peer has come up where one died without a word."""
        self._registry.remove(holder)
        self._chronicle.forgotten(holder, now - holder.seen, replaced=True)
        for row in self._requests.give_up(holder.ip, holder.peer_id):
            self._chronicle.outcome(row, Result.LOST, now, reason="the peer was started anew")

    def _updated(self, announce: Announce, holder: Holder, now: float) -> None:
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

    def _answer(self, announce: Announce, holder: Holder) -> bytes:
        want = announce.want
        if want < 0:
            want = DEFAULT_WANT
        elif want > MAX_PEERS:
            want = MAX_PEERS
        swarm = holder.swarm
        return pack_announced(
            announce.transaction_id,
            self._interval,
            len(swarm.members) - len(swarm.complete),
            len(swarm.complete),
            swarm.sample(holder.row, want, self._random),
        )
