"""Aligned columns of plain text.

The columns form tables that are written row by row, and lists of words. A table for a terminal fits into its columns.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.text import escape_controls, text_width, wrap_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

SAMPLE_ROWS: Final = 200
"""Rows from which the widths are computed; a wider cell in a later row shifts the rest of that row only."""
GAP: Final = "  "
ABSENT: Final = "-"
MIN_WRAPPED: Final = 16
"""Columns to which a wide column is narrowed at most; below, it moves to a line of its own."""

_terminal_columns: ContextVar[int | None] = ContextVar("terminal_columns", default=None)


def terminal_columns() -> int | None:
    """Return the columns of the terminal that reads the tables; None for a pipe."""
    return _terminal_columns.get()


@contextlib.contextmanager
def for_terminal(columns: int | None) -> Iterator[None]:
    """Lay out the tables that are made in a ``with`` block for a terminal's columns."""
    token = _terminal_columns.set(columns)
    try:
        yield
    finally:
        _terminal_columns.reset(token)


def table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, right: Collection[str] = (), indent: str = ""
) -> Iterator[str]:
    """Yield the lines of a table with aligned columns.

    The headers are first, if any, then one line for each row. Columns are two spaces apart. *rows* may be endless: at
    most :data:`SAMPLE_ROWS` are held. A cell is anything with ``str()``; None is written as ``-``; characters that
    could act on a terminal are escaped. A column is right-aligned when its header is in *right*, or when all its
    sampled cells are numbers. *indent* precedes every line.

    Where a terminal is too narrow (see :func:`for_terminal`), the widest columns are wrapped between words; those for
    which there is not room enough follow on lines of their own, with their headers.
    """
    waiting = iter(rows)
    sample = [tuple(row) for row in islice(waiting, SAMPLE_ROWS)]
    count = max(map(len, (headers, *sample)))
    widths = [0] * count
    least = [0] * count
    numeric = [bool(sample)] * count
    for column, header in enumerate(headers):
        widths[column] = text_width(header)
        least[column] = _longest_word(header)
    for sampled in sample:
        for column, cell in enumerate(sampled):
            text = _cell(cell)
            widths[column] = max(widths[column], text_width(text))
            least[column] = max(least[column], _longest_word(text))
            numeric[column] = numeric[column] and (cell is None or _is_number(cell))
    to_right = tuple(numeric[column] or (column < len(headers) and headers[column] in right) for column in range(count))
    width = terminal_columns()
    room = None if width is None else width - text_width(indent)
    layout = _Layout(tuple(headers), tuple(widths), to_right, indent, tuple(range(count)), room)
    if room is not None:
        layout = layout.fitted(least, room)
    if headers:
        yield from layout.lines(headers, is_header=True)
    for row in chain(sample, waiting):
        yield from layout.lines(row)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where each column of a table is written."""

    headers: tuple[str, ...]
    widths: tuple[int, ...]
    to_right: tuple[bool, ...]
    indent: str
    beside: tuple[int, ...]
    """The columns that are beside each other; the others follow below."""
    room: int | None
    """Columns of the terminal without the indent."""

    def fitted(self, least: Sequence[int], room: int) -> _Layout:
        """Return the layout for a terminal: wide columns narrower, or below the others."""
        beside = list(self.beside)
        widths = list(self.widths)
        narrowest = [min(width, max(word, MIN_WRAPPED)) for width, word in zip(widths, least, strict=True)]
        gaps = len(GAP)
        while len(beside) > 1 and sum(narrowest[column] + gaps for column in beside) - gaps > room:
            # The first column names the row.
            beside.remove(max(beside[1:], key=lambda column: (self.widths[column], column)))
        while (over := sum(widths[column] + gaps for column in beside) - gaps - room) > 0:
            wide = max(beside, key=lambda column: widths[column] - narrowest[column])
            if widths[wide] <= narrowest[wide]:
                break
            others = [widths[column] for column in beside if column != wide and widths[column] > narrowest[column]]
            # Wide columns become equally wide before they become narrower.
            step = max(1, widths[wide] - max(others, default=0))
            widths[wide] = max(narrowest[wide], widths[wide] - min(over, step))
        return _Layout(self.headers, tuple(widths), self.to_right, self.indent, tuple(beside), room)

    def lines(self, row: Sequence[object], *, is_header: bool = False) -> Iterator[str]:
        texts = [_cell(value) for value in row]
        known = [column for column in self.beside if column < len(texts)]
        if self.room is None:
            yield self._line([texts[column] for column in known], known)
            return
        parts = [wrap_line(texts[column], self.widths[column], 0) for column in known]
        for level in zip_longest(*parts, fillvalue=""):
            yield self._line(level, known)
        if is_header:
            return
        for column, text in enumerate(texts):
            if column not in self.beside and text != ABSENT:
                head = f"{self.headers[column]}{GAP}" if column < len(self.headers) else ""
                yield from wrap_line(f"{self.indent}    {head}{text}", self.room + len(self.indent))

    def _line(self, texts: Sequence[str], columns: Sequence[int]) -> str:
        parts: list[str] = []
        for text, column in zip(texts, columns, strict=True):
            padding = " " * (self.widths[column] - text_width(text))
            parts.append(padding + text if self.to_right[column] else text + padding)
        return (self.indent + GAP.join(parts)).rstrip(" ")


def _longest_word(text: str) -> int:
    return max(map(text_width, text.split()), default=0)


def _cell(value: object) -> str:
    return ABSENT if value is None else escape_controls(str(value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def in_columns(words: tuple[str, ...], width: int) -> list[str]:
    """Return words as columns that fit into *width*, to be read downwards."""
    shown = [escape_controls(word) for word in words]
    cell = max(map(text_width, shown)) + 2
    count = max(1, (width - 1) // cell)
    rows = -(-len(shown) // count)
    return [
        "".join(word + " " * (cell - text_width(word)) for word in shown[row::rows]).rstrip() for row in range(rows)
    ]
