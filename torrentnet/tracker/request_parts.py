"""The request log as it lies in the database: parts, each with what a moment did to some neighbouring requests.

A part says that requests began, that some saw holders, that some ended. It is appended, never changed; what has become
of a request is found by going through the parts of its block. So a look-up or an outcome costs the journal some values
in columns, and not a row with its places in three indexes.
"""

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from torrentnet.tracker.columns import (
    IDS,
    REPEATED_IDS,
    REPEATED_TEXTS,
    TEXTS,
    Column,
    join,
    numbers,
    pack_columns,
    read_columns,
    split,
)
from torrentnet.tracker.records import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_BITS: Final = 9
"""A block is 512 requests with neighbouring numbers: so many are read to show one of them, and go at once."""


class Began(NamedTuple):
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
    """JSON, or the number that the table of lists has it under (:mod:`~torrentnet.tracker.holder_lists`)."""
    total: int


class Saw(NamedTuple):
    """A request waits, again perhaps; ``holders`` (JSON) is None where it keeps its own."""

    serial: int
    number: int
    info_hash: bytes | None
    holders: str | None
    total: int


class Ended(NamedTuple):
    """An outcome."""

    serial: int
    time_ms: int
    number: int
    peer: str
    info_hash: bytes | None
    result: Result
    sources: str
    """JSON: names, and the pieces that came from each."""
    transferred: int
    elapsed_ms: int
    reason: str


Entry: TypeAlias = Began | Saw | Ended


class Part(NamedTuple):
    """Entries by their kind."""

    began: list[Began]
    saw: list[Saw]
    ended: list[Ended]

    def in_order(self) -> list[Entry]:
        """All of them, as it happened."""
        return sorted((*self.began, *self.saw, *self.ended), key=itemgetter(0))


_RESULTS: Final = tuple(Result)
_SUCCEEDED: Final = Result.SUCCEEDED
_SUCCEEDED_CODE: Final = _RESULTS.index(_SUCCEEDED)


def _pack_results(results: Sequence[Result]) -> bytes:
    # Nearly all are of this kind, and an enumeration's hash takes long.
    return bytes([_SUCCEEDED_CODE if result is _SUCCEEDED else _RESULTS.index(result) for result in results])


_SERIAL: Final = numbers("Q")
_TIME: Final = numbers("q")
_SHORT: Final = numbers("I")
_LONG: Final = numbers("Q")
_OUTCOME: Final = Column(_pack_results, lambda raw, _count: [_RESULTS[code] for code in raw])
_BEGAN: Final = (
    _SERIAL, _TIME, _SHORT, TEXTS, TEXTS, numbers("H"), IDS, REPEATED_TEXTS, REPEATED_IDS, REPEATED_TEXTS, _SHORT,
)  # fmt: skip
_ENDED: Final = (
    _SERIAL, _TIME, _SHORT, TEXTS, REPEATED_IDS, _OUTCOME, REPEATED_TEXTS, _LONG, _LONG, REPEATED_TEXTS,
)  # fmt: skip


def pack(began: Sequence[Sequence[object]], saw: Sequence[Saw], ended: Sequence[Sequence[object]]) -> bytes:
    """The bytes of a part, of the columns of :class:`Began` and of :class:`Ended` (none where there is no entry).

    Raises ValueError or OverflowError where a value is not of its kind.
    """
    counts = _SHORT.pack((len(began[0]) if began else 0, len(ended[0]) if ended else 0))
    seen = json.dumps([_to_json(one) for one in saw]).encode() if saw else b""
    return join((counts, pack_columns(_BEGAN, began), seen, pack_columns(_ENDED, ended)))


def unpack(raw: bytes) -> Part:
    """Read a part. Raises ValueError where the bytes are none."""
    try:
        counts, began, saw, ended = split(raw, 4)
        began_count, ended_count = _SHORT.read(counts, 2)
        return Part(
            list(map(Began._make, zip(*read_columns(_BEGAN, began, began_count), strict=True))),
            [_from_json(one) for one in json.loads(saw)] if saw else [],
            list(map(Ended._make, zip(*read_columns(_ENDED, ended, ended_count), strict=True))),
        )
    except (IndexError, TypeError) as error:
        raise ValueError(f"no part of the request log: {error}") from None


def _to_json(saw: Saw) -> list[object]:
    return [saw.serial, saw.number, None if saw.info_hash is None else saw.info_hash.hex(), saw.holders, saw.total]


def _from_json(values: list[Any]) -> Saw:
    serial, number, info_hash, holders, total = values
    return Saw(serial, number, None if info_hash is None else bytes.fromhex(info_hash), holders, total)
