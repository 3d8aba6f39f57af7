"""A peer that a download of the ``swarm`` strategy fetches from, and by which connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from torrentnet.peer.transfer.fetcher import PieceFetcher
    from torrentnet.peer.transfer.protocol import PeerProtocol
    from torrentnet.peer.transfer.upload import Upload
    from torrentnet.wire.piece_set import PieceSet
    from torrentnet.wire.udp.lookup import LookupHolder
    from torrentnet.wire.udp.packets import Endpoint

METADATA_TIMEOUT = 3.0
"""Seconds that one peer has for the info dictionary before another one is asked."""


class PeerConnection(Protocol):
    """A connection as the loop keeps it; also its key in a download."""

    @property
    def conversation(self) -> PeerProtocol:
        """What is said over it."""

    @property
    def endpoint(self) -> Endpoint:
        """The other end's address."""

    @property
    def upload(self) -> Upload:
        """Its serving side, which knows what the other end holds."""


@dataclass(slots=True, eq=False)
class RemotePeer:
    """Who is at the other end of a connection, and what is fetched over it."""

    wire: PeerConnection
    fetch: PieceFetcher
    holder: LookupHolder
    counted: PieceSet | None = None
    """What it held when the pieces' holders were counted last."""
    gave: int = 0
    """Pieces of it that were right."""
    metadata_at: float = 0.0
    """When it was asked for the info dictionary."""


def request_metadata(partners: Collection[RemotePeer], now: float) -> None:
    """Let one of these be asked for the info dictionary, and another one where the last does not answer.

    Raises :class:`~torrentnet.peer.transfer.metadata_exchange.SourceError` where that one has none after all.
    """
    for partner in partners:
        if partner.fetch.asks_metadata:
            if now - partner.metadata_at < METADATA_TIMEOUT:
                return
            partner.fetch.forget_metadata()
    able: list[RemotePeer] = []
    for partner in partners:
        extension = partner.wire.conversation.extension
        if extension is not None and extension.metadata_id and extension.metadata_size:
            able.append(partner)
    if able:
        # Whoever refuses must not be asked again and again while others would give it.
        chosen = min(able, key=lambda partner: partner.metadata_at)
        chosen.metadata_at = now
        chosen.fetch.ask_metadata(now)
