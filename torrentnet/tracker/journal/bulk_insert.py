"""Many rows in few statements: while one runs, Python's other threads do, and each of them costs once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_SIZES: Final = (64, 8, 1)
"""Rows of one statement. There are few such sizes, so that each statement is compiled once."""


@dataclass(frozen=True, slots=True)
class BulkInsert:
    """A statement that ends with a list of rows (SQL's VALUES) behind ``head``. A row has ``width`` values."""

    head: str
    width: int

    def run(self, database: sqlite3.Connection, rows: Sequence[Sequence[object]]) -> None:
        """Carry it out for ``rows``, in their order. Raises what sqlite3 raises."""
        start = 0
        for size in _SIZES:
            while len(rows) - start >= size:
                values = list(chain.from_iterable(rows[start : start + size]))
                database.execute(_statement(self, size), values)
                start += size


@lru_cache(64)
def _statement(bulk: BulkInsert, rows: int) -> str:
    row = f"({', '.join('?' * bulk.width)})"
    return f"{bulk.head} VALUES {', '.join([row] * rows)}"
