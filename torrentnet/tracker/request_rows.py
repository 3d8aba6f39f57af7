"""What has become of requests, from the parts that tell it: one block of them at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torrentnet.tracker.records import Kind, Result
from torrentnet.tracker.request_parts import Began, Ended, Part, unpack
from torrentnet.tracker.wording import describe_detail, describe_holders

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

PARTS = "SELECT told, data FROM request_parts WHERE block = ? ORDER BY id"
"""The parts of a block; those whose ``told`` is 0 have their events in the table of events."""


@dataclass(slots=True)
class Standing:
    """A request, and how it stands."""

    began: Began
    info_hash: bytes | None
    holders: str
    total: int
    ended: Ended | None = None

    @property
    def result(self) -> Result:
        """Its outcome, or that it waits."""
        return Result.WAITING if self.ended is None else self.ended.result


class FileEvent(NamedTuple):
    """Something that a request was for its file."""

    serial: int
    time_ms: int
    kind: str
    peer: str
    detail: str


def standing(parts: Iterable[Part], file: str | None = None) -> list[Standing]:
    """The requests of a block by their number, of one file only if given; ``parts`` are all of its, in order."""
    found: dict[int, Standing] = {}
    for part in parts:
        for entry in part.in_order():
            if isinstance(entry, Began):
                if file is None or entry.file == file:
                    found[entry.number] = Standing(entry, entry.info_hash, entry.holders, entry.total)
                continue
            row = found.get(entry.number)
            if row is None:
                continue
            if isinstance(entry, Ended):
                row.ended = entry
                row.info_hash = entry.info_hash or row.info_hash
            else:
                row.ended, row.info_hash = None, entry.info_hash
                if entry.holders is not None:
                    row.holders, row.total = entry.holders, entry.total
    return [found[number] for number in sorted(found)]


def events(part: Part, info_hash: bytes) -> list[FileEvent]:
    """What the entries of a part were for the file of that info-hash, by their serials."""
    began = [_began(entry) for entry in part.began if entry.info_hash == info_hash]
    return began + [_ended(entry) for entry in part.ended if entry.info_hash == info_hash]


def read_block(database: sqlite3.Connection, block: int) -> list[Standing]:
    """The requests of a block. Raises what sqlite3 raises."""
    return standing(unpack(data) for _, data in database.execute(PARTS, (block,)))


def _began(entry: Began) -> FileEvent:
    return FileEvent(entry.serial, entry.time_ms, Kind.REQUESTED.value, entry.peer, describe_holders(entry.total))


def _ended(entry: Ended) -> FileEvent:
    names = [name for name, _ in json.loads(entry.sources)]
    word = entry.result.value
    detail = describe_detail(word, names, entry.transferred, entry.elapsed_ms, entry.reason)
    return FileEvent(entry.serial, entry.time_ms, word, entry.peer, detail)
