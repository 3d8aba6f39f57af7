"""Lists of the holders that requests found; equal long lists are stored once.

A short list is stored as JSON in the row of the request. A long list is stored in a table of its own, under the number
of the first request that has it; the rows of all requests with this list contain that number.

Tested by tests/unit/tracker/journal/test_journal.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from torrentnet.tracker.journal.schema import BulkInsert

if TYPE_CHECKING:
    import sqlite3

MIN_SHARED_SIZE: Final = 200
"""Shortest JSON text, in characters, that is shared."""
MAX_SHARE_DISTANCE: Final = 1_000
"""Largest difference between the numbers of two requests that share a list."""
_MAX_REMEMBERED: Final = 512
_INSERT: Final = BulkInsert("INSERT OR REPLACE INTO holder_lists (id, names)", 2)


class HolderLists:
    """The lists of recent requests, and the long lists that are not written yet."""

    def __init__(self) -> None:
        # By identity: many requests share one tuple of a hundred names, and hashing it would take too long.
        self._recent: dict[int, tuple[tuple[str, ...], str, int]] = {}
        self._unwritten: list[tuple[int, str]] = []

    def cell(self, names: tuple[str, ...], number: int) -> str:
        """Return the holders of the new request ``number`` as its row stores them."""
        recent = self._recent.get(id(names))
        if recent is not None and 0 <= number - recent[2] <= MAX_SHARE_DISTANCE:
            return recent[1]
        if len(self._recent) >= _MAX_REMEMBERED:
            self._recent.clear()
        text = names_json(names)
        if len(text) >= MIN_SHARED_SIZE:
            self._unwritten.append((number, text))
            text = str(number)
        self._recent[id(names)] = names, text, number
        return text

    def write(self, database: sqlite3.Connection) -> None:
        """Write the new lists; call :meth:`reset` if the transaction is rolled back."""
        _INSERT.run(database, self._unwritten)
        self._unwritten.clear()

    def reset(self) -> None:
        """Forget all lists, because those written last may not be in the database."""
        self._recent.clear()
        self._unwritten.clear()


def names_json(names: tuple[str, ...]) -> str:
    """Return a list of names as a row stores it."""
    return json.dumps(names, ensure_ascii=False)


def find_list(database: sqlite3.Connection, cell: str) -> str:
    """Return a list as JSON, from the cell of a row."""
    if cell.startswith("["):
        return cell
    found = database.execute("SELECT names FROM holder_lists WHERE id = ?", (cell,)).fetchone()
    return str(found[0]) if found else "[]"


def prune_lists(database: sqlite3.Connection, oldest: int) -> None:
    """Delete the lists that only requests before number ``oldest`` can refer to."""
    database.execute("DELETE FROM holder_lists WHERE id < ?", (oldest - MAX_SHARE_DISTANCE,))
