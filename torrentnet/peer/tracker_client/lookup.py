"""Look up the complete peers of a file by its name, page by page, without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.wire.udp.lookup import LookupHolder, LookupReply, LookupRequest, pack_lookup

if TYPE_CHECKING:
    from torrentnet.peer.tracker_client.membership import AnnounceIdentity, Membership
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.udp.packets import AnnounceReply

MAX_PAGES: Final = 16
"""Pages that one look-up requests: they list several hundred peers, enough to choose from."""


@dataclass(frozen=True, slots=True)
class LookupResult:
    """A complete look-up: the last page's reply, and the holders of all pages."""

    found: LookupReply
    holders: tuple[LookupHolder, ...]


class PagedLookup:
    """The look-up of the file ``name`` in pages.

    ``request`` is the look-up's number in the tracker's log; 0 requests a new number.
    """

    def __init__(self, identity: AnnounceIdentity, name: str, request: int) -> None:
        self._identity = identity
        self._name = name
        self._request = request
        self._pages = 0
        self._holders: list[LookupHolder] = []

    def pack(self, connection_id: int, transaction_id: int) -> bytes:
        """Return the request for the next page."""
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
        """Handle a page; return None if another page is to be requested."""
        self._holders.extend(found.holders)
        self._pages += 1
        if found.holders and len(self._holders) < found.complete and self._pages < MAX_PAGES:
            self._request = found.request
            return None
        unique = {holder.endpoint: holder for holder in self._holders}
        return LookupResult(found, tuple(unique.values()))


def lookup_from_announce(membership: Membership, reply: AnnounceReply, own: Endpoint | None) -> LookupResult:
    """Convert the peers of an announce reply to a look-up's result.

    The peers in the result are named by address.
    """
    holders = tuple(LookupHolder(endpoint, str(endpoint)) for endpoint in reply.peers if endpoint != own)
    found = LookupReply(
        transaction_id=reply.transaction_id,
        found=True,
        request=0,
        keepalive_ms=0,
        timeout_ms=0,
        info_hash=membership.info_hash,
        size=membership.size,
        piece_length=membership.piece_length,
        complete=reply.seeders,
        incomplete=reply.leechers,
        first=0,
        holders=holders,
    )
    return LookupResult(found, holders)
