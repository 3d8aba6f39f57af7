"""What has become of requests, from the parts that tell it: one block of them at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torrentnet.tracker.journal.outcome_text import describe_detail, describe_holders
from torrentnet.tracker.journal.records import FileEventKind, RequestState
from torrentnet.tracker.journal.request_parts import ClosedEntry, OpenedEntry, RequestPart, unpack_part

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

SELECT_PARTS = "SELECT told, data FROM request_parts WHERE block = ? ORDER BY id"
"""The parts of a block; those whose ``told`` is 0 have their events in the table of events."""


@dataclass(slots=True)
class LoggedRequest:
    """A request, and how it stands."""

    began: OpenedEntry
    info_hash: bytes | None
    holders: str
    total: int
    ended: ClosedEntry | None = None

    @property
    def result(self) -> RequestState:
        """Its outcome, or that it waits."""
        return RequestState.WAITING if self.ended is None else self.ended.result


class FileEvent(NamedTuple):
    """Something that a request was for its file."""

    serial: int
    time_ms: int
    kind: str
    peer: str
    detail: str


def replay(parts: Iterable[RequestPart], file: str | None = None) -> list[LoggedRequest]:
    """The requests of a block by their number, of one file only if given; ``parts`` are all of its, in order."""
    found: dict[int, LoggedRequest] = {}
    for part in parts:
        for entry in part.in_order():
            if isinstance(entry, OpenedEntry):
                if file is None or entry.file == file:
                    found[entry.number] = LoggedRequest(entry, entry.info_hash, entry.holders, entry.total)
                continue
            row = found.get(entry.number)
            if row is None:
                continue
            if isinstance(entry, ClosedEntry):
                row.ended = entry
                row.info_hash = entry.info_hash or row.info_hash
            else:
                row.ended, row.info_hash = None, entry.info_hash
                if entry.holders is not None:
                    row.holders, row.total = entry.holders, entry.total
    return [found[number] for number in sorted(found)]


def file_events(part: RequestPart, info_hash: bytes) -> list[FileEvent]:
    """What the entries of a part were for the file of that info-hash, by their serials."""
    began = [_began(entry) for entry in part.began if entry.info_hash == info_hash]
    return began + [_ended(entry) for entry in part.ended if entry.info_hash == info_hash]


def read_block(database: sqlite3.Connection, block: int) -> list[LoggedRequest]:
    """The requests of a block. Raises what sqlite3 raises."""
    return replay(unpack_part(data) for _, data in database.execute(SELECT_PARTS, (block,)))


def _began(entry: OpenedEntry) -> FileEvent:
    return FileEvent(
        entry.serial, entry.time_ms, FileEventKind.REQUESTED.value, entry.peer, describe_holders(entry.total)
    )


def _ended(entry: ClosedEntry) -> FileEvent:
    names = [name for name, _ in json.loads(entry.sources)]
    word = entry.result.value
    detail = describe_detail(word, names, entry.transferred, entry.elapsed_ms, entry.reason)
    return FileEvent(entry.serial, entry.time_ms, word, entry.peer, detail)
