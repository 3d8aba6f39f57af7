"""Split a command line into words, with quotes and backslashes as in a shell."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class PartialLine(NamedTuple):
    """A line that is still being typed."""

    words: list[str]
    """The complete words, unquoted."""
    word: str
    """The word under the cursor, unquoted; empty after a space."""
    start: int
    """Index of the word's first character, quotes included."""


def split_words(line: str) -> list[str]:
    """Split a line into words, as a shell does.

    Raises ValueError, with a message for the user, when a quote is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        if "escaped" in str(error):
            raise ValueError("the line ends in a backslash") from None
        raise ValueError("a quote is not closed") from None


def split_partial(text: str) -> PartialLine:
    """Return the words of a line that ends at the cursor; an open quote is allowed."""
    words: list[str] = []
    current: list[str] = []
    start: int | None = None
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        begins = at
        at += 1
        if not quote and char.isspace():
            if start is not None:
                words.append("".join(current))
                current, start = [], None
            continue
        start = begins if start is None else start
        if quote and char == quote:
            quote = ""
        elif char == "\\" and quote != "'" and at < len(text):
            if quote and text[at] not in '\\"':
                current.append(char)
            current.append(text[at])
            at += 1
        elif char == "\\" and quote != "'":
            pass
        elif not quote and char in "'\"":
            quote = char
        else:
            current.append(char)
    return PartialLine(words, "".join(current), len(text) if start is None else start)


def quote(word: str) -> str:
    """Return *word* as it must be typed to be read as one word."""
    return shlex.quote(word)


def quote_open(prefix: str) -> str:
    """Return the beginning of a word as it must be typed, so that more can follow."""
    quoted = shlex.quote(prefix) if prefix else ""
    return quoted if quoted == prefix else quoted.removesuffix("'")


def join_words(words: Sequence[str]) -> str:
    """Return the line that :func:`split_words` splits into *words*."""
    return shlex.join(words)
