"""Lists of a request's holders; a long one is stored once for all requests.

A short list is stored in the request's own row, as JSON. In place of a long one the row has a number: that of the first
request with this list, under which the list is stored in a table of its own.

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
MAX_SHARE_DISTANCE: Final = 10_000
"""Largest difference between the numbers of two requests that share a list."""
_MAX_REMEMBERED: Final = 512
_INSERT: Final = BulkInsert("INSERT OR REPLACE INTO holder_lists (id, names)", 2)


class HolderLists:
    """The recently shared lists, and those that are not written yet."""

    def __init__(self) -> None:
        # By identity, because many requests share one tuple of a hundred names, and hashing it takes as long.
        self._recent: dict[int, tuple[tuple[str, ...], str, int]] = {}
        self._unwritten: list[tuple[int, str]] = []

    def cell(self, names: tuple[str, ...], number: int) -> str:
        """Return what the row of the new request ``number`` stores for its holders."""
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
        """Write the new lists; call :meth:`reset` if that is rolled back."""
        _INSERT.run(database, self._unwritten)
        self._unwritten.clear()

    def reset(self) -> None:
        """Forget all lists: those written last are not in the database."""
        self._recent.clear()
        self._unwritten.clear()


def names_json(names: tuple[str, ...]) -> str:
    """Return a list of names as a row stores it."""
    return json.dumps(names, ensure_ascii=False)


def find_list(database: sqlite3.Connection, cell: str) -> str:
    """Return the list, as JSON, that a row stores or refers to."""
    if cell.startswith("["):
        return cell
    found = database.execute("SELECT names FROM holder_lists WHERE id = ?", (int(cell),)).fetchone()
    return str(found[0]) if found else "[]"


def prune_lists(database: sqlite3.Connection, oldest: int) -> None:
    """Delete the lists that no request from number ``oldest`` on can refer to."""
    database.execute("DELETE FROM holder_lists WHERE id < ?", (oldest - MAX_SHARE_DISTANCE,))
