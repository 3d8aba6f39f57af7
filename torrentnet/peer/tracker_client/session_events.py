"""The events that a tracker session reports to its peer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from torrentnet.peer.tracker_client.lookup import LookupResult

if TYPE_CHECKING:
    from torrentnet.peer.tracker_client.requests import RequestKind
    from torrentnet.wire.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class SwarmJoined:
    """The tracker lists this peer."""

    again: bool
    """Whether the tracker had listed the peer before."""


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """The tracker has refused a request, and repeating it would not help."""

    kind: RequestKind
    message: str


@dataclass(frozen=True, slots=True)
class OutcomeRecorded:
    """The tracker has recorded the outcome of the request."""


@dataclass(frozen=True, slots=True)
class SwarmLeft:
    """The tracker has replied to the stopped event."""


@dataclass(frozen=True, slots=True)
class SilenceChanged:
    """The tracker no longer answers, or answers again."""

    silent: bool


@dataclass(frozen=True, slots=True)
class PeersReceived:
    """The tracker has listed peers of the swarm, complete or not."""

    peers: tuple[Endpoint, ...]
    leechers: int
    """Number of incomplete peers in the swarm, listed or not."""


SessionEvent: TypeAlias = (
    LookupResult | PeersReceived | SwarmJoined | RequestRefused | OutcomeRecorded | SwarmLeft | SilenceChanged
)
