"""A peer that a ``swarm`` download fetches from, and the connection to that peer.

Tested by tests/unit/peer/strategies/test_swarm.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from torrentnet.peer.transfer.exchange_fetcher import ExchangeFetcher
    from torrentnet.peer.transfer.protocol import PeerProtocol
    from torrentnet.peer.transfer.upload import Upload
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.piece_set import PieceSet
    from torrentnet.wire.udp.lookup import LookupHolder

METADATA_TIMEOUT: Final = 3.0
"""Seconds that one peer has to send the info dictionary before another peer is asked."""


class PeerConnection(Protocol):
    """A connection of the loop; in a download, the key of its :class:`RemotePeer`."""

    @property
    def protocol(self) -> PeerProtocol:
        """The messages of both directions."""

    @property
    def endpoint(self) -> Endpoint:
        """The other end's address."""

    @property
    def upload(self) -> Upload:
        """The serving side, which knows the pieces that the other end holds."""


@dataclass(slots=True, eq=False)
class RemotePeer:
    """The peer at the other end of a connection."""

    connection: PeerConnection
    fetcher: ExchangeFetcher
    holder: LookupHolder
    """Its name and the address that it listens on."""
    counted: PieceSet | None = None
    """The pieces that it held when availability was last counted."""
    verified_pieces: int = 0
    """Pieces received from it that were right."""
    metadata_requested_at: float = 0.0


def request_metadata(peers: Collection[RemotePeer], now: float) -> None:
    """Request the info dictionary from one of these peers at a time.

    The next peer is asked when the last one does not reply.

    Raises :class:`~torrentnet.peer.transfer.metadata_exchange.SourceError` where that peer has none after all.
    """
    for peer in peers:
        if peer.fetcher.metadata_pending:
            if now - peer.metadata_requested_at < METADATA_TIMEOUT:
                return
            peer.fetcher.cancel_metadata()
    able: list[RemotePeer] = []
    for peer in peers:
        extension = peer.connection.protocol.remote_extension
        if extension is not None and extension.metadata_id and extension.metadata_size:
            able.append(peer)
    if able:
        # A peer that rejects must not be asked again and again while others would send it.
        chosen = min(able, key=lambda peer: peer.metadata_requested_at)
        chosen.metadata_requested_at = now
        chosen.fetcher.request_metadata(now)
