"""Records into rows, on an open transaction: files, and who holds them. Requests are the request log's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from torrentnet.tracker.journal.bulk_insert import BulkInsert
from torrentnet.tracker.journal.records import (
    FileEventKind,
    FileUpdated,
    HolderAdded,
    HolderCompleted,
    HolderRemoved,
    HoldingChanged,
    HoldingKey,
    Record,
)
from torrentnet.tracker.journal.schema import ALIVE, GONE
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


NumberedRecord: TypeAlias = tuple[int, Record]
"""A record behind its serial."""
EventValues: TypeAlias = tuple[bytes, int, str, str, str, int]
"""A row of the table of events, as it goes into the database."""
# OR FAIL: the whole transaction is rolled back by us, so that SQLite need not prepare to undo the one statement.
_EVENTS: Final = BulkInsert("INSERT OR FAIL INTO events (info_hash, time_ms, kind, peer, detail, serial)", 6)
_OF_HOLDERS: Final = HolderAdded, HolderCompleted, HolderRemoved
MAX_PIECES_TEXT: Final = 1_000
"""Characters of a list of pieces that are kept; the count behind it always is."""


def coalesce(records: Iterable[NumberedRecord]) -> list[NumberedRecord]:
    """The same records without those that a later one in the batch makes void."""
    kept: list[NumberedRecord] = []
    last: dict[HoldingKey, int] = {}
    for numbered in records:
        record = numbered[1]
        if isinstance(record, HoldingChanged):
            before = last.get(record.place)
            if before is not None:
                kept[before] = numbered
                continue
            last[record.place] = len(kept)
        elif isinstance(record, _OF_HOLDERS):
            last.pop(record.place, None)
        kept.append(numbered)
    return kept


def write_records(database: sqlite3.Connection, records: Iterable[NumberedRecord]) -> None:
    """Write records that are not about requests, in their order. Raises what sqlite3 raises."""
    events: list[EventValues] = []
    for serial, record in records:
        _apply(database, serial, record, events)
    # Nothing else looks at this table, so its rows may come last, all at once.
    _EVENTS.run(database, events)


def _apply(
    database: sqlite3.Connection,
    serial: int,
    record: Record,
    events: list[EventValues],
) -> None:
    match record:
        case FileUpdated():
            _file_known(database, record)
        case HolderAdded():
            _came(database, serial, record, events)
        case HoldingChanged():
            _holds(database, record)
        case HolderCompleted():
            _completed(database, serial, record, events)
        case HolderRemoved():
            _went(database, serial, record, events)


def _file_known(database: sqlite3.Connection, record: FileUpdated) -> None:
    database.execute(
        "INSERT INTO files (info_hash, name, size, piece_length, pieces, known_ms) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (info_hash) DO UPDATE SET name = coalesce(excluded.name, name),"
        " size = coalesce(excluded.size, size), piece_length = coalesce(excluded.piece_length, piece_length),"
        " pieces = coalesce(excluded.pieces, pieces)",
        (record.info_hash, record.name, record.size, record.piece_length, record.pieces, record.time_ms),
    )


def _came(database: sqlite3.Connection, serial: int, record: HolderAdded, events: list[EventValues]) -> None:
    place = record.place
    database.execute(
        "UPDATE holdings SET state = ?, gone_ms = ?, why = 'another peer has its address'"
        " WHERE info_hash = ? AND ip = ? AND port = ? AND peer <> ? AND state <> ?",
        (GONE, record.time_ms, place.info_hash, place.ip, place.port, place.peer, GONE),
    )
    # A peer that has not been gone in between, only the tracker was, holds it since the earlier moment.
    database.execute(
        "INSERT INTO holdings (info_hash, ip, port, peer, complete, holds, since_ms, state)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (info_hash, ip, port, peer) DO UPDATE SET complete = excluded.complete, holds = excluded.holds,"
        " since_ms = CASE WHEN state = 'gone' THEN excluded.since_ms ELSE since_ms END,"
        " state = excluded.state, gone_ms = NULL, why = NULL",
        (
            place.info_hash,
            place.ip,
            place.port,
            place.peer,
            record.complete,
            record.holds,
            record.time_ms,
            ALIVE,
        ),
    )
    if record.complete:
        database.execute(
            "UPDATE files SET published_ms = ?, published_by = ?, published_from = ?"
            " WHERE info_hash = ? AND published_ms IS NULL",
            (record.time_ms, place.peer, f"{place.ip}:{place.port}", place.info_hash),
        )
    kind = FileEventKind.PUBLISHED if record.complete else FileEventKind.JOINED
    _event(events, serial, place.info_hash, record.time_ms, kind, place.peer, f"{place.ip}:{place.port}")


def _holds(database: sqlite3.Connection, record: HoldingChanged) -> None:
    text = record.holds or PieceSet.from_bitfield(record.pieces, record.bitfield).describe()
    _update(database, record.place, "holds = ?", _short(text))


def _completed(database: sqlite3.Connection, serial: int, record: HolderCompleted, events: list[EventValues]) -> None:
    place = record.place
    _update(database, place, "complete = 1, holds = ?", record.holds)
    _event(
        events, serial, place.info_hash, record.time_ms, FileEventKind.COMPLETED, place.peer, f"{place.ip}:{place.port}"
    )


def _went(database: sqlite3.Connection, serial: int, record: HolderRemoved, events: list[EventValues]) -> None:
    place = record.place
    _update(database, place, "state = ?, gone_ms = ?, why = ?", GONE, record.time_ms, record.why)
    _event(events, serial, place.info_hash, record.time_ms, record.kind, place.peer, record.why)


def _update(database: sqlite3.Connection, place: HoldingKey, what: str, *values: object) -> None:
    database.execute(
        f"UPDATE holdings SET {what} WHERE info_hash = ? AND ip = ? AND port = ? AND peer = ?",
        (*values, place.info_hash, place.ip, place.port, place.peer),
    )


def _event(
    events: list[EventValues], serial: int, info_hash: bytes, time_ms: int, kind: FileEventKind, peer: str, detail: str
) -> None:
    events.append((info_hash, time_ms, kind.value, peer, detail, serial))


def _short(holds: str) -> str:
    """``0-4, 9, ... (600 of 11000)``: what is too long loses runs from the middle of its text, never its count."""
    if len(holds) <= MAX_PIECES_TEXT:
        return holds
    runs, _, count = holds.rpartition(" (")
    return f"{runs[: runs.rindex(', ', 0, MAX_PIECES_TEXT)]}, ... ({count}"
