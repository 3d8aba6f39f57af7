"""The stored form of the request log: one part per transaction and block.

A part lists requests that were opened, updated and closed. Parts are appended and never changed; the state of a
request is found by replaying the parts of its block. For a look-up or an outcome, the journal thus writes a few values
in columns, not a row with entries in three indexes.

Tested by tests/unit/tracker/journal/test_request_store.py.
"""

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from torrentnet.tracker.journal.columns import (
    IDS,
    REPEATED_IDS,
    REPEATED_TEXTS,
    TEXTS,
    Column,
    decode_columns,
    encode_columns,
    join_sized,
    number_column,
    split_sized,
)
from torrentnet.tracker.journal.records import RequestState

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_BITS: Final = 9
"""A block has 512 requests with consecutive numbers, which are read and deleted together."""


class OpenedEntry(NamedTuple):
    """A new request."""

    serial: int
    """Number of the record among all records of the journal."""
    time_ms: int
    number: int
    peer: str
    ip: str
    port: int
    peer_id: bytes
    file: str
    info_hash: bytes | None
    holders: str
    """JSON, or a number that refers to a shared list (:mod:`~torrentnet.tracker.journal.holder_lists`)."""
    holder_count: int


class UpdatedEntry(NamedTuple):
    """A request has changed and waits, perhaps after it was closed."""

    serial: int
    number: int
    info_hash: bytes | None
    holders: str | None
    """JSON, or None if the holders and their number are unchanged."""
    holder_count: int


class ClosedEntry(NamedTuple):
    """The outcome of a request."""

    serial: int
    time_ms: int
    number: int
    peer: str
    info_hash: bytes | None
    state: RequestState
    sources: str
    """JSON: names of peers, and how many pieces each of them sent."""
    transferred: int
    elapsed_ms: int
    reason: str


RequestEntry: TypeAlias = OpenedEntry | UpdatedEntry | ClosedEntry


class RequestPart(NamedTuple):
    """The entries of a part by type."""

    opened: list[OpenedEntry]
    updated: list[UpdatedEntry]
    closed: list[ClosedEntry]

    def in_order(self) -> list[RequestEntry]:
        """Return all entries in the order of their serial numbers."""
        return sorted((*self.opened, *self.updated, *self.closed), key=itemgetter(0))


_STATES: Final = tuple(RequestState)
_SUCCEEDED: Final = RequestState.SUCCEEDED
_SUCCEEDED_CODE: Final = _STATES.index(_SUCCEEDED)


def _encode_states(states: Sequence[RequestState]) -> bytes:
    # Nearly all requests succeed, and hashing a member of an enumeration is slow.
    return bytes([_SUCCEEDED_CODE if state is _SUCCEEDED else _STATES.index(state) for state in states])


_SERIAL: Final = number_column("Q")
_TIME: Final = number_column("q")
_SHORT: Final = number_column("I")
_LONG: Final = number_column("Q")
_STATE: Final = Column(_encode_states, lambda raw, _count: [_STATES[code] for code in raw])
_OPENED: Final = (
    _SERIAL, _TIME, _SHORT, TEXTS, TEXTS, number_column("H"), IDS, REPEATED_TEXTS, REPEATED_IDS, REPEATED_TEXTS, _SHORT,
)  # fmt: skip
_CLOSED: Final = (
    _SERIAL, _TIME, _SHORT, TEXTS, REPEATED_IDS, _STATE, REPEATED_TEXTS, _LONG, _LONG, REPEATED_TEXTS,
)  # fmt: skip


def pack_part(
    opened: Sequence[Sequence[object]], updated: Sequence[UpdatedEntry], closed: Sequence[Sequence[object]]
) -> bytes:
    """Return the bytes of a part; ``opened`` and ``closed`` are columns or empty.

    Raises ValueError or OverflowError when a value is not of the type of its column.
    """
    counts = _SHORT.encode((len(opened[0]) if opened else 0, len(closed[0]) if closed else 0))
    updates = json.dumps([_to_json(entry) for entry in updated]).encode() if updated else b""
    return join_sized((counts, encode_columns(_OPENED, opened), updates, encode_columns(_CLOSED, closed)))


def unpack_part(raw: bytes) -> RequestPart:
    """Parse a part. Raises ValueError for other bytes."""
    try:
        counts, opened, updates, closed = split_sized(raw, 4)
        opened_count, closed_count = _SHORT.decode(counts, 2)
        return RequestPart(
            list(map(OpenedEntry._make, zip(*decode_columns(_OPENED, opened, opened_count), strict=True))),
            [_from_json(values) for values in json.loads(updates)] if updates else [],
            list(map(ClosedEntry._make, zip(*decode_columns(_CLOSED, closed, closed_count), strict=True))),
        )
    except (IndexError, TypeError) as error:
        raise ValueError(f"not a part of the request log: {error}") from None


def _to_json(entry: UpdatedEntry) -> list[object]:
    serial, number, info_hash, holders, holder_count = entry
    return [serial, number, None if info_hash is None else info_hash.hex(), holders, holder_count]


def _from_json(values: list[Any]) -> UpdatedEntry:
    serial, number, info_hash, holders, holder_count = values
    return UpdatedEntry(serial, number, None if info_hash is None else bytes.fromhex(info_hash), holders, holder_count)
