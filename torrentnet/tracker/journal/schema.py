"""The journal's tables, and what must be true of a database file before it is written to."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from torrentnet.tracker.journal.migration import migrate
from torrentnet.wire.errors import LocalError

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME: Final = "tracker.sqlite3"
APPLICATION_ID: Final = 0x544E4554
"""SQLite's mark in the file's header that says whose it is: "TNET"."""
FORMAT: Final = 3
_MAGIC: Final = b"SQLite format 3\0"
_EASY_CHECK: Final = 64 * 1024 * 1024
"""Bytes up to which a file is looked through at the start; a longer one would delay it by seconds."""

ALIVE: Final = "alive"
UNHEARD: Final = "unheard"
"""Held it when an earlier life of the tracker ended, and has not been heard of since."""
GONE: Final = "gone"

_TABLES: Final = """
CREATE TABLE files (
    info_hash BLOB PRIMARY KEY, name TEXT, size INTEGER, piece_length INTEGER, pieces INTEGER,
    known_ms INTEGER NOT NULL, published_ms INTEGER, published_by TEXT, published_from TEXT
) WITHOUT ROWID;
CREATE INDEX files_by_name ON files (name);
CREATE TABLE holdings (
    id INTEGER PRIMARY KEY, info_hash BLOB NOT NULL, ip TEXT NOT NULL, port INTEGER NOT NULL, peer TEXT NOT NULL,
    complete INTEGER NOT NULL, holds TEXT NOT NULL, since_ms INTEGER NOT NULL,
    state TEXT NOT NULL, gone_ms INTEGER, why TEXT,
    UNIQUE (info_hash, ip, port, peer)
);
CREATE INDEX holdings_by_state ON holdings (state);
CREATE TABLE events (
    id INTEGER PRIMARY KEY, info_hash BLOB NOT NULL, time_ms INTEGER NOT NULL, kind TEXT NOT NULL, peer TEXT NOT NULL,
    detail TEXT NOT NULL, serial INTEGER
);
CREATE INDEX events_by_file ON events (info_hash, id);
"""
_OF_REQUESTS: Final = """
CREATE TABLE holder_lists (id INTEGER PRIMARY KEY, names TEXT NOT NULL);
CREATE TABLE request_parts (
    id INTEGER PRIMARY KEY, block INTEGER NOT NULL, began INTEGER NOT NULL, told INTEGER NOT NULL,
    last INTEGER NOT NULL, files TEXT NOT NULL, hashes BLOB NOT NULL, data BLOB NOT NULL
);
CREATE INDEX request_parts_by_block ON request_parts (block, began);
CREATE TABLE waiting_blocks (block INTEGER PRIMARY KEY);
"""


class JournalError(LocalError):
    """The journal cannot be kept where it was asked for."""


def damaged_error(path: Path | str, cause: str) -> JournalError:
    """The file is ours, and cannot be read."""
    return JournalError(
        f"{path} is damaged: {cause}", hint="move it away to begin anew, or give --state another directory"
    )


def connect(state: Path | None) -> sqlite3.Connection:
    """A database that is ours alone, with the tables in it; in memory without ``state`` (a directory, made if need be).

    Raises :class:`JournalError`, and then nothing that was there has been changed.
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
        raise JournalError(f"{path} is no database", hint="move it away, or give --state another directory")
    database = _open(str(path))
    try:
        _check_and_create(database, path)
    except sqlite3.Error as error:
        database.close()
        raise _problem(error, path) from None
    except JournalError:
        database.close()
        raise
    return database


def _open(name: str) -> sqlite3.Connection:
    # One connection for all threads, behind the journal's own lock: so nobody ever waits for SQLite's.
    return sqlite3.connect(name, isolation_level=None, check_same_thread=False, timeout=0.0)


def _check_and_create(database: sqlite3.Connection, path: Path) -> None:
    # Two trackers would write into each other's log; the lock is the process's and goes with it, however it ends.
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    application = _pragma(database, "application_id")
    version = _pragma(database, "user_version")
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and tables:
        raise JournalError(
            f"{path} is another program's database", hint="move it away, or give --state another directory"
        )
    if version > FORMAT:
        raise JournalError(
            f"{path} was written by a newer tracker (format {version}, this one knows {FORMAT})",
            hint="use that tracker, or give --state another directory",
        )
    if tables and path.stat().st_size <= _EASY_CHECK:
        verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise damaged_error(path, verdict)
    database.execute("PRAGMA journal_mode = WAL")
    # After a crash of the machine the last moments may be missing, after a crash of the tracker nothing is.
    database.execute("PRAGMA synchronous = NORMAL")
    if not tables:
        _create(database)
    elif version < FORMAT:
        migrate(database, version, _OF_REQUESTS, FORMAT)
    else:
        # An exclusive lock is taken with the first write; here is one, so that a second tracker fails at its start.
        database.execute("BEGIN EXCLUSIVE")
        database.execute("COMMIT")


def _create(database: sqlite3.Connection) -> None:
    database.executescript(
        f"BEGIN EXCLUSIVE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};"
        f"{_TABLES} {_OF_REQUESTS} COMMIT;"
    )


def _pragma(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


def _problem(error: sqlite3.Error, path: Path) -> JournalError:
    text = str(error)
    if "locked" in text or "busy" in text:
        return JournalError(
            f"another tracker keeps its journal in {path}", hint="stop that one, or give --state another directory"
        )
    with contextlib.suppress(OSError):
        if not path.stat().st_size:
            path.unlink()
    if "malformed" in text or "not a database" in text or "corrupt" in text:
        return damaged_error(path, text)
    return JournalError(f"cannot keep the journal in {path}: {text}", hint="give --state another directory")
