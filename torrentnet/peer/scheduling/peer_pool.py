"""The known peers of a swarm, and the choice of those to connect to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.udp.lookup import LookupHolder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torrentnet.wire.peer.extension_protocol import ExtensionHandshake

MAX_KNOWN: Final = 1_000
FIRST_RETRY: Final = 1.0
MAX_RETRY: Final = 30.0
"""Seconds until an address that failed is tried again; doubled each time."""


@dataclass(slots=True)
class _KnownPeer:
    in_use: bool = False
    retry_at: float = 0.0
    pause: float = FIRST_RETRY
    excluded: bool = False


class PeerPool:
    """Known peers by listening address, at most :data:`MAX_KNOWN`.

    ``own``, the address of this peer, is excluded.
    """

    def __init__(self, own: Endpoint) -> None:
        self._known: dict[Endpoint, _KnownPeer] = {}
        self._names: dict[Endpoint, str] = {}
        self._banned: set[bytes] = set()
        self.exclude(own)

    def add(self, endpoints: Iterable[Endpoint]) -> None:
        """Add peers by address."""
        for endpoint in endpoints:
            self._get(endpoint)

    def add_holders(self, holders: Iterable[LookupHolder]) -> None:
        """Add peers by address and name."""
        for holder in holders:
            self._names[holder.endpoint] = holder.name
            self._get(holder.endpoint)

    def name(self, endpoint: Endpoint) -> str:
        """Return a peer's name, or its address if the name is unknown."""
        return self._names.get(endpoint, str(endpoint))

    def identify(self, endpoint: Endpoint, extension: ExtensionHandshake | None, *, outgoing: bool) -> LookupHolder:
        """Return the name and the listening address of the peer at ``endpoint``.

        An incoming connection (not ``outgoing``) comes from another port than the peer listens on.
        """
        if not outgoing and extension is not None and extension.port:
            endpoint = Endpoint(endpoint.ip, extension.port)
        name = self._names.get(endpoint) or (extension.name if extension is not None else "")
        return LookupHolder(endpoint, name or str(endpoint))

    def take(self, count: int, now: float) -> Iterator[Endpoint]:
        """Yield at most ``count`` addresses to connect to, and mark them as in use."""
        for endpoint, known in self._known.items():
            if count <= 0:
                return
            if not known.in_use and not known.excluded and now >= known.retry_at:
                known.in_use = True
                count -= 1
                yield endpoint

    def connected(self, endpoint: Endpoint) -> None:
        """Mark a peer as in use, whichever side opened the connection."""
        if known := self._get(endpoint):
            known.in_use = True

    def reset_pause(self, endpoint: Endpoint) -> None:
        """Retry a useful peer soon after it fails."""
        if known := self._known.get(endpoint):
            known.pause = FIRST_RETRY

    def disconnected(self, endpoint: Endpoint, now: float) -> None:
        """Retry a peer later whose connection was closed or could not be opened."""
        if known := self._known.get(endpoint):
            known.in_use = False
            known.retry_at = now + known.pause
            known.pause = min(known.pause * 2, MAX_RETRY)

    def exclude(self, endpoint: Endpoint) -> None:
        """Never connect to an address."""
        if known := self._get(endpoint):
            known.excluded = True

    def ban(self, endpoint: Endpoint, peer_id: bytes) -> None:
        """Exclude an address, and its peer under any other address."""
        self.exclude(endpoint)
        self._banned.add(peer_id)

    def is_banned(self, peer_id: bytes) -> bool:
        """Whether a peer is banned."""
        return peer_id in self._banned

    def _get(self, endpoint: Endpoint) -> _KnownPeer | None:
        """Return the entry of an address, new if it is missing; None if the pool is full."""
        if endpoint not in self._known and len(self._known) < MAX_KNOWN:
            self._known[endpoint] = _KnownPeer()
        return self._known.get(endpoint)
