"""Lists of a run document that are bounded, whatever a node prints.

Tested by tests/unit/lab/report/test_document_builder.py.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

MAX_ROWS: Final = 50_000
"""Marks, phases and traffic of a document, each; a node may print as much as it likes."""
LOG_CHARS: Final = 1_400_000
"""Characters of all log lines; each node has an equal share, and keeps its newest lines."""
MAX_LINE: Final = 4_096
"""Characters of one log line."""


class Rows:
    """Rows of a document's list, of which a reader takes the new ones."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self.dropped = 0
        self._taken = 0

    def add(self, row: list[Any]) -> None:
        """Add a row, or count it where there are too many."""
        if len(self.rows) >= MAX_ROWS:
            self.dropped += 1
        else:
            self.rows.append(row)

    def take(self) -> list[list[Any]]:
        """Return the rows that are new since the last call."""
        new, self._taken = self.rows[self._taken :], len(self.rows)
        return new


class NodeLog:
    """A node's newest lines."""

    def __init__(self, most: int) -> None:
        self.rows: deque[list[Any]] = deque()
        self.dropped = 0
        self._most = most
        self._chars = 0

    def add(self, row: list[Any]) -> None:
        """Add a line: its time, its node's place, its text."""
        self.rows.append(row)
        self._chars += len(row[2])
        while self._chars > self._most:
            self._chars -= len(self.rows.popleft()[2])
            self.dropped += 1
