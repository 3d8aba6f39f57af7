"""The journal's records, whose times are milliseconds since the epoch."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from torrentnet.wire.piece_set import PieceSet


class FileEventKind(Enum):
    """Kind of a file's event; each value is a word in ``file_logs``."""

    PUBLISHED = "published"
    JOINED = "joined"
    COMPLETED = "completed"
    LEFT = "left"
    FORGOTTEN = "forgotten"
    REQUESTED = "requested"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"


class RequestState(Enum):
    """State of a request; each value is a word in ``request logs``."""

    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"


class HoldingKey(NamedTuple):
    """One peer in one swarm."""

    info_hash: bytes
    peer: str
    """Name of the peer."""
    ip: str
    port: int


class FileUpdated(NamedTuple):
    """A file is new or has changed; fields that no peer has published are None."""

    time_ms: int
    info_hash: bytes
    name: str | None
    size: int | None
    piece_length: int | None
    pieces: int | None


class HolderAdded(NamedTuple):
    """A peer has joined a swarm."""

    time_ms: int
    key: HoldingKey
    complete: bool
    pieces_text: str
    """Description of what the peer holds."""


class HoldingChanged(NamedTuple):
    """The pieces that a peer holds have changed; a later record replaces an earlier."""

    key: HoldingKey
    pieces_text: str
    """Description of what the peer holds; empty where ``pieces`` is given."""
    pieces: PieceSet | None = None
    """The peer's pieces, not a copy: the journal's thread describes them as they are when it writes the record."""


class HolderCompleted(NamedTuple):
    """A peer has become complete."""

    time_ms: int
    key: HoldingKey
    pieces_text: str


class HolderRemoved(NamedTuple):
    """A peer is no longer in a swarm."""

    time_ms: int
    key: HoldingKey
    kind: FileEventKind
    """LEFT or FORGOTTEN."""
    why: str


class RequestOpened(NamedTuple):
    """A new request."""

    time_ms: int
    number: int
    peer: str
    ip: str
    port: int
    peer_id: bytes
    file: str
    info_hash: bytes | None
    holders: tuple[str, ...]
    """Names of complete peers at that time, at most :attr:`Limits.named_holders`."""
    holder_count: int
    """Number of complete peers at that time."""


class RequestUpdated(NamedTuple):
    """A request has found its first holders or another info-hash, or was reopened."""

    number: int
    info_hash: bytes | None
    holders: tuple[str, ...] | None
    """None keeps the previous holders and their number."""
    holder_count: int


class RequestClosed(NamedTuple):
    """The outcome of a request."""

    time_ms: int
    number: int
    peer: str
    info_hash: bytes | None
    state: RequestState
    sources: tuple[tuple[str, int], ...]
    """Names of the peers that sent pieces, and how many each of them sent."""
    transferred: int
    """Bytes of verified pieces."""
    elapsed_ms: int
    reason: str


Record: TypeAlias = (
    FileUpdated
    | HolderAdded
    | HoldingChanged
    | HolderCompleted
    | HolderRemoved
    | RequestOpened
    | RequestUpdated
    | RequestClosed
)
