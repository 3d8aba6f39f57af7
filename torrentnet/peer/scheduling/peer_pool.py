"""The other peers of a swarm as we know them: where they listen, how they are called, and whom to connect to next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.udp.lookup import LookupHolder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torrentnet.peer.strategies.remote_peer import PeerConnection

MAX_KNOWN = 1_000
FIRST_RETRY, MAX_RETRY = 1.0, 30.0
"""Seconds until an address that failed is tried again; doubled each time."""


@dataclass(slots=True)
class _KnownPeer:
    busy: bool = False
    retry_at: float = 0.0
    pause: float = FIRST_RETRY
    never: bool = False


class PeerPool:
    """Endpoints that peers listen on, and their names. Bounded; those of one's own and of banned peers are kept out."""

    def __init__(self, own: Endpoint) -> None:
        self._known: dict[Endpoint, _KnownPeer] = {}
        self._names: dict[Endpoint, str] = {}
        self._banned: set[bytes] = set()
        self.never(own)

    def heard_of(self, endpoints: Iterable[Endpoint]) -> None:
        """Somebody has named these."""
        for endpoint in endpoints:
            self._get(endpoint)

    def introduced(self, holders: Iterable[LookupHolder]) -> None:
        """The tracker has named these, and has told how they are called."""
        for holder in holders:
            self._names[holder.endpoint] = holder.name
            self._get(holder.endpoint)

    def name(self, endpoint: Endpoint) -> str:
        """What a peer is called; its address where nobody has told."""
        return self._names.get(endpoint, str(endpoint))

    def holder(self, wire: PeerConnection) -> LookupHolder:
        """Who is at the other end of a connection, as far as it has said who it is."""
        extension = wire.protocol.remote_extension
        endpoint = wire.endpoint
        if not wire.protocol.initiator and extension is not None and extension.port:
            endpoint = Endpoint(endpoint.ip, extension.port)
        name = self._names.get(endpoint) or (extension.name if extension is not None else "")
        return LookupHolder(endpoint, name or str(endpoint))

    def next(self, most: int, now: float) -> Iterator[Endpoint]:
        """At most ``most`` endpoints to connect to now; each counts as busy from here on."""
        for endpoint, known in self._known.items():
            if most <= 0:
                return
            if not known.busy and not known.never and now >= known.retry_at:
                known.busy = True
                most -= 1
                yield endpoint

    def due(self) -> float | None:
        """When the next one can be tried."""
        return min((k.retry_at for k in self._known.values() if not k.busy and not k.never), default=None)

    def connected(self, endpoint: Endpoint) -> None:
        """There is a connection with this one, whoever opened it."""
        known = self._get(endpoint)
        if known is not None:
            known.busy = True

    def served(self, endpoint: Endpoint) -> None:
        """It is of use: should it fail, it is tried again soon."""
        if endpoint in self._known:
            self._known[endpoint].pause = FIRST_RETRY

    def lost(self, endpoint: Endpoint, now: float) -> None:
        """No connection, or none any more."""
        known = self._known.get(endpoint)
        if known is not None:
            known.busy = False
            known.retry_at = now + known.pause
            known.pause = min(known.pause * 2, MAX_RETRY)

    def never(self, endpoint: Endpoint) -> None:
        """Not this one, ever."""
        known = self._get(endpoint)
        if known is not None:
            known.never = True

    def ban(self, endpoint: Endpoint, wire: PeerConnection) -> None:
        """Neither this endpoint nor whoever is at the other end of this connection, under any address."""
        self.never(endpoint)
        met = wire.protocol.remote_handshake
        if met is not None:
            self._banned.add(met.peer_id)

    def is_banned(self, peer_id: bytes) -> bool:
        """Whether it was said that this one is to be kept out."""
        return peer_id in self._banned

    def _get(self, endpoint: Endpoint) -> _KnownPeer | None:
        """Made where it is new; None where that would be too many."""
        if endpoint not in self._known and len(self._known) < MAX_KNOWN:
            self._known[endpoint] = _KnownPeer()
        return self._known.get(endpoint)
