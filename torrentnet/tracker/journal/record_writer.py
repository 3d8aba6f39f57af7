"""Write records about files and holders, in the caller's transaction.

Records about requests are written by :mod:`~torrentnet.tracker.journal.request_store`.

Tested by tests/unit/tracker/journal/test_journal.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

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
from torrentnet.tracker.journal.schema import ALIVE, GONE, BulkInsert

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


NumberedRecord: TypeAlias = tuple[int, Record]
"""Serial number and record."""
EventValues: TypeAlias = tuple[bytes, int, str, str, str, int]
"""Values of a row of ``events``."""
# OR FAIL: on an error the caller rolls the transaction back, so SQLite need not prepare to undo this statement alone.
_INSERT_EVENTS: Final = BulkInsert("INSERT OR FAIL INTO events (info_hash, time_ms, kind, peer, detail, serial)", 6)


def coalesce(records: Iterable[NumberedRecord]) -> list[NumberedRecord]:
    """Return the records without each that a later record replaces."""
    kept: list[NumberedRecord] = []
    last: dict[HoldingKey, int] = {}
    for numbered in records:
        record = numbered[1]
        if isinstance(record, HoldingChanged):
            before = last.get(record.key)
            if before is not None:
                kept[before] = numbered
                continue
            last[record.key] = len(kept)
        elif isinstance(record, HolderAdded | HolderCompleted | HolderRemoved):
            last.pop(record.key, None)
        kept.append(numbered)
    return kept


def write_records(database: sqlite3.Connection, records: Iterable[NumberedRecord]) -> None:
    """Write records about files and holders. Raises what sqlite3 raises."""
    events: list[EventValues] = []
    for serial, record in records:
        match record:
            case FileUpdated():
                _write_file(database, record)
            case HoldingChanged():
                text = record.pieces_text if record.pieces is None else record.pieces.describe()
                _update(database, record.key, "pieces = ?", text)
            case HolderAdded():
                _write_holder(database, record)
                kind = FileEventKind.PUBLISHED if record.complete else FileEventKind.JOINED
                claim = f" ({record.pieces_text})" if record.pieces_text.startswith("says") else ""
                detail = f"{record.key.ip}:{record.key.port}{claim}"
                events.append(_event(serial, record.time_ms, record.key, kind, detail))
            case HolderCompleted():
                _update(database, record.key, "complete = 1, pieces = ?", record.pieces_text)
                events.append(_event(serial, record.time_ms, record.key, FileEventKind.COMPLETED))
            case HolderRemoved():
                _update(database, record.key, "state = ?, gone_ms = ?, why = ?", GONE, record.time_ms, record.why)
                events.append(_event(serial, record.time_ms, record.key, record.kind, record.why))
    # No statement above reads this table, so its rows can be inserted all at once.
    _INSERT_EVENTS.run(database, events)


def _write_file(database: sqlite3.Connection, record: FileUpdated) -> None:
    database.execute(
        "INSERT INTO files (info_hash, name, size, piece_length, pieces, known_ms) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (info_hash) DO UPDATE SET name = coalesce(excluded.name, name),"
        " size = coalesce(excluded.size, size), piece_length = coalesce(excluded.piece_length, piece_length),"
        " pieces = coalesce(excluded.pieces, pieces)",
        (record.info_hash, record.name, record.size, record.piece_length, record.pieces, record.time_ms),
    )


def _write_holder(database: sqlite3.Connection, record: HolderAdded) -> None:
    info_hash, peer, ip, port = record.key
    database.execute(
        "UPDATE holdings SET state = ?, gone_ms = ?, why = 'another peer has its address'"
        " WHERE info_hash = ? AND ip = ? AND port = ? AND peer <> ? AND state <> ?",
        (GONE, record.time_ms, info_hash, ip, port, peer, GONE),
    )
    # If the tracker was restarted and the peer was not, the peer keeps its earlier `since_ms`.
    database.execute(
        "INSERT INTO holdings (info_hash, ip, port, peer, complete, pieces, since_ms, state)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (info_hash, ip, port, peer) DO UPDATE SET complete = excluded.complete, pieces = excluded.pieces,"
        " since_ms = CASE WHEN state = 'gone' THEN excluded.since_ms ELSE since_ms END,"
        " state = excluded.state, gone_ms = NULL, why = NULL",
        (info_hash, ip, port, peer, record.complete, record.pieces_text, record.time_ms, ALIVE),
    )
    if record.complete:
        database.execute(
            "UPDATE files SET published_ms = ?, published_by = ?, published_from = ?"
            " WHERE info_hash = ? AND published_ms IS NULL",
            (record.time_ms, peer, f"{ip}:{port}", info_hash),
        )


def _update(database: sqlite3.Connection, key: HoldingKey, assignments: str, *values: object) -> None:
    database.execute(
        f"UPDATE holdings SET {assignments} WHERE info_hash = ? AND ip = ? AND port = ? AND peer = ?",
        (*values, key.info_hash, key.ip, key.port, key.peer),
    )


def _event(serial: int, time_ms: int, key: HoldingKey, kind: FileEventKind, detail: str = "") -> EventValues:
    return key.info_hash, time_ms, kind.value, key.peer, detail or f"{key.ip}:{key.port}", serial
