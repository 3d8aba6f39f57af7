"""Who a peer is, of which swarm it is a member, and the announce that says both."""

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
    """Who this peer is."""

    name: str
    peer_id: bytes
    port: int
    """The TCP port that it listens on."""
    key: int
    """BEP 15: 32 random bits by which a tracker may know us again."""


@dataclass(frozen=True, slots=True)
class Membership:
    """What is announced of a file."""

    info_hash: bytes
    name: str
    size: int
    piece_length: int
    """0 while nobody has told it: nothing can be said of pieces then."""

    @classmethod
    def from_info(cls, info: Info, name: str) -> Membership:
        """In the swarm of ``info``, whose file is called ``name`` here."""
        return cls(info.info_hash, name, info.length, info.piece_length)

    def empty_piece_set(self) -> PieceSet:
        """Its pieces, none of them held; while their length is not known, one stands for the file."""
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
    """The bytes of an announce that ``held`` is held of a file; with ``peers``, the tracker is to list some."""
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
