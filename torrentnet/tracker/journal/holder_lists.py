"""Who had a file, for the request log: a long list of names is written once for all requests that share it.

A short list stands in the row itself, as JSON. In the place of a long one stands the number of the first request that
has it; the list is in a table of its own under that number.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from torrentnet.tracker.journal.bulk_insert import BulkInsert

if TYPE_CHECKING:
    import sqlite3

MIN_SHARED_SIZE: Final = 200
"""Characters of JSON from which on a list is shared."""
MAX_SHARE_DISTANCE: Final = 10_000
"""No request shares the list of another one that has a number lower by more."""
_MAX_REMEMBERED: Final = 512
_INSERT: Final = BulkInsert("INSERT OR REPLACE INTO holder_lists (id, names)", 2)


class HolderLists:
    """The lists that requests shared lately, and those that are not written yet."""

    def __init__(self) -> None:
        # By identity, because many requests share one tuple of a hundred names, and to hash that takes as long.
        self._known: dict[int, tuple[tuple[str, ...], str, int]] = {}
        self._new: list[tuple[int, str]] = []

    def in_row(self, names: tuple[str, ...], number: int) -> str:
        """What stands in the row of the new request ``number``."""
        known = self._known.get(id(names))
        if known is not None and 0 <= number - known[2] <= MAX_SHARE_DISTANCE:
            return known[1]
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.clear()
        text = names_json(names)
        if len(text) >= MIN_SHARED_SIZE:
            self._new.append((number, text))
            text = str(number)
        self._known[id(names)] = names, text, number
        return text

    def write(self, database: sqlite3.Connection) -> None:
        """Write those that are new. Raises what sqlite3 raises; call :meth:`forget` where that is not committed."""
        _INSERT.run(database, self._new)
        self._new.clear()

    def forget(self) -> None:
        """What was written lately is not there."""
        self._known.clear()
        self._new.clear()


def names_json(names: tuple[str, ...]) -> str:
    """A list as it stands in a row of its own."""
    return json.dumps(names, ensure_ascii=False)


def find_list(database: sqlite3.Connection, shown: str) -> str:
    """The list, as JSON, that a row shows. Raises what sqlite3 raises."""
    if shown.startswith("["):
        return shown
    found = database.execute("SELECT names FROM holder_lists WHERE id = ?", (int(shown),)).fetchone()
    return str(found[0]) if found else "[]"


def prune_lists(database: sqlite3.Connection, oldest: int) -> None:
    """Let go of the lists that no request from the number ``oldest`` on can have."""
    database.execute("DELETE FROM holder_lists WHERE id < ?", (oldest - MAX_SHARE_DISTANCE,))
