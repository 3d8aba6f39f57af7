"""A faulty link and the peers behind it, in virtual time.

The link loses, duplicates and reorders datagrams.
"""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from tests.unit.tracker.world import HASH, KEEPALIVE, PIECE, SIZE, World
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.lookup import LookupHolder, LookupRequest, pack_lookup, parse_lookup_reply
from torrentnet.wire.udp.outcome import OutcomeReport, OutcomeResult, OutcomeSource, pack_outcome
from torrentnet.wire.udp.packets import Action, AnnounceEvent, AnnounceRequest
from torrentnet.wire.udp.possession import pack_possession
from torrentnet.wire.udp.url_data import Publication, pack_publication

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Packer: TypeAlias = "Callable[[int], bytes]"
"""Packs a request with a transaction id and the current connection id."""
Script: TypeAlias = "Generator[Packer | Pause, packets.ReplyPacket | None]"
PIECES = SIZE // PIECE
FIRST_WAIT, LONGEST_WAIT = 0.2, 1.0


class Fate(Enum):
    """How a leecher ends."""

    SEED = "succeeds and stays"
    LEAVER = "succeeds and leaves"
    FAILURE = "reports a failure and leaves"
    DEAD = "dies in the middle"


@dataclass(frozen=True, slots=True)
class Pause:
    """A step of a script in which the peer does nothing."""

    seconds: float


class LossyLink:
    """The link, and a schedule of future calls."""

    def __init__(self, world: World, seed: int, *, loss: float, duplication: float, delay: float) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.loss, self.duplication, self.delay = loss, duplication, delay
        self._plan: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, delay: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._plan, (self.world.now + delay, next(self._order), what))

    def carry(self, deliver: Callable[[], None]) -> None:
        """Deliver a datagram never, once or twice, each time after a random delay."""
        for _ in range(2 if self.chance.random() < self.duplication else 1):
            if self.chance.random() >= self.loss:
                self.at(self.chance.random() * self.delay, deliver)

    def run(self, seconds: float) -> None:
        end = self.world.now + seconds
        while self._plan and self._plan[0][0] <= end:
            when, _, what = heapq.heappop(self._plan)
            self.world.pass_time(max(0.0, when - self.world.now))
            what()
        self.world.pass_time(end - self.world.now)


