"""Insert many rows with few statements: the GIL is free while a statement runs, and each has a fixed cost.

Tested by tests/unit/tracker/journal/test_journal.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_ROWS_PER_STATEMENT: Final = (64, 8, 1)
"""Few different sizes, so that each statement is compiled once."""


@dataclass(frozen=True, slots=True)
class BulkInsert:
    """An INSERT statement without its VALUES, for rows of ``width`` values."""

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
