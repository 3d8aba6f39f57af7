"""How text looks on a terminal: how wide it is, and what of it must not reach a terminal as it is.

Names come from the network. A name with an escape sequence in it could rewrite the reader's screen, one with a
right-to-left override could pretend to be another, so both are shown as escapes.

Tested by tests/unit/console/terminal/test_terminal.py.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_JOINERS: Final = "\u200c\u200d"
"""Zero width (non-)joiner: they hold scripts and emoji together and cannot move anything."""


def is_displayable(char: str) -> bool:
    """Whether one character may be written to a terminal as it is."""
    return char.isprintable() or char in _JOINERS or unicodedata.category(char) == "Zs"


def escape_controls(text: str) -> str:
    """*text* with every character that could act on a terminal (controls, newlines, bidi marks) as ``\\uXXXX``.

    Tabs become one blank, for they would tear aligned columns.
    """
    if text.isprintable():
        return text
    return "".join(char if is_displayable(char) else " " if char == "\t" else escape_char(char) for char in text)


def escape_char(char: str) -> str:
    """One character as JSON writes it in ASCII: ``\\u001b``; a surrogate pair beyond the first 65536."""
    code = ord(char)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def char_width(char: str) -> int:
    """Columns that one character takes on a terminal: 0 for combining marks and joiners, 2 for wide ones, else 1."""
    if char < "\u0300":
        return 1
    if char in _JOINERS or unicodedata.category(char) in {"Mn", "Me"} or "\ufe00" <= char <= "\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def text_width(text: str) -> int:
    """Columns that *text* takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(char_width, text))
