"""The line of a file to which a message refers, with a caret under the place.

Columns of the file are characters, columns of a terminal are not: tabs, wide and combining characters and escapes are
laid out as a terminal shows them, so that the caret is below its character.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.text import char_width

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torrentnet.lab.errors import Problem

MAX_WIDTH: Final = 80
"""Columns of an excerpt, the line's number included."""
TAB_WIDTH: Final = 4
CUT: Final = "…"
_LINE_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""The line breaks of YAML 1.1."""


def split_lines(text: str) -> list[str]:
    """Return the lines of a YAML file without their line breaks."""
    return _LINE_BREAK.split(text)


def with_excerpts(problems: Iterable[Problem], text: str, file: str) -> list[Problem]:
    """Return problems with their excerpts of a file, whose text is given.

    Problems of other files are returned as they are.
    """
    lines = split_lines(text)
    return [replace(one, excerpt=excerpt(lines, one.line, one.column)) if one.file == file else one for one in problems]


def excerpt(lines: list[str], line: int, column: int) -> str:
    """Return a line with its number, and below it a caret under a column.

    ``line`` and ``column`` count from 1. Returns an empty text where there is no such line, or nothing in it.
    """
    if not 1 <= line <= len(lines) or not lines[line - 1].strip():
        return ""
    gutter = f"{line:>4} | "
    room = MAX_WIDTH - len(gutter)
    cells = [_cell(char) for char in lines[line - 1].rstrip()]
    at = min(column - 1, len(cells))
    first, last = _window([width for _, width in cells], at, room)
    shown = (CUT if first else "") + "".join(text for text, _ in cells[first:last]) + (CUT if last < len(cells) else "")
    indent = bool(first) + sum(width for _, width in cells[first:at])
    return f"{gutter}{shown}\n{' ' * (len(gutter) - 2)}| {' ' * indent}^"


def _cell(char: str) -> tuple[str, int]:
    """Return a character as it is shown, and the columns that it takes."""
    if char == "\t":
        return " " * TAB_WIDTH, TAB_WIDTH
    if not char.isprintable():
        escaped = char.encode("unicode_escape", "surrogatepass").decode("ascii")
        return escaped, len(escaped)
    return char, char_width(char)


def _window(widths: list[int], at: int, room: int) -> tuple[int, int]:
    """Return the first and the last cell, exclusive, that are shown around a place."""
    if sum(widths) < room:
        return 0, len(widths)
    room -= 2  # for two signs of a cut
    first, left = at, room // 2
    while first > 0 and widths[first - 1] <= left:
        first -= 1
        left -= widths[first]
    last, left = first, room - 1
    while last < len(widths) and widths[last] <= left:
        left -= widths[last]
        last += 1
    return first, last
