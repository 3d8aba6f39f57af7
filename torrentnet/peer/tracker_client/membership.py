"""A peer's identity, its membership in a swarm, and the announce with both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.wire.info import piece_count
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp.packets import DEFAULT_WANT, AnnounceRequest, pack_announce
from torrentnet.wire.udp.url_data import Publication, pack_publication

if TYPE_CHECKING:
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp.packets import AnnounceEvent


@dataclass(frozen=True, slots=True)
class AnnounceIdentity:
    """What identifies this peer to a tracker."""

    name: str
    peer_id: bytes
    port: int
    """The TCP port that the peer listens on."""
    key: int
    """32 random bits by which a tracker may recognize the peer (BEP 15)."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The file that a peer announces."""

    info_hash: bytes
    name: str
    size: int
    piece_length: int
    """In bytes; 0 while it is unknown, and pieces cannot be reported."""

    @classmethod
    def from_info(cls, info: Info, name: str) -> Membership:
        """Return the membership for ``info``; ``name`` is the file's local name."""
        return cls(info.info_hash, name, info.length, info.piece_length)

    def empty_piece_set(self) -> PieceSet:
        """Return an empty set of the file's pieces.

        The set has room for one piece while the piece length is unknown.
        """
        pieces = piece_count(self.size, self.piece_length) if self.piece_length else 1
        return PieceSet(max(pieces, 1))


def build_announce(
    connection_id: int,
    transaction_id: int,
    identity: AnnounceIdentity,
    membership: Membership,
    held: PieceSet,
    event: AnnounceEvent,
    *,
    downloaded: int,
    uploaded: int,
    want_peers: bool,
) -> bytes:
    """Return the bytes of an announce for the pieces in ``held``.

    The format is that of BEP 15, with the URL data of BEP 41.
    """
    left = 0 if held.is_full else max(1, membership.size - len(held) * membership.piece_length)
    piece_length = membership.piece_length or None
    size = membership.size if membership.size or piece_length else None
    publication = Publication(membership.name, size, piece_length, identity.name, extended=True)
    return pack_announce(
        AnnounceRequest(
            connection_id,
            transaction_id,
            membership.info_hash,
            identity.peer_id,
            downloaded,
            left,
            uploaded,
            event,
            0,
            identity.key,
            DEFAULT_WANT if want_peers else 0,
            identity.port,
            pack_publication(publication),
        )
    )
