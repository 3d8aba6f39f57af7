"""A look-up of a file by its name, from the first page of its holders to the last. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.wire.udp.lookup import LookupHolder, LookupReply, LookupRequest, pack_lookup

if TYPE_CHECKING:
    from torrentnet.peer.tracker_client.membership import AnnounceIdentity, Membership
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.udp.packets import AnnounceReply

MAX_PAGES = 16
"""Pages of holders that one look-up asks for: several hundred peers are enough to choose among."""


@dataclass(frozen=True, slots=True)
class LookupResult:
    """A look-up is complete: the answer's head, and the holders of all its pages."""

    found: LookupReply
    holders: tuple[LookupHolder, ...]


class PagedLookup:
    """Asks for the file ``name``; ``request`` is its number in the tracker's log, 0 for a new one."""

    def __init__(self, identity: AnnounceIdentity, name: str, request: int) -> None:
        self._identity = identity
        self._name = name
        self._request = request
        self._pages = 0
        self._holders: list[LookupHolder] = []

    def pack(self, connection_id: int, transaction_id: int) -> bytes:
        """The bytes that ask for the next page."""
        return pack_lookup(
            LookupRequest(
                connection_id,
                transaction_id,
                len(self._holders),
                self._request,
                self._identity.peer_id,
                self._identity.port,
                self._name,
                self._identity.name,
            )
        )

    def receive_page(self, found: LookupReply) -> LookupResult | None:
        """The page that was asked for; None where another one is to be asked for."""
        self._holders.extend(found.holders)
        self._pages += 1
        if found.holders and len(self._holders) < found.complete and self._pages < MAX_PAGES:
            self._request = found.request
            return None
        unique = {holder.endpoint: holder for holder in self._holders}
        return LookupResult(found, tuple(unique.values()))


def lookup_from_announce(known: Membership, announced: AnnounceReply, own: Endpoint | None) -> LookupResult:
    """The peers that an announce lists, as a look-up names them: by their addresses, for nobody told their names."""
    holders = tuple(LookupHolder(endpoint, str(endpoint)) for endpoint in announced.peers if endpoint != own)
    found = LookupReply(
        transaction_id=announced.transaction_id,
        found=True,
        request=0,
        keepalive_ms=0,
        timeout_ms=0,
        info_hash=known.info_hash,
        size=known.size,
        piece_length=known.piece_length,
        complete=announced.seeders,
        incomplete=announced.leechers,
        first=0,
        holders=holders,
    )
    return LookupResult(found, holders)
