"""A command line's words: blanks separate them, quotes and backslashes hold them together, as in a shell."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class PartialLine(NamedTuple):
    """A line as far as it is typed."""

    words: list[str]
    """The words that are complete, unquoted."""
    word: str
    """The word under the cursor, unquoted as far as it goes; empty after a blank."""
    start: int
    """Where that word begins in the text, quotes included."""


def split_words(line: str) -> list[str]:
    """The words of a whole line. Raises ValueError with a sentence for the user when a quote is left open."""
    try:
        return shlex.split(line)
    except ValueError as error:
        if "escaped" in str(error):
            raise ValueError("the line ends in a backslash") from None
        raise ValueError("a quote is not closed") from None


def split_partial(text: str) -> PartialLine:
    """The words of a line that is being typed; open quotes are no error. *text* ends at the cursor."""
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
    """*word* as it must be typed to arrive as one word."""
    return shlex.quote(word)


def quote_open(prefix: str) -> str:
    """The beginning of a word as it must be typed so that more can be typed after it."""
    quoted = shlex.quote(prefix) if prefix else ""
    return quoted if quoted == prefix else quoted.removesuffix("'")


def join_words(words: Sequence[str]) -> str:
    """The line that :func:`split_words` takes apart into *words*."""
    return shlex.join(words)
