"""Records into rows, on an open transaction: files, and who holds them. Requests are the request log's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from torrentnet.tracker.bulk import Bulk
from torrentnet.tracker.records import (
    FileKnown,
    HolderCame,
    HolderCompleted,
    HolderHolds,
    HolderWent,
    Kind,
    Place,
    Record,
)
from torrentnet.tracker.schema import ALIVE, GONE
from torrentnet.wire.pieces import PieceSet

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


Numbered: TypeAlias = tuple[int, Record]
"""A record behind its serial."""
Event: TypeAlias = tuple[bytes, int, str, str, str, int]
"""A row of the table of events, as it goes into the database."""
# OR FAIL: the whole transaction is rolled back by us, so that SQLite need not prepare to undo the one statement.
_EVENTS: Final = Bulk("INSERT OR FAIL INTO events (info_hash, time_ms, kind, peer, detail, serial)", 6)
_OF_HOLDERS: Final = HolderCame, HolderCompleted, HolderWent
MAX_HOLDS: Final = 1_000
"""Characters of a list of pieces that are kept; the count behind it always is."""


def coalesce(records: Iterable[Numbered]) -> list[Numbered]:
    """The same records without those that a later one in the batch makes void."""
    kept: list[Numbered] = []
    last: dict[Place, int] = {}
    for numbered in records:
        record = numbered[1]
        if isinstance(record, HolderHolds):
            before = last.get(record.place)
            if before is not None:
                kept[before] = numbered
                continue
            last[record.place] = len(kept)
        elif isinstance(record, _OF_HOLDERS):
            last.pop(record.place, None)
        kept.append(numbered)
    return kept


def apply_all(database: sqlite3.Connection, records: Iterable[Numbered]) -> None:
    """Write records that are not about requests, in their order. Raises what sqlite3 raises."""
    events: list[Event] = []
    for serial, record in records:
        _apply(database, serial, record, events)
    # Nothing else looks at this table, so its rows may come last, all at once.
    _EVENTS.run(database, events)


def _apply(
    database: sqlite3.Connection,
    serial: int,
    record: Record,
    events: list[Event],
) -> None:
    match record:
        case FileKnown():
            _file_known(database, record)
        case HolderCame():
            _came(database, serial, record, events)
        case HolderHolds():
            _holds(database, record)
        case HolderCompleted():
            _completed(database, serial, record, events)
        case HolderWent():
            _went(database, serial, record, events)


def _file_known(database: sqlite3.Connection, record: FileKnown) -> None:
    database.execute(
        "INSERT INTO files (info_hash, name, size, piece_length, pieces, known_ms) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (info_hash) DO UPDATE SET name = coalesce(excluded.name, name),"
        " size = coalesce(excluded.size, size), piece_length = coalesce(excluded.piece_length, piece_length),"
        " pieces = coalesce(excluded.pieces, pieces)",
        (record.info_hash, record.name, record.size, record.piece_length, record.pieces, record.time_ms),
    )


def _came(database: sqlite3.Connection, serial: int, record: HolderCame, events: list[Event]) -> None:
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
    kind = Kind.PUBLISHED if record.complete else Kind.JOINED
    _event(events, serial, place.info_hash, record.time_ms, kind, place.peer, f"{place.ip}:{place.port}")


def _holds(database: sqlite3.Connection, record: HolderHolds) -> None:
    text = record.holds or PieceSet.from_bitfield(record.pieces, record.bitfield).describe()
    _update(database, record.place, "holds = ?", _short(text))


def _completed(database: sqlite3.Connection, serial: int, record: HolderCompleted, events: list[Event]) -> None:
    place = record.place
    _update(database, place, "complete = 1, holds = ?", record.holds)
    _event(events, serial, place.info_hash, record.time_ms, Kind.COMPLETED, place.peer, f"{place.ip}:{place.port}")


def _went(database: sqlite3.Connection, serial: int, record: HolderWent, events: list[Event]) -> None:
    place = record.place
    _update(database, place, "state = ?, gone_ms = ?, why = ?", GONE, record.time_ms, record.why)
    _event(events, serial, place.info_hash, record.time_ms, record.kind, place.peer, record.why)


def _update(database: sqlite3.Connection, place: Place, what: str, *values: object) -> None:
    database.execute(
        f"UPDATE holdings SET {what} WHERE info_hash = ? AND ip = ? AND port = ? AND peer = ?",
        (*values, place.info_hash, place.ip, place.port, place.peer),
    )


def _event(
    events: list[Event], serial: int, info_hash: bytes, time_ms: int, kind: Kind, peer: str, detail: str
) -> None:
    events.append((info_hash, time_ms, kind.value, peer, detail, serial))


def _short(holds: str) -> str:
    """``0-4, 9, ... (600 of 11000)``: what is too long loses runs from the middle of its text, never its count."""
    if len(holds) <= MAX_HOLDS:
        return holds
    runs, _, count = holds.rpartition(" (")
    return f"{runs[: runs.rindex(', ', 0, MAX_HOLDS)]}, ... ({count}"
