"""A simulated screen with the features of a terminal that the console uses.

These are text, CR, LF, wrapping, erasing, and moving right.
"""

from __future__ import annotations

import re

from torrentnet.runtime.text import char_width

_SEQUENCE = re.compile(r"\x1b\[(\d*)([A-Za-z])")


class Screen:
    """Rows of text and a cursor.

    Every row is kept, so that a test can also check rows that scrolled away.
    """

    def __init__(self, width: int = 80) -> None:
        self.width = width
        self.rows: list[list[str]] = [[]]
        self.row = 0
        self.column = 0
        self.bells = 0

    def feed(self, text: str) -> None:
        """Process text that ends between two escape sequences."""
        at = 0
        while at < len(text):
            found = _SEQUENCE.match(text, at)
            if found:
                self._control(found[1], found[2])
                at = found.end()
                continue
            self._put(text[at])
            at += 1

    @property
    def lines(self) -> list[str]:
        """Every row as text, without trailing blanks."""
        return ["".join(row).rstrip() for row in self.rows]

    @property
    def line(self) -> str:
        """The row of the cursor."""
        return self.lines[self.row]

    def _control(self, number: str, letter: str) -> None:
        match letter:
            case "K":
                del self.rows[self.row][self.column :]
            case "C":
                assert number != "0", "terminals take 0 for 1 here"
                self.column += int(number or "1")
                assert self.column < self.width, "the cursor leaves the screen"
            case "H":
                # Earlier rows are kept: clearing the screen begins a new page.
                self._newline()
                self.column = 0
            case "J":
                assert number == "2"
            case _:
                raise AssertionError(f"unknown sequence {number}{letter}")

    def _put(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self._newline()
        elif char == "\a":
            self.bells += 1
        else:
            assert char.isprintable() or char == "\u200d", f"a raw {char!r} reached the terminal"
            width = char_width(char)
            if width == 0:
                self.rows[self.row][self.column - 1] += char
                return
            if self.column + width > self.width:
                self._newline()
                self.column = 0
            row = self.rows[self.row]
            row.extend(" " * (self.column - len(row)))
            row[self.column : self.column + width] = [char] + [""] * (width - 1)
            self.column += width

    def _newline(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])
