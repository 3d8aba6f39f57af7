"""A journal that an earlier version wrote, brought into the form of today."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from torrentnet.tracker.journal.records import RequestState
from torrentnet.tracker.journal.request_parts import BLOCK_BITS, ClosedEntry, OpenedEntry, pack_part

if TYPE_CHECKING:
    import sqlite3

_ROWS: Final = (
    "SELECT id, time_ms, peer, ip, port, peer_id, file, info_hash, holders, total, result, sources, transferred,"
    " elapsed_ms, reason, ended_ms FROM requests ORDER BY id"
)


def migrate(database: sqlite3.Connection, version: int, tables: str, newest: int) -> None:
    """Bring a database of format 1 or 2 to ``newest``, whose ``tables`` of requests are made. All of it or nothing.

    Until format 2 a request was a row of a table, and what it was for its file a row of the table of events: those
    stay there.
    """
    database.execute("BEGIN EXCLUSIVE")
    try:
        for statement in tables.split(";"):
            if version < 2 or "CREATE TABLE holder_lists" not in statement:
                database.execute(statement)
        database.execute("ALTER TABLE events ADD COLUMN serial INTEGER")
        serial = database.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0]
        for block, rows in groupby(database.execute(_ROWS), key=lambda row: row[0] >> BLOCK_BITS):
            serial = _write(database, block, list(rows), serial)
        database.execute("DROP TABLE requests")
        database.execute(f"PRAGMA user_version = {newest}")
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise


def _write(database: sqlite3.Connection, block: int, rows: list[tuple[Any, ...]], serial: int) -> int:
    began: list[OpenedEntry] = []
    ended: list[ClosedEntry] = []
    for row in rows:
        number, time_ms, peer, ip, port, peer_id, file, info_hash, holders, total, result = row[:11]
        sources, transferred, elapsed, reason, ended_ms = row[11:]
        serial += 1
        began.append(OpenedEntry(serial, time_ms, number, peer, ip, port, peer_id, file, info_hash, holders, total))
        if result != RequestState.WAITING.value:
            serial += 1
            ended.append(
                ClosedEntry(
                    serial,
                    ended_ms or time_ms,
                    number,
                    peer,
                    info_hash,
                    RequestState(result),
                    sources or "[]",
                    transferred or 0,
                    elapsed or 0,
                    reason or "",
                )
            )
    data = pack_part(list(zip(*began, strict=True)), (), list(zip(*ended, strict=True)))
    files = "".join(f"\n{name}\n" for name in {one.file for one in began})
    database.execute(
        "INSERT INTO request_parts (block, began, told, last, files, hashes, data) VALUES (?, ?, 0, ?, ?, ?, ?)",
        (block, len(began), serial, files, b"", data),
    )
    if len(ended) < len(began):
        database.execute("INSERT INTO waiting_blocks (block) VALUES (?)", (block,))
    return serial
