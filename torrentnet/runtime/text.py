"""Text on a terminal, its width and its escapes.

Characters that could act on the terminal are escaped. Names come from the network. An escape sequence in a name could
rewrite the reader's screen, and a right-to-left override could make it look like another name, so both are written as
escapes.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_JOINERS: Final = "\u200c\u200d"
"""Zero width (non-)joiner: scripts and emoji need them, and they cannot move anything."""

_WORD: Final = re.compile(r"(\S+)(\s*)")


def is_displayable(char: str) -> bool:
    """Whether one character may be written to a terminal unchanged."""
    return char.isprintable() or char in _JOINERS or unicodedata.category(char) == "Zs"


def escape_controls(text: str) -> str:
    """Escape every character in *text* that could act on a terminal.

    Controls, newlines and bidi marks are written as ``\\uXXXX``. A tab becomes a space, because it would break aligned
    columns.
    """
    if text.isprintable():
        return text
    return "".join(char if is_displayable(char) else " " if char == "\t" else escape_char(char) for char in text)


def escape_char(char: str) -> str:
    """Return one character as JSON writes it in ASCII.

    An example is ``\\u001b``. A character above U+FFFF becomes a surrogate pair.
    """
    code = ord(char)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def char_width(char: str) -> int:
    """Return the number of columns that one character takes on a terminal.

    It is 0 for combining marks and joiners, 2 for a wide character, else 1.
    """
    if char < "\u0300":
        return 1
    if char in _JOINERS or unicodedata.category(char) in {"Mn", "Me"} or "\ufe00" <= char <= "\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def text_width(text: str) -> int:
    """Return the columns of *text* on a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(char_width, text))


def wrap_line(text: str, width: int, hang: int | None = None) -> list[str]:
    """Return *text* as lines of at most *width* columns, broken at blanks only.

    The lines after the first are indented by *hang* columns, by default two more than the first. A word that is longer
    than a line keeps a line of its own, because people copy words.
    """
    if text_width(text) <= width:
        return [text]
    indent = len(text) - len(text.lstrip(" "))
    hang = min(indent + 2 if hang is None else hang, width // 2)
    lines, line, blanks = [], "", text[:indent]
    for word in _WORD.finditer(text, indent):
        if line.strip() and text_width(line) + text_width(blanks) + text_width(word[1]) > width:
            lines.append(line)
            line, blanks = "", " " * hang
        line += blanks + word[1]
        blanks = word[2]
    return [*lines, line]
