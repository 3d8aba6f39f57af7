"""Output of commands on standard output: one JSON document, or a table.

Tested by tests/unit/lab/cli/test_app.py and tests/unit/lab/cli/test_status.py.
"""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.text import text_width, wrap_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

GAP: Final = 3
"""Blanks between two columns."""


def printable(text: str) -> str:
    """Replace what would control a terminal: nodes may print anything."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def print_json(document: object) -> None:
    """Print one document, as ``--json`` promises."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def screen_width(stream: TextIO | None = None) -> int | None:
    """Return the columns of the terminal, or None in a pipe, where nothing is wrapped."""
    return shutil.get_terminal_size().columns if (stream or sys.stdout).isatty() else None


def print_text(text: str, stream: TextIO | None = None) -> None:
    """Print lines; those that are too long for the terminal are wrapped between words."""
    width = screen_width(stream)
    for line in printable(text).split("\n"):
        print("\n".join(wrap_line(line, width)) if width else line, file=stream)


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headers, laid out for the terminal or the pipe."""
    for line in table_lines(headers, [[printable(cell) for cell in row] for row in rows], screen_width()):
        print(line)


def table_lines(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return the lines of a table that fits into ``width`` columns.

    With None the table is as wide as it needs. A cell that is too wide is wrapped between words, within its column.
    Where that is not enough, each row becomes a few lines: its first cell, and below it the others with their headers.
    Without headers there is no line for them.
    """
    lines = [list(headers), *map(list, rows)] if any(headers) else [list(row) for row in rows]
    if not lines:
        return []
    columns = list(zip(*lines, strict=True))
    widths = [max(map(text_width, column)) for column in columns]
    if width is not None:
        least = [max(map(_least_width, column)) for column in columns]
        room = width - GAP * (len(columns) - 1)
        if sum(least) > room:
            return _stacked_lines(headers, rows, width)
        while sum(widths) > room:
            widest = max(range(len(widths)), key=lambda index: widths[index] - least[index])
            widths[widest] = max(least[widest], widths[widest] - (sum(widths) - room))
    return [line for cells in lines for line in _row_lines(cells, widths)]


def _least_width(cell: str) -> int:
    """Return the width of a cell's longest word, with the blanks before the first."""
    words = cell.split()
    return max((text_width(words[0]) + len(cell) - len(cell.lstrip(" ")), *map(text_width, words))) if words else 0


def _row_lines(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    parts = [wrap_line(cell, width, 0) for cell, width in zip(cells, widths, strict=True)]
    found: list[str] = []
    for level in itertools.zip_longest(*parts, fillvalue=""):
        padded = (part + " " * (width - text_width(part)) for part, width in zip(level, widths, strict=True))
        found.append((" " * GAP).join(padded).rstrip())
    return found


def _stacked_lines(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    found: list[str] = []
    for row in rows:
        name, *others = [index for index, cell in enumerate(row) if cell] or [0]
        found += wrap_line(row[name], width)
        for index in others:
            found += wrap_line(f"    {headers[index]}{'  ' if headers[index] else ''}{row[index]}", width, 8)
    return found
