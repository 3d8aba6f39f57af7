"""What has become of requests, from the parts that tell it: one block of them at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.tracker.records import Kind, Result
from torrentnet.tracker.request_parts import Began, Ended, Entry, Part, unpack
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


@dataclass(frozen=True, slots=True)
class FileEvent:
    """Something that a request was for its file."""

    serial: int
    info_hash: bytes
    time_ms: int
    kind: str
    peer: str
    detail: str


def standing(parts: Iterable[Part]) -> list[Standing]:
    """The requests of a block by their number; ``parts`` are all of its, in their order."""
    found: dict[int, Standing] = {}
    for part in parts:
        for entry in part.in_order():
            if isinstance(entry, Began):
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


def events(part: Part) -> list[FileEvent]:
    """What the entries of a part were for their files, as it happened."""
    return [event for entry in part.in_order() if (event := _event(entry)) is not None]


def read_block(database: sqlite3.Connection, block: int) -> list[Standing]:
    """The requests of a block. Raises what sqlite3 raises."""
    return standing(unpack(data) for _, data in database.execute(PARTS, (block,)))


def _event(entry: Entry) -> FileEvent | None:
    if isinstance(entry, Began) and entry.info_hash is not None:
        detail = describe_holders(entry.total)
        return FileEvent(entry.serial, entry.info_hash, entry.time_ms, Kind.REQUESTED.value, entry.peer, detail)
    if isinstance(entry, Ended) and entry.info_hash is not None:
        names = [name for name, _ in json.loads(entry.sources)]
        word = entry.result.value
        detail = describe_detail(word, names, entry.transferred, entry.elapsed_ms, entry.reason)
        return FileEvent(entry.serial, entry.info_hash, entry.time_ms, word, entry.peer, detail)
    return None
