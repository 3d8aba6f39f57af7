"""The ``swarm`` strategy: pieces from everybody who has them, given on at once. A state machine without I/O.

Many connections, whoever opened them, are used in both directions. Our own peers ask for a piece only after an offer,
so that an uplink is never promised twice and no piece is left to a peer that will be late with it (see
:mod:`torrentnet.peer.scheduling.choker`); real clients are asked as they are used to, with a window that follows
their rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from torrentnet.peer.scheduling.peer_pool import PeerPool
from torrentnet.peer.storage.buffer_pool import BufferPool
from torrentnet.peer.strategies.base import BaseDownload, Phase
from torrentnet.peer.strategies.effects import Disk
from torrentnet.peer.strategies.piece_scheduler import PieceScheduler
from torrentnet.peer.strategies.remote_peer import RemotePeer, request_metadata
from torrentnet.peer.tracker_client.session import PeersReceived
from torrentnet.peer.transfer.fetcher import PieceFetcher
from torrentnet.peer.transfer.metadata_exchange import MetadataReceived
from torrentnet.wire.errors import RemoteError
from torrentnet.wire.peer.extension_protocol import ExtensionHandshake
from torrentnet.wire.peer.handshake import Handshake
from torrentnet.wire.peer.messages import Bitfield, Choke, Have, HaveAll, HaveNone

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from torrentnet.peer.strategies.piece_scheduler import VerifyingPiece
    from torrentnet.peer.strategies.remote_peer import PeerConnection
    from torrentnet.peer.strategies.task import DownloadTask
    from torrentnet.peer.tracker_client.lookup import LookupResult
    from torrentnet.peer.tracker_client.session import SessionEvent
    from torrentnet.peer.transfer.fetcher import PieceReceived
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.wire.info import Info
    from torrentnet.wire.piece_set import PieceSet
    from torrentnet.wire.udp.lookup import LookupHolder
    from torrentnet.wire.udp.packets import Endpoint

MAX_REMOTE_PEERS = 60
"""Connections that are used for downloading; more peers only add messages."""
MAX_DIALS = 40
CHECK_INTERVAL, ENDGAME_CHECK_INTERVAL = 0.25, 0.02
PEER_REQUEST_DELAYS = (0.3, 1.0, 3.0)
"""Seconds after joining when the tracker is asked for peers again: in a flash crowd most come just after us."""
ENOUGH_PEERS = 20
"""Connections with which no more peers are asked for; those who come later find us."""


class SwarmHost(Disk, Protocol):
    """What the download asks its surroundings to do; each answer comes back by a call on :class:`SwarmDownload`,
    later."""

    def dial(self, endpoint: Endpoint) -> None:
        """Open a connection: what is heard on it comes to ``take``, or ``unreachable`` follows."""

    def hang_up(self, wire: PeerConnection, reason: str) -> None:
        """Close a connection; ``gone`` is called before this returns."""


class SwarmDownload(BaseDownload):
    """One ``get`` from everybody at once; see :class:`~torrentnet.peer.strategies.base.BaseDownload`.

    It hears of every connection that the peer has, those that others opened too. ``own`` is where this peer listens.
    """

    def __init__(self, task: DownloadTask, host: SwarmHost, rng: random.Random, now: float, own: Endpoint) -> None:
        super().__init__(task, host, now)
        self._host = host
        self._rng = rng
        self._partners: dict[PeerConnection, RemotePeer] = {}
        self._known = PeerPool(own)
        self._assignment: PieceScheduler | None = None
        self._memory = BufferPool()
        self._look_at = now
        self._peers_again: list[float] = []
        self._heard_at = now
        task.session.want_peers = True

    @property
    def sources(self) -> str:
        """See :class:`~torrentnet.peer.strategies.base.BaseDownload`."""
        giving = [partner.holder.name for partner in self._partners.values() if partner.fetch.pieces]
        more = f" and {len(giving) - 8} more" if len(giving) > 8 else ""
        return ", ".join(giving[:8]) + more

    # Whom to speak with

    def _named(self, holders: tuple[LookupHolder, ...], now: float) -> None:
        if self._found is None:
            self._rest(now)
            return
        self.phase = Phase.FETCHING
        self._peers_again = [now + pause for pause in PEER_REQUEST_DELAYS]
        self._heard_at = now
        self._known.introduced(holders)
        if self.info is not None:
            self._open_part(self.info)
        self._dial(now)

    def _named_meanwhile(self, done: LookupResult, now: float) -> None:
        self._known.heard_of(holder.endpoint for holder in done.holders)

    def take_session(self, event: SessionEvent, now: float) -> None:
        """See :class:`~torrentnet.peer.strategies.base.BaseDownload`."""
        if not isinstance(event, PeersReceived):
            super().take_session(event, now)
            return
        self._known.heard_of(event.peers)
        if self.phase is Phase.FETCHING:
            self._dial(now)

    def _dial(self, now: float) -> None:
        if self._found is None:
            return
        room = min(MAX_DIALS, MAX_REMOTE_PEERS - len(self._partners))
        for endpoint in list(self._known.next(room, now)):
            self._host.dial(endpoint)

    def unreachable(self, endpoint: Endpoint, reason: str, now: float) -> None:
        """A connection that was asked for could not be had."""
        self._known.lost(endpoint, now)
        self._obstacle = f"{self._known.name(endpoint)}: {reason}"

    def _meet(self, wire: PeerConnection, theirs: Handshake, now: float) -> None:
        conversation = wire.conversation
        if self._known.is_banned(theirs.peer_id):
            self._host.hang_up(wire, "has sent a bad piece before")
            return
        twin = self._with(theirs.peer_id)
        if twin is not None:
            # Both have dialled at once. Both keep the connection that the one with the smaller peer id opened.
            ours_first = self._identity.peer_id < theirs.peer_id
            if conversation.initiator is not ours_first or twin.wire.conversation.initiator is ours_first:
                self._host.hang_up(wire, "is connected twice")
                return
            self._host.hang_up(twin.wire, "is connected twice")
        if self.phase is not Phase.FETCHING or len(self._partners) >= MAX_REMOTE_PEERS:
            return

        def next_piece(held: PieceSet) -> int | None:
            assignment = self._assignment
            if assignment is None or self.phase is not Phase.FETCHING:
                return None
            return assignment.next_piece(partner, held, self._heard_at)

        fetch = PieceFetcher(
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
        partner = RemotePeer(wire, fetch, self._known.holder(wire))
        self._partners[wire] = partner
        if self._assignment is not None and self.store is not None:
            fetch.opened(self.store.info, now)
        if conversation.initiator:
            self._known.connected(wire.endpoint)

    def _with(self, peer_id: bytes) -> RemotePeer | None:
        for partner in self._partners.values():
            met = partner.wire.conversation.other
            if met is not None and met.peer_id == peer_id:
                return partner
        return None

    # What they say

    def take(self, wire: PeerConnection, event: PeerProtocolEvent, now: float) -> None:
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
                partner.holder = self._known.holder(wire)
                self._known.connected(partner.holder.endpoint)
            self._ask_metadata(now)
        elif isinstance(event, Have) and self._assignment is not None:
            self._assignment.count_one(partner, event.piece)
        elif isinstance(event, (Bitfield, HaveAll, HaveNone)) and self._assignment is not None:
            self._assignment.count(partner)

    def _take_result(self, partner: RemotePeer, result: MetadataReceived | PieceReceived, now: float) -> None:
        if isinstance(result, MetadataReceived):
            if self.info is None:
                self.info = result.info
                self._report.info_arrived(partner.holder, result.info, result.elapsed)
                self._open_part(result.info)
            return
        assert self._assignment is not None
        if self._assignment.arrived(partner, result, now):
            self._host.write_piece(result.piece, result.data)

    def _ask_metadata(self, now: float) -> None:
        if self.info is None:
            request_metadata(self._partners.values(), now)

    def gone(self, wire: PeerConnection, reason: str, now: float) -> None:
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
        if self._assignment is not None:
            self._assignment.forget(partner)

    def _release(self, partner: RemotePeer, now: float) -> None:
        if self._assignment is not None:
            self._assignment.release(partner, now)

    # Pieces

    def _opened(self, now: float) -> None:
        assert self.store is not None
        self._assignment = PieceScheduler(self.store.info, self.store.held, self._partners, self._rng)
        if self.phase in {Phase.ASKING, Phase.PAUSING}:
            return
        for partner in list(self._partners.values()):
            self._use(partner, self._assignment, self.store.info, now)

    def _use(self, partner: RemotePeer, assignment: PieceScheduler, info: Info, now: float) -> None:
        def step(fetch: PieceFetcher) -> None:
            fetch.possession.settle(info.pieces)
            assignment.count(partner)
            fetch.opened(info, now)

        self._go_on(partner, step)

    def _go_on(self, partner: RemotePeer, step: Callable[[PieceFetcher], None]) -> None:
        try:
            step(partner.fetch)
        except RemoteError as error:
            self._host.hang_up(partner.wire, error.message)

    def piece_written(self, piece: int, now: float, *, verified: bool) -> None:
        """See :class:`~torrentnet.peer.strategies.base.BaseDownload`."""
        assignment = self._assignment
        if assignment is None or self.store is None or self.phase is Phase.FAILED:
            return
        self._heard_at = now
        done = assignment.written(piece)
        self._memory.give(done.data)
        if not verified:
            self._throw_away(piece, done, assignment)
            return
        done.partner.gave += 1
        self._known.served(done.holder.endpoint)
        self._verified(done.holder, piece, done.elapsed, now)
        if self.phase is Phase.FETCHING:
            for partner in list(self._partners.values()):
                self._go_on(partner, lambda fetch: fetch.refill(now))

    def _throw_away(self, piece: int, done: VerifyingPiece, assignment: PieceScheduler) -> None:
        assert self.store is not None
        self._report.piece_thrown_away(done.holder, piece, self.store.info.piece_size(piece), done.elapsed)
        assignment.again(piece)
        self._known.ban(done.holder.endpoint, done.partner.wire)
        if done.partner.wire in self._partners:
            self._host.hang_up(done.partner.wire, f"sent piece {piece} with a wrong hash")
        assignment.want_again()

    def _let_go(self, now: float) -> None:
        self._session.want_peers = False
        partners = list(self._partners.values())
        self._partners.clear()
        for partner in partners:
            partner.fetch.ready = False
            for piece in partner.fetch.pieces:
                partner.fetch.cancel(piece, now)
            partner.fetch.want(wanted=False)

    # Time

    def _look_due(self) -> float | None:
        return self._look_at

    def _look(self, now: float) -> None:
        if now < self._look_at:
            return
        self._look_at = now + CHECK_INTERVAL
        self._heard_at = now
        for partner in list(self._partners.values()):
            self._go_on(partner, lambda fetch: fetch.check(now))
        if self._peers_again and now >= self._peers_again[0]:
            self._peers_again.pop(0)
            self._session.announce_soon(now)
        self._session.want_peers = bool(self._peers_again) or len(self._partners) < ENOUGH_PEERS
        self._dial(now)
        self._ask_metadata(now)
        assignment = self._assignment
        if assignment is not None and assignment.nothing_left:
            self._look_at = now + ENDGAME_CHECK_INTERVAL
            for partner in assignment.sooner(now):
                if partner.wire.conversation.waits_for_offers:
                    partner.fetch.want()
                else:
                    self._go_on(partner, lambda fetch: fetch.refill(now))
        flowing = any(partner.fetch.pieces for partner in self._partners.values())
        if now - self._advanced >= self._patience.give_up and not flowing:
            self._give_up(now)
