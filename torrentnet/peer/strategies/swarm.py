"""The ``swarm`` strategy: pieces from every peer that has some. No I/O.

Every connection is used in both directions, whoever opened it. Between two peers of this project a piece is requested
only after a credit, so that no uplink is promised twice and no piece waits at a peer that would send it late (see
:mod:`torrentnet.peer.scheduling.choker`). Any other client gets requests in proportion to its rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.peer.scheduling.peer_pool import PeerPool
from torrentnet.peer.strategies.base import BaseDownload, Phase
from torrentnet.peer.strategies.effects import CloseConnection, Dial, WritePiece
from torrentnet.peer.strategies.piece_scheduler import PieceScheduler
from torrentnet.peer.strategies.remote_peer import RemotePeer, request_metadata
from torrentnet.peer.tracker_client.session_events import PeersReceived
from torrentnet.peer.transfer.exchange_fetcher import ExchangeFetcher
from torrentnet.peer.transfer.metadata_exchange import MetadataReceived
from torrentnet.wire.errors import RemoteError
from torrentnet.wire.peer.extension_protocol import ExtensionHandshake
from torrentnet.wire.peer.handshake import Handshake
from torrentnet.wire.peer.messages import Bitfield, Choke, Have, HaveAll, HaveNone

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from torrentnet.peer.strategies.piece_scheduler import VerifyingPiece
    from torrentnet.peer.strategies.task import DownloadTask
    from torrentnet.peer.tracker_client.lookup import LookupResult
    from torrentnet.peer.tracker_client.session_events import SessionEvent
    from torrentnet.peer.transfer.connection import Connection
    from torrentnet.peer.transfer.fetcher import FetcherEvent
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.piece_set import PieceSet
    from torrentnet.wire.udp.lookup import LookupHolder

MAX_REMOTE_PEERS: Final = 60
"""Connections that are used for downloading; more would only cost messages."""
MAX_DIALS: Final = 40
CHECK_INTERVAL: Final = 0.25
ENDGAME_CHECK_INTERVAL: Final = 0.02
PEER_REQUEST_DELAYS: Final = (0.3, 1.0, 3.0)
"""Seconds after joining at which more peers are requested: in a flash crowd, most peers join after this one."""
ENOUGH_PEERS: Final = 20
"""Connections from which on no more peers are requested: peers that join later connect to this one."""


class SwarmDownload(BaseDownload):
    """One ``get`` from many peers, over every connection of this peer.

    ``own`` is the address that this peer listens on.
    """

    def __init__(self, task: DownloadTask, rng: random.Random, now: float, own: Endpoint) -> None:
        super().__init__(task, now)
        self._rng = rng
        self._peers: dict[Connection, RemotePeer] = {}
        self._closing: set[Connection] = set()
        self._pool = PeerPool(own)
        self._scheduler: PieceScheduler | None = None
        self._check_at = now
        self._peer_requests_at: list[float] = []
        self._event_at = now
        task.session.want_peers = True

    @property
    def sources(self) -> str:
        """See :class:`~torrentnet.peer.strategies.base.BaseDownload`."""
        names = [peer.holder.name for peer in self._peers.values() if peer.fetcher.pieces]
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        return ", ".join(names[:8]) + more

    @property
    def _begun_bytes(self) -> int:
        return sum(connection.protocol.partial_block_bytes for connection in self._peers)

    @property
    def _is_verifying(self) -> bool:
        return self._scheduler is not None and self._scheduler.is_verifying

    @property
    def _silent_sources(self) -> str:
        return self.sources

    # -- peers -------------------------------------------------------------------------------------

    def _holders_found(self, holders: tuple[LookupHolder, ...], now: float) -> None:
        if self._swarm is None:
            self._pause(now)
            return
        self.phase = Phase.FETCHING
        self._peer_requests_at = [now + delay for delay in PEER_REQUEST_DELAYS]
        self._event_at = now
        self._pool.add_holders(holders)
        if self.info is not None:
            self._open_part(self.info)
        self._dial(now)

    def _holders_refreshed(self, result: LookupResult, now: float) -> None:
        self._pool.add(holder.endpoint for holder in result.holders)

    def handle_session_event(self, event: SessionEvent, now: float) -> None:
        """See :class:`~torrentnet.peer.strategies.base.BaseDownload`."""
        if not isinstance(event, PeersReceived):
            super().handle_session_event(event, now)
            return
        self._pool.add(event.peers)
        if self.phase is Phase.FETCHING:
            self._dial(now)

    def _dial(self, now: float) -> None:
        if self._swarm is None:
            return
        room = min(MAX_DIALS, MAX_REMOTE_PEERS - len(self._peers))
        self.effects.extend(Dial(endpoint) for endpoint in self._pool.take(room, now))

    def dial_failed(self, endpoint: Endpoint, reason: str, now: float) -> None:
        """Handle a connection that could not be opened."""
        self._pool.disconnected(endpoint, now)
        self._obstacle = f"{self._pool.name(endpoint)}: {reason}"

    def _add_peer(self, connection: Connection, handshake: Handshake, now: float) -> None:
        protocol = connection.protocol
        if self._pool.is_banned(handshake.peer_id):
            self._close(connection, "has sent a bad piece before", now)
            return
        twin = self._find_peer(handshake.peer_id)
        if twin is not None:
            # Both peers have dialled at once. Both keep the connection that the peer with the smaller id has opened.
            ours_first = self._identity.peer_id < handshake.peer_id
            if protocol.initiator is not ours_first or twin.connection.protocol.initiator is ours_first:
                self._close(connection, "is connected twice", now)
                return
            self._close(twin.connection, "is connected twice", now)
        if self.phase is not Phase.FETCHING or len(self._peers) >= MAX_REMOTE_PEERS:
            return

        def next_piece(held: PieceSet) -> int | None:
            scheduler = self._scheduler
            if scheduler is None or self.phase is not Phase.FETCHING:
                return None
            return scheduler.next_piece(peer, held, self._event_at)

        fetcher = ExchangeFetcher(
            protocol,
            self.info_hash,
            self.info,
            next_piece,
            self._timeouts.stall,
            now,
            buffers=self._buffers,
            remote_pieces=connection.upload.remote_pieces,
        )
        peer = RemotePeer(connection, fetcher, self._identify(connection))
        self._peers[connection] = peer
        if self._scheduler is not None and self.store is not None:
            fetcher.start(self.store.info, now)
        if protocol.initiator:
            self._pool.connected(connection.endpoint)

    def _identify(self, connection: Connection) -> LookupHolder:
        protocol = connection.protocol
        return self._pool.identify(connection.endpoint, protocol.remote_extension, outgoing=protocol.initiator)

    def _find_peer(self, peer_id: bytes) -> RemotePeer | None:
        for peer in self._peers.values():
            handshake = peer.connection.protocol.remote_handshake
            if handshake is not None and handshake.peer_id == peer_id:
                return peer
        return None

    def _close(self, connection: Connection, reason: str, now: float) -> None:
        # Forget the connection now, not when it is closed: the rest of this step must not use it.
        self.connection_closed(connection, reason, now)
        self._closing.add(connection)
        self.effects.append(CloseConnection(connection, reason))

    # -- events of peers ---------------------------------------------------------------------------

    def handle_peer_event(self, connection: Connection, event: PeerProtocolEvent, now: float) -> None:
        """React to an event of a connection after its upload side.

        Raises :class:`RemoteError` for a connection to close; :meth:`connection_closed` must follow.
        """
        if self.phase in {Phase.DONE, Phase.FAILED, Phase.FINISHING}:
            return
        if isinstance(event, Handshake):
            self._add_peer(connection, event, now)
        peer = self._peers.get(connection)
        if peer is None:
            return
        self._event_at = now
        for result in peer.fetcher.handle(event, now):
            self._handle_received(peer, result, now)
        scheduler = self._scheduler
        if isinstance(event, Choke):
            self._release(peer, now)
        elif isinstance(event, ExtensionHandshake):
            if peer.holder.endpoint == connection.endpoint:
                # Only once: a peer that sends many ports must not fill the pool.
                peer.holder = self._identify(connection)
                self._pool.connected(peer.holder.endpoint)
            self._request_metadata(now)
        elif isinstance(event, Have) and scheduler is not None:
            scheduler.count_piece(peer, event.piece)
        elif isinstance(event, (Bitfield, HaveAll, HaveNone)) and scheduler is not None:
            scheduler.count_held(peer)

    def _handle_received(self, peer: RemotePeer, result: FetcherEvent, now: float) -> None:
        if isinstance(result, MetadataReceived):
            if self.info is None:
                self.info = result.info
                self._report.metadata_received(peer.holder, result.info, result.elapsed)
                self._open_part(result.info)
            return
        assert self._scheduler is not None
        if self._scheduler.received(peer, result, now):
            self.effects.append(WritePiece(result.piece, result.data))

    def _request_metadata(self, now: float) -> None:
        if self.info is None:
            request_metadata(self._peers.values(), now)

    def connection_closed(self, connection: Connection, reason: str, now: float) -> None:
        """Forget a connection that either side has closed."""
        if connection in self._closing:
            self._closing.discard(connection)
            return
        peer = self._peers.pop(connection, None)
        if peer is None:
            # Of two connections with the same peer, the other connection may stay.
            stays = any(other.holder.endpoint == connection.endpoint for other in self._peers.values())
            if connection.protocol.initiator and not stays:
                self._pool.disconnected(connection.endpoint, now)
            return
        peer.fetcher.ready = False
        self._pool.disconnected(peer.holder.endpoint, now)
        if self.phase is not Phase.FETCHING:
            return
        self._obstacle = f"{peer.holder.name}: {reason}"
        if peer.verified_pieces or peer.fetcher.pieces:
            self._report.source_lost(peer.holder, reason, len(self.store.held) if self.store else 0)
        self._release(peer, now)
        if self._scheduler is not None:
            self._scheduler.forget(peer)

    def _release(self, peer: RemotePeer, now: float) -> None:
        if self._scheduler is not None:
            self._scheduler.release(peer, now)

    # -- pieces ------------------------------------------------------------------------------------

    def _part_ready(self, now: float) -> None:
        assert self.store is not None
        self._scheduler = PieceScheduler(self.store.info, self.store.held, self._peers, self._rng)
        if self.phase in {Phase.LOOKING_UP, Phase.PAUSING}:
            return
        info, scheduler = self.store.info, self._scheduler

        def start(peer: RemotePeer) -> None:
            peer.fetcher.remote_pieces.set_piece_count(info.pieces)
            scheduler.count_held(peer)
            peer.fetcher.start(info, now)

        self._for_each_peer(start, now)

    def _for_each_peer(self, step: Callable[[RemotePeer], None], now: float) -> None:
        for peer in list(self._peers.values()):
            self._with_peer(peer, step, now)

    def _with_peer(self, peer: RemotePeer, step: Callable[[RemotePeer], None], now: float) -> None:
        try:
            step(peer)
        except RemoteError as error:
            self._close(peer.connection, error.message, now)

    def piece_written(self, piece: int, now: float, *, verified: bool) -> None:
        """See :class:`~torrentnet.peer.strategies.base.BaseDownload`."""
        scheduler = self._scheduler
        if scheduler is None or self.store is None or self.phase is Phase.FAILED:
            return
        self._event_at = now
        written = scheduler.written(piece)
        self._buffers.release(written.data)
        if not verified:
            self._discard_piece(piece, written, scheduler, now)
            return
        written.peer.verified_pieces += 1
        self._pool.reset_pause(written.holder.endpoint)
        self._piece_verified(written.holder, piece, written.elapsed, now)
        if self.phase is Phase.FETCHING:
            self._for_each_peer(lambda peer: peer.fetcher.refill(now), now)

    def _discard_piece(self, piece: int, written: VerifyingPiece, scheduler: PieceScheduler, now: float) -> None:
        assert self.store is not None
        self._report.piece_discarded(written.holder, piece, self.store.info.piece_size(piece), written.elapsed)
        scheduler.put_back(piece)
        connection = written.peer.connection
        handshake = connection.protocol.remote_handshake
        assert handshake is not None
        self._pool.ban(written.holder.endpoint, handshake.peer_id)
        if connection in self._peers:
            self._close(connection, f"sent piece {piece} with a wrong hash", now)
        scheduler.renew_interest()

    def _stop_fetching(self, now: float) -> None:
        self._session.want_peers = False
        peers = list(self._peers.values())
        self._peers.clear()
        for peer in peers:
            peer.fetcher.ready = False
            for piece in peer.fetcher.pieces:
                peer.fetcher.cancel(piece, now)
            peer.fetcher.set_interested(interested=False)

    # -- time --------------------------------------------------------------------------------------

    def _check_due(self) -> float | None:
        return self._check_at

    def _check(self, now: float) -> None:
        if now < self._check_at:
            return
        self._check_at = now + CHECK_INTERVAL
        self._event_at = now
        self._for_each_peer(lambda peer: peer.fetcher.check(now), now)
        if self._peer_requests_at and now >= self._peer_requests_at[0]:
            self._peer_requests_at.pop(0)
            self._session.announce_now(now)
        self._session.want_peers = bool(self._peer_requests_at) or len(self._peers) < ENOUGH_PEERS
        self._dial(now)
        self._request_metadata(now)
        scheduler = self._scheduler
        if scheduler is not None and scheduler.all_requested:
            self._check_at = now + ENDGAME_CHECK_INTERVAL
            for peer in scheduler.faster_peers(now):
                if peer.connection.protocol.needs_credits:
                    peer.fetcher.set_interested()
                else:
                    self._with_peer(peer, lambda peer: peer.fetcher.refill(now), now)
