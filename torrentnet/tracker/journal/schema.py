"""The journal's database: tables, bulk inserts, and checks of its file.

Tested by tests/unit/tracker/journal/test_journal.py.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final

from torrentnet.wire.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILE_NAME: Final = "tracker.sqlite3"
APPLICATION_ID: Final = 0x544E4554
"""Mark in the header of our SQLite files: "TNET"."""
FORMAT: Final = 1
"""The only format of the tables that this tracker reads and writes."""
_MAGIC: Final = b"SQLite format 3\0"
_MAX_CHECKED_SIZE: Final = 64 * 1024 * 1024
"""Largest file, in bytes, that is checked for damage at the start; a larger one would delay it by seconds."""

_ROWS_PER_STATEMENT: Final = (64, 8, 1)
"""Numbers of rows that one statement inserts: few, so that each statement is compiled once."""

ALIVE: Final = "alive"
UNHEARD: Final = "unheard"
"""The peer was alive when an earlier process of the tracker ended, and has not been heard since."""
GONE: Final = "gone"

_TABLES: Final = """
CREATE TABLE files (
    info_hash BLOB PRIMARY KEY, name TEXT, size INTEGER, piece_length INTEGER, pieces INTEGER,
    known_ms INTEGER NOT NULL, published_ms INTEGER, published_by TEXT, published_from TEXT
) WITHOUT ROWID;
CREATE INDEX files_by_name ON files (name);
CREATE TABLE holdings (
    id INTEGER PRIMARY KEY, info_hash BLOB NOT NULL, ip TEXT NOT NULL, port INTEGER NOT NULL, peer TEXT NOT NULL,
    complete INTEGER NOT NULL, pieces TEXT NOT NULL, since_ms INTEGER NOT NULL,
    state TEXT NOT NULL, gone_ms INTEGER, why TEXT,
    UNIQUE (info_hash, ip, port, peer)
);
CREATE INDEX holdings_by_state ON holdings (state);
CREATE TABLE events (
    id INTEGER PRIMARY KEY, info_hash BLOB NOT NULL, time_ms INTEGER NOT NULL, kind TEXT NOT NULL, peer TEXT NOT NULL,
    detail TEXT NOT NULL, serial INTEGER NOT NULL
);
CREATE INDEX events_by_file ON events (info_hash, id);
CREATE TABLE holder_lists (id INTEGER PRIMARY KEY, names TEXT NOT NULL);
CREATE TABLE request_parts (
    id INTEGER PRIMARY KEY, block INTEGER NOT NULL, opened INTEGER NOT NULL, last_serial INTEGER NOT NULL,
    files TEXT NOT NULL, hashes BLOB NOT NULL, data BLOB NOT NULL
);
CREATE INDEX request_parts_by_block ON request_parts (block, opened);
CREATE TABLE waiting_blocks (block INTEGER PRIMARY KEY);
"""


@dataclass(frozen=True, slots=True)
class BulkInsert:
    """An INSERT statement without its VALUES, for rows of ``width`` values.

    Each statement inserts many rows, because every statement has a fixed cost, and releases the GIL while it runs.
    """

    head: str
    width: int

    def run(self, database: sqlite3.Connection, rows: Sequence[Sequence[object]]) -> None:
        """Insert ``rows`` in their order. Raises what sqlite3 raises."""
        start = 0
        for size in _ROWS_PER_STATEMENT:
            while len(rows) - start >= size:
                values = list(chain.from_iterable(rows[start : start + size]))
                database.execute(_statement(self, size), values)
                start += size


@lru_cache(64)
def _statement(insert: BulkInsert, rows: int) -> str:
    row = f"({', '.join('?' * insert.width)})"
    return f"{insert.head} VALUES {', '.join([row] * rows)}"


class JournalError(LocalError):
    """The journal cannot be stored in the requested directory."""


def damaged_error(path: Path | str, cause: str) -> JournalError:
    """Return the error for a journal that cannot be read."""
    return JournalError(
        f"{path} is damaged: {cause}", hint="move it away to start an empty journal, or give --state another directory"
    )


def connect(state: Path | None) -> sqlite3.Connection:
    """Open the database in the directory ``state``; create both if needed.

    Without ``state`` the database is in memory. When this raises :class:`JournalError`, it has changed no file.
    """
    if state is None:
        database = _open(":memory:")
        _create(database)
        return database
    path = state / FILE_NAME
    try:
        state.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            file.seek(0)
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise JournalError(
            f"cannot keep the journal in {state}: {error.strerror or error}", hint="give --state another directory"
        ) from None
    if head and head != _MAGIC:
        raise JournalError(f"{path} is not a database", hint="move it away, or give --state another directory")
    database = _open(str(path))
    try:
        _check_and_create(database, path)
    except sqlite3.Error as error:
        database.close()
        raise _explain(error, path) from None
    except JournalError:
        database.close()
        raise
    return database


def _open(name: str) -> sqlite3.Connection:
    # The threads share one connection under the journal's own lock, so that none of them waits for a lock of SQLite.
    database = sqlite3.connect(name, isolation_level=None, check_same_thread=False, timeout=0.0)
    # SQLite does not check that a text is UTF-8, and one damaged text must not prevent all others from being read.
    database.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return database


def _check_and_create(database: sqlite3.Connection, path: Path) -> None:
    # Two trackers would mix their logs. The lock is the process's and is released however the process ends.
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    application = _pragma(database, "application_id")
    version = _pragma(database, "user_version")
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and tables:
        raise JournalError(
            f"{path} is another program's database", hint="move it away, or give --state another directory"
        )
    if tables and version != FORMAT:
        raise JournalError(
            f"{path} has format {version}; this tracker reads only format {FORMAT}",
            hint="move it away to start an empty journal, or give --state another directory",
        )
    if tables and path.stat().st_size <= _MAX_CHECKED_SIZE:
        verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise damaged_error(path, verdict)
    database.execute("PRAGMA journal_mode = WAL")
    # A crash of the machine may lose the latest transactions; a crash of the tracker loses none.
    database.execute("PRAGMA synchronous = NORMAL")
    if not tables:
        _create(database)
    else:
        # The first write acquires the exclusive lock: write now, so that a second tracker fails at its start.
        database.execute("BEGIN EXCLUSIVE")
        database.execute("COMMIT")


def _create(database: sqlite3.Connection) -> None:
    database.executescript(
        f"BEGIN EXCLUSIVE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};{_TABLES} COMMIT;"
    )


def _pragma(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


def _explain(error: sqlite3.Error, path: Path) -> JournalError:
    text = str(error)
    if "locked" in text or "busy" in text:
        return JournalError(
            f"another tracker keeps its journal in {path}", hint="stop that tracker, or give --state another directory"
        )
    with contextlib.suppress(OSError):
        if not path.stat().st_size:
            path.unlink()
    if "malformed" in text or "not a database" in text or "corrupt" in text:
        return damaged_error(path, text)
    return JournalError(f"cannot keep the journal in {path}: {text}", hint="give --state another directory")
