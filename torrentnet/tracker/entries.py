"""Records into rows: each kind of record is one small function on an open transaction."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from torrentnet.console.units import format_size
from torrentnet.tracker.records import (
    FileKnown,
    HolderCame,
    HolderCompleted,
    HolderHolds,
    HolderWent,
    Kind,
    Place,
    Record,
    RequestBegan,
    RequestEnded,
    RequestSeesHolders,
    Result,
)
from torrentnet.tracker.schema import ALIVE, GONE
from torrentnet.wire.pieces import PieceSet

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

Event: TypeAlias = tuple[bytes, int, str, str, str]
"""A row of the table of events, as it goes into the database."""
MAX_HOLDS: Final = 1_000
"""Characters of a list of pieces that are kept; the count behind it always is."""


def coalesce(records: Iterable[Record]) -> list[Record]:
    """The same records without those that a later one in the batch makes void."""
    kept: list[Record] = []
    last: dict[Place, int] = {}
    for record in records:
        if isinstance(record, HolderHolds):
            before = last.get(record.place)
            if before is not None:
                kept[before] = record
                continue
            last[record.place] = len(kept)
        elif isinstance(record, HolderCame | HolderCompleted | HolderWent):
            last.pop(record.place, None)
        kept.append(record)
    return kept


def apply_all(database: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Write records, in their order. Raises what sqlite3 raises."""
    events: list[Event] = []
    for record in records:
        _apply(database, record, events)
    # Nothing else looks at this table, so its rows may come last, all at once.
    database.executemany("INSERT INTO events (info_hash, time_ms, kind, peer, detail) VALUES (?, ?, ?, ?, ?)", events)


def _apply(database: sqlite3.Connection, record: Record, events: list[Event]) -> None:
    match record:
        case FileKnown():
            _file_known(database, record)
        case HolderCame():
            _came(database, record, events)
        case HolderHolds():
            _holds(database, record)
        case HolderCompleted():
            _completed(database, record, events)
        case HolderWent():
            _went(database, record, events)
        case RequestBegan():
            _request(database, record, events)
        case RequestSeesHolders():
            _sees_holders(database, record)
        case RequestEnded():
            _ended(database, record, events)


def describe_outcome(result: str, names: list[str], transferred: int, elapsed_ms: int, reason: str) -> str:
    """An outcome as a person reads it: ``succeeded from seeder-2 (8 MiB in 0.12 s)``, ``lost with the peer``."""
    amount = f"{format_size(transferred)} in {elapsed_ms / 1000:.2f} s"
    from_whom = ", ".join(names)
    if result == Result.WAITING.value:
        return "waiting"
    if result == Result.LOST.value:
        return "lost with the peer"
    if result == Result.SUCCEEDED.value:
        return f"succeeded from {from_whom} ({amount})" if from_whom else f"succeeded ({amount})"
    text = f"failed: {reason}" if reason else "failed"
    return f"{text} ({format_size(transferred)} from {from_whom})" if from_whom else text


def _file_known(database: sqlite3.Connection, record: FileKnown) -> None:
    database.execute(
        "INSERT INTO files (info_hash, name, size, piece_length, pieces, known_ms) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (info_hash) DO UPDATE SET name = coalesce(excluded.name, name),"
        " size = coalesce(excluded.size, size), piece_length = coalesce(excluded.piece_length, piece_length),"
        " pieces = coalesce(excluded.pieces, pieces)",
        (record.info_hash, record.name, record.size, record.piece_length, record.pieces, record.time_ms),
    )


def _came(database: sqlite3.Connection, record: HolderCame, events: list[Event]) -> None:
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
    _event(events, place.info_hash, record.time_ms, kind, place.peer, f"{place.ip}:{place.port}")


def _holds(database: sqlite3.Connection, record: HolderHolds) -> None:
    text = record.holds or PieceSet.from_bitfield(record.pieces, record.bitfield).describe()
    _update(database, record.place, "holds = ?", _short(text))


