"""The ``swarm`` strategy: pieces from everybody who has them, given on at once. A state machine without I/O.

Many connections, whoever opened them, are used in both directions. Our own peers ask for a piece only after an offer,
so that an uplink is never promised twice and no piece is left to a peer that will be late with it (see
:mod:`torrentnet.peer.turns`); real clients are asked as they are used to, with a window that follows their rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from torrentnet.peer.acquaintances import Acquaintances
from torrentnet.peer.fetch import NOT_NOW, Fetch, PieceArrived
from torrentnet.peer.getting import MAX_VERIFYING, Disk, Getting, Patience, Phase
from torrentnet.peer.infofetch import InfoArrived
from torrentnet.peer.memory import PieceMemory
from torrentnet.peer.session import LookupDone, PeersListed
from torrentnet.peer.work import Work, gained
from torrentnet.wire.errors import RemoteError
from torrentnet.wire.extended import ExtensionHandshake
from torrentnet.wire.handshake import Handshake
from torrentnet.wire.lookup import Holder
from torrentnet.wire.messages import Bitfield, Choke, Have, HaveAll, HaveNone
from torrentnet.wire.pieces import PieceSet
from torrentnet.wire.udp import Endpoint

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from torrentnet.peer.conversation import Conversation, ConversationEvent
    from torrentnet.peer.report import Report
    from torrentnet.peer.session import Identity, SessionEvent, TrackerSession
    from torrentnet.peer.upload import Upload
    from torrentnet.wire.info import Info

MAX_PARTNERS = 60
"""Connections that are used for downloading; more peers only add messages."""
MAX_DIALS = 40
MAX_ASKED = 32 * 1024 * 1024
"""Bytes of pieces that may be asked for at once, but always two pieces."""
LOOK_EVERY, LOOK_AT_THE_END = 0.25, 0.02
PEERS_AGAIN = (0.3, 1.0, 3.0)
"""Seconds after joining when the tracker is asked for peers again: in a flash crowd most come just after us."""
ENOUGH = 20
"""Connections with which no more peers are asked for; those who come later find us."""
METADATA_PATIENCE = 3.0
LATE_TIMES, LEAST_LATE = 1.5, 0.03
"""At the end a piece is asked of a second peer that would need so many times less, and so many seconds besides."""


class Wire(Protocol):
    """A connection as the loop keeps it; also its key here."""

    @property
    def conversation(self) -> Conversation:
        """What is said over it."""

    @property
    def endpoint(self) -> Endpoint:
        """The other end's address."""

    @property
    def upload(self) -> Upload:
        """Its serving side, which knows what the other end holds."""


class Host(Disk, Protocol):
    """What the download asks its surroundings to do; each answer comes back by a call on :class:`Swarm`, later."""

    def dial(self, endpoint: Endpoint) -> None:
        """Open a connection: what is heard on it comes to ``take``, or ``unreachable`` follows."""

    def hang_up(self, wire: Wire, reason: str) -> None:
        """Close a connection; ``gone`` is called before this returns."""


@dataclass(slots=True, eq=False)
class _Partner:
    wire: Wire
    fetch: Fetch
    holder: Holder
    counted: PieceSet | None = None
    gave: int = 0
    metadata_at: float = 0.0


@dataclass(slots=True)
class _Verifying:
    partner: _Partner
    holder: Holder
    elapsed: float
    data: bytearray


@dataclass(slots=True)
class _Pieces:
    work: Work[_Partner]
    verifying: dict[int, _Verifying] = field(default_factory=dict)


