"""Parser of a terminal's bytes into keys.

It knows UTF-8 and escape sequences (ECMA-48, and xterm's), which may be cut anywhere.
"""

from __future__ import annotations

import codecs
from enum import Enum
from typing import Final

from torrentnet.runtime.text import is_displayable

MAX_SEQUENCE: Final = 32
"""Characters of the longest escape sequence; a longer one is discarded up to its end."""


class Key(Enum):
    """A key that is not text."""

    ENTER = "enter"
    TAB = "tab"
    BACKSPACE = "backspace"
    DELETE = "delete"
    LEFT = "left"
    RIGHT = "right"
    WORD_LEFT = "word left"
    WORD_RIGHT = "word right"
    HOME = "home"
    END = "end"
    UP = "up"
    DOWN = "down"
    KILL_TO_END = "kill to end"
    KILL_TO_START = "kill to start"
    KILL_WORD = "kill word"
    CLEAR_SCREEN = "clear screen"
    DELETE_OR_END = "delete or end of input"
    INTERRUPT = "interrupt"


_CONTROLS: Final = {
    "\x01": Key.HOME,
    "\x02": Key.LEFT,
    "\x03": Key.INTERRUPT,
    "\x04": Key.DELETE_OR_END,
    "\x05": Key.END,
    "\x06": Key.RIGHT,
    "\x08": Key.BACKSPACE,
    "\t": Key.TAB,
    "\n": Key.ENTER,
    "\x0b": Key.KILL_TO_END,
    "\x0c": Key.CLEAR_SCREEN,
    "\r": Key.ENTER,
    "\x0e": Key.DOWN,
    "\x10": Key.UP,
    "\x15": Key.KILL_TO_START,
    "\x17": Key.KILL_WORD,
    "\x7f": Key.BACKSPACE,
}
_LETTERS: Final = {"A": Key.UP, "B": Key.DOWN, "C": Key.RIGHT, "D": Key.LEFT, "F": Key.END, "H": Key.HOME}
_TILDES: Final = {"1": Key.HOME, "3": Key.DELETE, "4": Key.END, "7": Key.HOME, "8": Key.END}
_ALT: Final = {"b": Key.WORD_LEFT, "f": Key.WORD_RIGHT, "\x7f": Key.KILL_WORD}
_CTRL_MODIFIERS: Final = ("3", "5")
"""xterm's second parameter for Alt and Ctrl."""


class KeyReader:
    """Turn bytes into keys and characters, keeping what is not complete yet."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._sequence: str | None = None
        self._after_return = False

    def feed(self, data: bytes) -> list[Key | str]:
        """Return the keys and the displayable characters, in the order of typing."""
        found: list[Key | str] = []
        for char in self._decoder.decode(data):
            key = self._take(char)
            if key is not None:
                found.append(key)
        return found

    def _take(self, char: str) -> Key | str | None:
        after_return, self._after_return = self._after_return, char == "\r"
        if self._sequence is not None:
            return self._take_in_sequence(self._sequence, char)
        if char == "\x1b":
            self._sequence = ""
            return None
        if char == "\n" and after_return:
            return None
        key = _CONTROLS.get(char)
        if key is not None:
            return key
        return char if is_displayable(char) else None

    def _take_in_sequence(self, sequence: str, char: str) -> Key | None:
        if char == "\x1b":
            self._sequence = ""
            return None
        if not sequence:
            if char in "[O":
                self._sequence = char
                return None
            self._sequence = None
            return _ALT.get(char)
        # Parameters and intermediates of a control sequence; everything else ends it (ECMA-48, 5.4).
        if sequence[0] == "[" and " " <= char <= "?":
            self._sequence = (sequence + char)[:MAX_SEQUENCE]
            return None
        self._sequence = None
        if len(sequence) >= MAX_SEQUENCE:
            return None
        return _named(sequence[1:], char)


def _named(parameters: str, last: str) -> Key | None:
    first, _, modifier = parameters.partition(";")
    if last == "~":
        return _TILDES.get(first)
    if modifier in _CTRL_MODIFIERS and last in "CD":
        return Key.WORD_RIGHT if last == "C" else Key.WORD_LEFT
    return _LETTERS.get(last)