def _completed(database: sqlite3.Connection, record: HolderCompleted, events: list[Event]) -> None:
    place = record.place
    _update(database, place, "complete = 1, holds = ?", record.holds)
    _event(events, place.info_hash, record.time_ms, Kind.COMPLETED, place.peer, f"{place.ip}:{place.port}")


def _went(database: sqlite3.Connection, record: HolderWent, events: list[Event]) -> None:
    place = record.place
    _update(database, place, "state = ?, gone_ms = ?, why = ?", GONE, record.time_ms, record.why)
    _event(events, place.info_hash, record.time_ms, record.kind, place.peer, record.why)


def _update(database: sqlite3.Connection, place: Place, what: str, *values: object) -> None:
    database.execute(
        f"UPDATE holdings SET {what} WHERE info_hash = ? AND ip = ? AND port = ? AND peer = ?",
        (*values, place.info_hash, place.ip, place.port, place.peer),
    )


def _request(database: sqlite3.Connection, record: RequestBegan, events: list[Event]) -> None:
    database.execute(
        "INSERT OR REPLACE INTO requests"
        " (id, time_ms, peer, ip, port, peer_id, file, info_hash, holders, total, result)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.number,
            record.time_ms,
            record.peer,
            record.ip,
            record.port,
            record.peer_id,
            record.file,
            record.info_hash,
            _json(record.holders),
            record.total,
            Result.WAITING.value,
        ),
    )
    if record.info_hash is not None:
        have = "nobody has it whole" if not record.total else f"{record.total} have it whole"
        _event(events, record.info_hash, record.time_ms, Kind.REQUESTED, record.peer, have)


def _sees_holders(database: sqlite3.Connection, record: RequestSeesHolders) -> None:
    database.execute(
        "UPDATE requests SET info_hash = ?, result = ?, ended_ms = NULL, reason = NULL WHERE id = ?",
        (record.info_hash, Result.WAITING.value, record.number),
    )
    if record.holders is not None:
        database.execute(
            "UPDATE requests SET holders = ?, total = ? WHERE id = ?",
            (_json(record.holders), record.total, record.number),
        )


def _ended(database: sqlite3.Connection, record: RequestEnded, events: list[Event]) -> None:
    database.execute(
        "UPDATE requests SET result = ?, sources = ?, transferred = ?, elapsed_ms = ?, reason = ?, ended_ms = ?,"
        " info_hash = coalesce(?, info_hash) WHERE id = ?",
        (
            record.result.value,
            json.dumps(record.sources, ensure_ascii=False),
            record.transferred,
            record.elapsed_ms,
            record.reason,
            record.time_ms,
            record.info_hash,
            record.number,
        ),
    )
    if record.info_hash is None:
        return
    names = [name for name, _ in record.sources]
    text = describe_outcome(record.result.value, names, record.transferred, record.elapsed_ms, record.reason)
    kind = Kind(record.result.value)
    detail = text.removeprefix(kind.value).removeprefix(":").strip() if kind is not Kind.LOST else record.reason
    _event(events, record.info_hash, record.time_ms, kind, record.peer, detail)


def _event(events: list[Event], info_hash: bytes, time_ms: int, kind: Kind, peer: str, detail: str) -> None:
    events.append((info_hash, time_ms, kind.value, peer, detail))


@lru_cache(64)
def _json(names: tuple[str, ...]) -> str:
    """The same holders stand in many requests' rows."""
    return json.dumps(names, ensure_ascii=False)


def _short(holds: str) -> str:
    """``0-4, 9, ... (600 of 11000)``: what is too long loses runs from the middle of its text, never its count."""
    if len(holds) <= MAX_HOLDS:
        return holds
    runs, _, count = holds.rpartition(" (")
    return f"{runs[: runs.rindex(', ', 0, MAX_HOLDS)]}, ... ({count}"