class Swarm(Getting):
    """One ``get`` from everybody at once; see :class:`~torrentnet.peer.getting.Getting`.

    It hears of every connection that the peer has, those that others opened too.
    """

    def __init__(
        self,
        name: str,
        identity: Identity,
        session: TrackerSession,
        host: Host,
        rng: random.Random,
        patience: Patience,
        report: Report,
        now: float,
        *,
        own: Endpoint,
        exists: bool,
        info: Info | None = None,
    ) -> None:
        super().__init__(name, identity, session, host, patience, report, now, exists=exists, info=info)
        self._host = host
        self._rng = rng
        self._partners: dict[Wire, _Partner] = {}
        self._names: dict[Endpoint, str] = {}
        self._banned: set[bytes] = set()
        self._known = Acquaintances(own)
        self._pieces: _Pieces | None = None
        self._memory = PieceMemory()
        self._look_at = now
        self._peers_again: list[float] = []
        self._heard_at = now
        session.want_peers = True

    @property
    def sources(self) -> str:
        """See :class:`~torrentnet.peer.getting.Getting`."""
        giving = [partner.holder.name for partner in self._partners.values() if partner.fetch.pieces]
        more = f" and {len(giving) - 8} more" if len(giving) > 8 else ""
        return ", ".join(giving[:8]) + more

    # Whom to speak with

    def _named(self, holders: tuple[Holder, ...], now: float) -> None:
        if self._found is None:
            self._rest(now)
            return
        self.phase = Phase.FETCHING
        self._peers_again = [now + pause for pause in PEERS_AGAIN]
        self._heard_at = now
        self._names.update((holder.endpoint, holder.name) for holder in holders)
        self._known.heard_of(holder.endpoint for holder in holders)
        if self.info is not None:
            self._open_part(self.info)
        self._dial(now)

    def _named_meanwhile(self, done: LookupDone, now: float) -> None:
        self._known.heard_of(holder.endpoint for holder in done.holders)

    def take_session(self, event: SessionEvent, now: float) -> None:
        """See :class:`~torrentnet.peer.getting.Getting`."""
        if not isinstance(event, PeersListed):
            super().take_session(event, now)
            return
        self._known.heard_of(event.peers)
        if self.phase is Phase.FETCHING:
            self._dial(now)

    def _dial(self, now: float) -> None:
        if self._found is None:
            return
        room = min(MAX_DIALS, MAX_PARTNERS - len(self._partners))
        for endpoint in list(self._known.next(room, now)):
            self._host.dial(endpoint)

    def unreachable(self, endpoint: Endpoint, reason: str, now: float) -> None:
        """A connection that was asked for could not be had."""
        self._known.lost(endpoint, now)
        self._obstacle = f"{self._names.get(endpoint, endpoint)}: {reason}"

    def _meet(self, wire: Wire, theirs: Handshake, now: float) -> None:
        conversation = wire.conversation
        if theirs.peer_id in self._banned:
            self._host.hang_up(wire, "has sent a bad piece before")
            return
        for other in list(self._partners.values()):
            met = other.wire.conversation.other
            if met is None or met.peer_id != theirs.peer_id:
                continue
            # Both have dialled at once. Both keep the connection that the one with the smaller peer id opened.
            ours_first = self._identity.peer_id < theirs.peer_id
            if conversation.initiator is ours_first and other.wire.conversation.initiator is not ours_first:
                self._host.hang_up(other.wire, "is connected twice")
                break
            self._host.hang_up(wire, "is connected twice")
            return
        if self.phase is not Phase.FETCHING or len(self._partners) >= MAX_PARTNERS:
            return

        def next_piece(held: PieceSet) -> int | None:
            return self._next_piece(partner, held, self._heard_at)

        fetch = Fetch(
            conversation,
            self.info_hash,
            self.info,
            next_piece,
            self._patience.stall,
            now,
            now,
            self._memory,
            possession=wire.upload.possession,
            exchange=True,
        )
        partner = _Partner(wire, fetch, self._holder(wire))
        self._partners[wire] = partner
        if self._pieces is not None and self.store is not None:
            fetch.opened(self.store.info, now)
        if conversation.initiator:
            self._known.connected(wire.endpoint)

    def _holder(self, wire: Wire) -> Holder:
        extension = wire.conversation.extension
        endpoint = wire.endpoint
        if not wire.conversation.initiator and extension is not None and extension.port:
            endpoint = Endpoint(endpoint.ip, extension.port)
        name = self._names.get(endpoint) or (extension.name if extension is not None else "")
        return Holder(endpoint, name or str(endpoint))

    # What they say

    def take(self, wire: Wire, event: ConversationEvent, now: float) -> None:
        """Somebody said something, and the serving side has heard it already.

        Raises :class:`RemoteError` when the connection is of no more use; :meth:`gone` is to follow.
        """
        if self.phase in {Phase.DONE, Phase.FAILED, Phase.FINISHING}:
            return
        if isinstance(event, Handshake):
            self._meet(wire, event, now)
        partner = self._partners.get(wire)
        if partner is None:
            return
        fetch = partner.fetch
        self._heard_at = now
        for result in fetch.take(event, now):
            self._take_result(partner, result, now)
        if isinstance(event, Choke):
            self._release(partner, now)
        elif isinstance(event, ExtensionHandshake):
            if partner.holder.endpoint == wire.endpoint:
                # Once: whoever names port after port must not fill the list of addresses.
                partner.holder = self._holder(wire)
                self._known.connected(partner.holder.endpoint)
            self._ask_metadata(now)
        elif isinstance(event, Have) and self._pieces is not None:
            self._take_have(partner, event.piece)
        elif isinstance(event, (Bitfield, HaveAll, HaveNone)) and self._pieces is not None:
            self._count(partner, self._pieces.work)

    def _take_result(self, partner: _Partner, result: InfoArrived | PieceArrived, now: float) -> None:
        if isinstance(result, InfoArrived):
            if self.info is None:
                self.info = result.info
                self._report.info_arrived(partner.holder, result.info, result.elapsed)
                self._open_part(result.info)
            return
        pieces = self._pieces
        assert pieces is not None
        if not pieces.work.awaited(result.piece):
            return
        for other in pieces.work.arrived(result.piece):
            if other is not partner:
                other.fetch.cancel(result.piece, now)
        pieces.verifying[result.piece] = _Verifying(partner, partner.holder, result.elapsed, result.data)
        self._host.write_piece(result.piece, result.data)

    def _take_have(self, partner: _Partner, piece: int) -> None:
        pieces = self._pieces
        assert pieces is not None
        if partner.counted is None:
            self._count(partner, pieces.work)
        elif piece not in partner.counted:
            partner.counted.add(piece)
            pieces.work.known((piece,))
        if pieces.work.lacks(piece):
            partner.fetch.want()

    def _count(self, partner: _Partner, work: Work[_Partner]) -> None:
        held = partner.fetch.possession.held
        if held is None:
            return
        if partner.counted is None:
            partner.counted = PieceSet(held.size)
        work.known(gained(partner.counted, held))
        if work.any_for(held):
            partner.fetch.want()

    def _ask_metadata(self, now: float) -> None:
        if self.info is not None:
            return
        for partner in self._partners.values():
            if partner.fetch.asks_metadata:
                if now - partner.metadata_at < METADATA_PATIENCE:
                    return
                partner.fetch.forget_metadata()
        able: list[_Partner] = []
        for partner in self._partners.values():
            extension = partner.wire.conversation.extension
            if extension is not None and extension.metadata_id and extension.metadata_size:
                able.append(partner)
        if able:
            # Whoever refuses must not be asked again and again while others would give it.
            chosen = min(able, key=lambda partner: partner.metadata_at)
            chosen.metadata_at = now
            chosen.fetch.ask_metadata(now)

    def gone(self, wire: Wire, reason: str, now: float) -> None:
        """A connection is closed."""
        partner = self._partners.pop(wire, None)
        if partner is None:
            # One of two connections with the same peer may go while the other one stays.
            if wire.conversation.initiator and all(p.holder.endpoint != wire.endpoint for p in self._partners.values()):
                self._known.lost(wire.endpoint, now)
            return
        partner.fetch.ready = False
        self._known.lost(partner.holder.endpoint, now)
        if self.phase is not Phase.FETCHING:
            return
        self._obstacle = f"{partner.holder.name}: {reason}"
        if partner.gave or partner.fetch.pieces:
            self._report.source_lost(partner.holder, reason, len(self.store.held) if self.store else 0)
        self._release(partner, now)
        if self._pieces is not None and partner.counted is not None:
            self._pieces.work.forgotten(partner.counted)

    def _release(self, partner: _Partner, now: float) -> None:
        """Nothing more is expected of this one for now: others may be asked for its pieces."""
        if self._pieces is None:
            return
        mine = partner.fetch.pieces
        back = list(self._pieces.work.given_up(mine, partner))
        for piece in mine:
            partner.fetch.cancel(piece, now)
        if back:
            self._want_again()

    def _want_again(self) -> None:
        pieces = self._pieces
        assert pieces is not None
        for partner in self._partners.values():
            held = partner.fetch.possession.held
            if not partner.fetch.interested and held is not None and pieces.work.any_for(held):
                partner.fetch.want()

    # Pieces

    def _opened(self, now: float) -> None:
        assert self.store is not None
        self._pieces = _Pieces(Work(self.store.held, self._rng))
        if self.phase in {Phase.ASKING, Phase.PAUSING}:
            return
        for partner in list(self._partners.values()):
            self._use(partner, now)

    def _use(self, partner: _Partner, now: float) -> None:
        assert self.store is not None
        assert self._pieces is not None
        info = self.store.info

        def step(fetch: Fetch) -> None:
            fetch.possession.settle(info.pieces)
            self._count(partner, self._pieces.work)  # type: ignore[union-attr]  # asserted above
            fetch.opened(info, now)

        self._go_on(partner, step, now)

    def _go_on(self, partner: _Partner, step: Callable[[Fetch], None], now: float) -> None:
        try:
            step(partner.fetch)
        except RemoteError as error:
            self._host.hang_up(partner.wire, error.message)

    def _next_piece(self, partner: _Partner, held: PieceSet, now: float) -> int | None:
        pieces, info = self._pieces, self.info
        if pieces is None or info is None or self.phase is not Phase.FETCHING:
            return None
        length = info.piece_length
        if pieces.verifying and len(pieces.verifying) * length >= MAX_VERIFYING:
            return NOT_NOW
        if pieces.work.asked >= 2 and pieces.work.asked * length >= MAX_ASKED:
            return NOT_NOW
        piece = pieces.work.take(held, partner, now)
        if piece is not None or not pieces.work.nothing_left:
            return piece
        piece = pieces.work.waiting(held, partner, now, _begun)
        if piece is not None:
            pieces.work.move(piece, partner, now).fetch.cancel(piece, now)
            return piece
        piece = self._late(partner, held, now)
        if piece is not None:
            pieces.work.join(piece, partner)
        return piece

    def _late(self, partner: _Partner, held: PieceSet, now: float) -> int | None:
        """The piece that would be here much sooner if this one sent it too."""
        pieces, info = self._pieces, self.info
        assert pieces is not None
        assert info is not None
        found = pieces.work.slowest(held, partner, lambda giver, piece: giver.fetch.needs(piece, now))
        if found is None:
            return None
        seconds, piece = found
        sooner = partner.fetch.would_need(info.piece_size(piece)) * LATE_TIMES + LEAST_LATE
        return piece if seconds > sooner else None

    def piece_written(self, piece: int, now: float, *, verified: bool) -> None:
        """See :class:`~torrentnet.peer.getting.Getting`."""
        pieces = self._pieces
        if pieces is None or self.store is None or self.phase is Phase.FAILED:
            return
        self._heard_at = now
        done = pieces.verifying.pop(piece)
        self._memory.give(done.data)
        if not verified:
            self._throw_away(piece, done, pieces, now)
            return
        done.partner.gave += 1
        self._known.served(done.holder.endpoint)
        self._verified(done.holder, piece, done.elapsed, now)
        if self.phase is Phase.FETCHING:
            for partner in list(self._partners.values()):
                self._go_on(partner, lambda fetch: fetch.refill(now), now)

    def _throw_away(self, piece: int, done: _Verifying, pieces: _Pieces, now: float) -> None:
        assert self.store is not None
        self._report.piece_thrown_away(done.holder, piece, self.store.info.piece_size(piece), done.elapsed)
        pieces.work.again(piece)
        self._known.never(done.holder.endpoint)
        met = done.partner.wire.conversation.other
        if met is not None:
            self._banned.add(met.peer_id)
        if done.partner.wire in self._partners:
            self._host.hang_up(done.partner.wire, f"sent piece {piece} with a wrong hash")
        self._want_again()

    def _let_go(self, now: float) -> None:
        self._session.want_peers = False
        partners, self._partners = self._partners, {}
        for partner in partners.values():
            partner.fetch.ready = False
            for piece in partner.fetch.pieces:
                partner.fetch.cancel(piece, now)
            partner.fetch.want(wanted=False)

    # Time

    def due(self) -> float | None:
        """See :class:`~torrentnet.peer.getting.Getting`."""
        if self.phase is Phase.ASKING:
            return self._advanced + self._patience.give_up
        if self.phase is Phase.PAUSING:
            return self._wake
        return self._look_at if self.phase is Phase.FETCHING else None

    def tick(self, now: float) -> None:
        """See :class:`~torrentnet.peer.getting.Getting`."""
        if self.phase is Phase.PAUSING and now >= self._wake:
            self._ask_again(now)
        elif self.phase is Phase.ASKING and now - self._advanced >= self._patience.give_up:
            self._give_up(now)
        elif self.phase is Phase.FETCHING and now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._look(now)

    def _look(self, now: float) -> None:
        self._heard_at = now
        for partner in list(self._partners.values()):
            self._go_on(partner, lambda fetch: fetch.check(now), now)
        if self._peers_again and now >= self._peers_again[0]:
            self._peers_again.pop(0)
            self._session.announce_soon(now)
        self._session.want_peers = bool(self._peers_again) or len(self._partners) < ENOUGH
        self._dial(now)
        self._ask_metadata(now)
        pieces = self._pieces
        if pieces is not None and pieces.work.nothing_left:
            self._look_at = now + LOOK_AT_THE_END
            self._look_at_the_late(pieces.work, now)
        flowing = any(partner.fetch.pieces for partner in self._partners.values())
        if now - self._advanced >= self._patience.give_up and not flowing:
            self._give_up(now)

    def _look_at_the_late(self, work: Work[_Partner], now: float) -> None:
        for partner in list(self._partners.values()):
            held = partner.fetch.possession.held
            if held is None:
                continue
            if work.waiting(held, partner, now, _begun) is None and self._late(partner, held, now) is None:
                continue
            if partner.wire.conversation.waits_for_offers:
                partner.fetch.want()
            else:
                self._go_on(partner, lambda fetch: fetch.refill(now), now)


def _begun(partner: _Partner, piece: int) -> bool:
    return partner.fetch.begun(piece)
