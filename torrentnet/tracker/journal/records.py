"""What the journal is told: one tuple for each thing that happened. Times are milliseconds since the epoch."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, TypeAlias


class FileEventKind(Enum):
    """What happened to a file; the value is the word in its log."""

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
    """How a row of the request log stands; the value is what the journal keeps."""

    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"


class HoldingKey(NamedTuple):
    """One peer in one swarm, as the journal knows it."""

    info_hash: bytes
    peer: str
    """The peer's name."""
    ip: str
    port: int


class FileUpdated(NamedTuple):
    """What is known of a file; None where nobody has told yet."""

    time_ms: int
    info_hash: bytes
    name: str | None
    size: int | None
    piece_length: int | None
    pieces: int | None


class HolderAdded(NamedTuple):
    """A peer is in a swarm from now on."""

    time_ms: int
    place: HoldingKey
    complete: bool
    holds: str
    """What it has, as a person reads it."""


class HoldingChanged(NamedTuple):
    """What a peer has changed; of several in a row only the last one matters."""

    place: HoldingKey
    holds: str
    """As a person reads it; empty where ``bitfield`` says it."""
    pieces: int = 0
    """Pieces of the whole file."""
    bitfield: bytes = b""
    """Its pieces (BEP 3's bitfield), which the journal's own thread puts into words."""


class HolderCompleted(NamedTuple):
    """A peer has the whole file now."""

    time_ms: int
    place: HoldingKey
    holds: str


class HolderRemoved(NamedTuple):
    """A peer is in a swarm no longer."""

    time_ms: int
    place: HoldingKey
    kind: FileEventKind
    """LEFT or FORGOTTEN."""
    why: str


class RequestOpened(NamedTuple):
    """A new row of the request log."""

    time_ms: int
    number: int
    peer: str
    ip: str
    port: int
    peer_id: bytes
    file: str
    info_hash: bytes | None
    holders: tuple[str, ...]
    """Names of those that had the file whole at that moment, at most as many as the limit says."""
    total: int
    """How many had it."""


class RequestUpdated(NamedTuple):
    """A waiting request that nobody could serve has found holders, or waits again after it had been given up."""

    number: int
    info_hash: bytes | None
    holders: tuple[str, ...] | None
    """None leaves the row's own."""
    total: int


class RequestClosed(NamedTuple):
    """A row's outcome."""

    time_ms: int
    number: int
    peer: str
    info_hash: bytes | None
    result: RequestState
    sources: tuple[tuple[str, int], ...]
    """Names of those that pieces came from, and how many pieces."""
    transferred: int
    """Bytes."""
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
