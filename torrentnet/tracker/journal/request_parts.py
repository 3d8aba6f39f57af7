"""The request log as it lies in the database: parts, each with what a moment did to some neighbouring requests.

A part says that requests began, that some saw holders, that some ended. It is appended, never changed; what has become
of a request is found by going through the parts of its block. So a look-up or an outcome costs the journal some values
in columns, and not a row with its places in three indexes.
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
    join_sized,
    number_column,
    pack_columns,
    read_columns,
    split_sized,
)
from torrentnet.tracker.journal.records import RequestState

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_BITS: Final = 9
"""A block is 512 requests with neighbouring numbers: so many are read to show one of them, and go at once."""


class OpenedEntry(NamedTuple):
    """A request. ``serial`` numbers all that the journal was told, in the order in which it happened."""

    serial: int
    time_ms: int
    number: int
    peer: str
    ip: str
    port: int
    peer_id: bytes
    file: str
    info_hash: bytes | None
    holders: str
    """JSON, or the number that the table of lists has it under (:mod:`~torrentnet.tracker.journal.holder_lists`)."""
    total: int


class UpdatedEntry(NamedTuple):
    """A request waits, again perhaps; ``holders`` (JSON) is None where it keeps its own."""

    serial: int
    number: int
    info_hash: bytes | None
    holders: str | None
    total: int


class ClosedEntry(NamedTuple):
    """An outcome."""

    serial: int
    time_ms: int
    number: int
    peer: str
    info_hash: bytes | None
    result: RequestState
    sources: str
    """JSON: names, and the pieces that came from each."""
    transferred: int
    elapsed_ms: int
    reason: str


RequestEntry: TypeAlias = OpenedEntry | UpdatedEntry | ClosedEntry


class RequestPart(NamedTuple):
    """Entries by their kind."""

    began: list[OpenedEntry]
    saw: list[UpdatedEntry]
    ended: list[ClosedEntry]

    def in_order(self) -> list[RequestEntry]:
        """All of them, as it happened."""
        return sorted((*self.began, *self.saw, *self.ended), key=itemgetter(0))


_RESULTS: Final = tuple(RequestState)
_SUCCEEDED: Final = RequestState.SUCCEEDED
_SUCCEEDED_CODE: Final = _RESULTS.index(_SUCCEEDED)


def _pack_results(results: Sequence[RequestState]) -> bytes:
    # Nearly all are of this kind, and an enumeration's hash takes long.
    return bytes([_SUCCEEDED_CODE if result is _SUCCEEDED else _RESULTS.index(result) for result in results])


_SERIAL: Final = number_column("Q")
_TIME: Final = number_column("q")
_SHORT: Final = number_column("I")
_LONG: Final = number_column("Q")
_OUTCOME: Final = Column(_pack_results, lambda raw, _count: [_RESULTS[code] for code in raw])
_BEGAN: Final = (
    _SERIAL, _TIME, _SHORT, TEXTS, TEXTS, number_column("H"), IDS, REPEATED_TEXTS, REPEATED_IDS, REPEATED_TEXTS, _SHORT,
)  # fmt: skip
_ENDED: Final = (
    _SERIAL, _TIME, _SHORT, TEXTS, REPEATED_IDS, _OUTCOME, REPEATED_TEXTS, _LONG, _LONG, REPEATED_TEXTS,
)  # fmt: skip


def pack_part(
    began: Sequence[Sequence[object]], saw: Sequence[UpdatedEntry], ended: Sequence[Sequence[object]]
) -> bytes:
    """The bytes of a part, of the columns of :class:`OpenedEntry` and of :class:`ClosedEntry` (none where there is
    no entry).

    Raises ValueError or OverflowError where a value is not of its kind.
    """
    counts = _SHORT.pack((len(began[0]) if began else 0, len(ended[0]) if ended else 0))
    seen = json.dumps([_to_json(one) for one in saw]).encode() if saw else b""
    return join_sized((counts, pack_columns(_BEGAN, began), seen, pack_columns(_ENDED, ended)))


def unpack_part(raw: bytes) -> RequestPart:
    """Read a part. Raises ValueError where the bytes are none."""
    try:
        counts, began, saw, ended = split_sized(raw, 4)
        began_count, ended_count = _SHORT.read(counts, 2)
        return RequestPart(
            list(map(OpenedEntry._make, zip(*read_columns(_BEGAN, began, began_count), strict=True))),
            [_from_json(one) for one in json.loads(saw)] if saw else [],
            list(map(ClosedEntry._make, zip(*read_columns(_ENDED, ended, ended_count), strict=True))),
        )
    except (IndexError, TypeError) as error:
        raise ValueError(f"no part of the request log: {error}") from None


def _to_json(saw: UpdatedEntry) -> list[object]:
    return [saw.serial, saw.number, None if saw.info_hash is None else saw.info_hash.hex(), saw.holders, saw.total]


def _from_json(values: list[Any]) -> UpdatedEntry:
    serial, number, info_hash, holders, total = values
    return UpdatedEntry(serial, number, None if info_hash is None else bytes.fromhex(info_hash), holders, total)
