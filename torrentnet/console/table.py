"""Aligned columns of plain text.

The columns form tables that are written row by row, and lists of words.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.text import escape_controls, text_width

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

SAMPLE_ROWS: Final = 200
"""Rows from which the widths are computed; a wider cell in a later row shifts the rest of that row only."""
GAP: Final = "  "
ABSENT: Final = "-"


def table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, right: Collection[str] = (), indent: str = ""
) -> Iterator[str]:
    """Yield the lines of a table with aligned columns.

    The headers are first, if any, then one line for each row. Columns are two spaces apart. *rows* may be endless: at
    most :data:`SAMPLE_ROWS` are held. A cell is anything with ``str()``; None is written as ``-``; characters that
    could act on a terminal are escaped. A column is right-aligned when its header is in *right*, or when all its
    sampled cells are numbers. *indent* precedes every line.
    """
    waiting = iter(rows)
    sample = [tuple(row) for row in islice(waiting, SAMPLE_ROWS)]
    count = max(map(len, (headers, *sample)))
    widths = [0] * count
    numeric = [bool(sample)] * count
    for column, header in enumerate(headers):
        widths[column] = text_width(header)
    for sampled in sample:
        for column, cell in enumerate(sampled):
            widths[column] = max(widths[column], text_width(_cell(cell)))
            numeric[column] = numeric[column] and (cell is None or _is_number(cell))
    to_right = [numeric[column] or (column < len(headers) and headers[column] in right) for column in range(count)]
    if headers:
        yield _line(headers, widths, to_right, indent)
    for row in chain(sample, waiting):
        yield _line(row, widths, to_right, indent)


def _cell(value: object) -> str:
    return ABSENT if value is None else escape_controls(str(value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _line(row: Sequence[object], widths: Sequence[int], to_right: Sequence[bool], indent: str) -> str:
    parts: list[str] = []
    for column, value in enumerate(row):
        text = _cell(value)
        known = column < len(widths)
        padding = " " * (widths[column] - text_width(text)) if known else ""
        parts.append(padding + text if known and to_right[column] else text + padding)
    return (indent + GAP.join(parts)).rstrip(" ")


def in_columns(words: tuple[str, ...], width: int) -> list[str]:
    """Return words as columns that fit into *width*, to be read downwards."""
    shown = [escape_controls(word) for word in words]
    cell = max(map(text_width, shown)) + 2
    count = max(1, (width - 1) // cell)
    rows = -(-len(shown) // count)
    return [
        "".join(word + " " * (cell - text_width(word)) for word in shown[row::rows]).rstrip() for row in range(rows)
    ]
