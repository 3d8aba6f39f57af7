"""A peer that a ``swarm`` download fetches from, and the connection to that peer.

Tested by tests/unit/peer/strategies/test_swarm.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from torrentnet.peer.transfer.connection import Connection
    from torrentnet.peer.transfer.exchange_fetcher import ExchangeFetcher
    from torrentnet.wire.piece_set import PieceSet
    from torrentnet.wire.udp.lookup import LookupHolder

METADATA_TIMEOUT: Final = 3.0
"""Seconds that one peer has to send the info dictionary before another peer is asked."""


@dataclass(slots=True, eq=False)
class RemotePeer:
    """The peer at the other end of a connection."""

    connection: Connection
    fetcher: ExchangeFetcher
    holder: LookupHolder
    """The peer's name, and the address that it listens on."""
    counted: PieceSet | None = None
    """The pieces that the peer held when availability was last counted."""
    verified_pieces: int = 0
    """Verified pieces from this peer."""
    metadata_requested_at: float = 0.0


def request_metadata(peers: Collection[RemotePeer], now: float) -> None:
    """Request the info dictionary from one peer, unless a recent request is open."""
    for peer in peers:
        if peer.fetcher.metadata_pending:
            if now - peer.metadata_requested_at < METADATA_TIMEOUT:
                return
            peer.fetcher.cancel_metadata()
    extensions = ((peer, peer.connection.protocol.remote_extension) for peer in peers)
    able = [peer for peer, extension in extensions if extension and extension.metadata_id and extension.metadata_size]
    if able:
        # The longest ago first: a peer that rejects must not be asked again while others may send the dictionary.
        chosen = min(able, key=lambda peer: peer.metadata_requested_at)
        chosen.metadata_requested_at = now
        chosen.fetcher.request_metadata(now)