class Peer:
    """A peer that follows a script and retransmits its requests (BEP 15)."""

    def __init__(self, link: LossyLink, name: str, ip: str, fate: Fate | None = None) -> None:
        self.link, self.name, self.ip, self.fate = link, name, ip, fate
        self.peer_id = b"-XT0100-" + name.encode().ljust(12, b".")
        self.tid = link.chance.getrandbits(31)
        self.connection = 0
        self.alive = True
        self.over = False
        self.complete = fate is None
        self._held = PieceSet.full(PIECES) if fate is None else PieceSet(PIECES)
        self._body: Packer | None = None
        self._waiting_for = 0
        self._script = self._seed() if fate is None else self._leech(fate)
        link.at(link.chance.random(), lambda: self._resume(None))

    @property
    def left(self) -> int:
        return (PIECES - len(self._held)) * PIECE

    def die(self) -> None:
        self.alive = False

    def _seed(self) -> Script:
        yield from self._report(AnnounceEvent.STARTED)
        while True:
            yield Pause(KEEPALIVE)
            yield from self._report(AnnounceEvent.NONE)

    def _leech(self, fate: Fate) -> Script:
        request = 0
        holders: tuple[LookupHolder, ...] = ()
        while not holders:
            reply = yield self._lookup(request)
            assert reply is not None
            found = parse_lookup_reply(reply)
            request, holders = found.request, found.holders
            yield Pause(0.1)
        yield from self._report(AnnounceEvent.STARTED)
        for piece in range(PIECES):
            self._held.add(piece)
            if piece % 8 == 0:
                yield from self._possess()
            if piece == PIECES // 2 and fate is Fate.DEAD:
                self.die()
            if piece == PIECES // 2 and fate is Fate.FAILURE:
                yield self._outcome(request, OutcomeResult.FAILED, holders[0])
                yield from self._report(AnnounceEvent.STOPPED)
                return
            yield Pause(0.05)
        self.complete = True
        yield from self._report(AnnounceEvent.COMPLETED)
        yield self._outcome(request, OutcomeResult.SUCCEEDED, holders[0])
        if fate is Fate.LEAVER:
            yield from self._report(AnnounceEvent.STOPPED)
            return
        while True:
            yield Pause(KEEPALIVE)
            yield from self._report(AnnounceEvent.NONE)

    def _report(self, event: AnnounceEvent) -> Script:
        reply = yield self._announce(event)
        while reply is not None and reply.action == Action.ERROR:
            assert packets.parse_error(reply).startswith("unknown peer:")
            yield self._announce(AnnounceEvent.STARTED)
            reply = None if event is AnnounceEvent.NONE else (yield self._announce(event))

    def _possess(self) -> Script:
        held = PieceSet.from_bitfield(PIECES, self._held.bitfield())
        while True:
            reply = yield lambda tid: pack_possession(self.connection, tid, 6881, HASH, self.peer_id, held, 0, PIECES)
            if reply is None or reply.action != Action.ERROR:
                return
            yield self._announce(AnnounceEvent.STARTED)

    def _announce(self, event: AnnounceEvent) -> Packer:
        options = pack_publication(Publication("myfile.txt", SIZE, PIECE, self.name, extended=True))
        left = self.left
        return lambda tid: packets.pack_announce(
            AnnounceRequest(self.connection, tid, HASH, self.peer_id, 0, left, 0, event, 0, 0, -1, 6881, options)
        )

    def _lookup(self, request: int) -> Packer:
        return lambda tid: pack_lookup(
            LookupRequest(self.connection, tid, 0, request, self.peer_id, 6881, "myfile.txt", self.name)
        )

    def _outcome(self, request: int, result: OutcomeResult, holder: LookupHolder) -> Packer:
        source = OutcomeSource(holder.endpoint, len(self._held), holder.name)
        return lambda tid: pack_outcome(
            OutcomeReport(
                self.connection,
                tid,
                result,
                6881,
                HASH,
                self.peer_id,
                request,
                SIZE - self.left,
                1_600,
                (source,),
                "" if result is OutcomeResult.SUCCEEDED else "no seed answered",
            )
        )

    def _resume(self, reply: packets.ReplyPacket | None) -> None:
        if not self.alive:
            return
        try:
            step = self._script.send(reply)
        except StopIteration:
            self.over = True
            return
        if isinstance(step, Pause):
            self.link.at(step.seconds, lambda: self._resume(None))
            return
        self._body = step
        self.tid += 1
        self._waiting_for = self.tid
        self._send(FIRST_WAIT)

    def _send(self, wait: float) -> None:
        if not self.alive or not self._waiting_for or self._body is None:
            return
        tid = self._waiting_for
        data = self._body(tid) if self.connection else packets.pack_connect(tid)

        def arrive() -> None:
            answer = self.link.world.send(data, (self.ip, 45_000))
            if answer is not None:
                self.link.carry(lambda: self._receive(answer))

        self.link.carry(arrive)
        again = min(wait * 2, LONGEST_WAIT)
        self.link.at(wait, lambda: self._send(again) if self._waiting_for == tid else None)

    def _receive(self, data: bytes) -> None:
        reply = packets.parse_reply(data)
        if not self.alive or reply.transaction_id != self._waiting_for:
            return
        if reply.action == Action.CONNECT:
            self.connection = packets.parse_connect_reply(reply)
            self._send(FIRST_WAIT)
        elif reply.action == Action.ERROR and packets.parse_error(reply).startswith("connection id refused"):
            self.connection = 0
            self._send(FIRST_WAIT)
        else:
            self._waiting_for = 0
            self._resume(reply)
