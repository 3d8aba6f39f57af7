"""Editor of one line on a terminal, which does no I/O itself.

It turns typed bytes into actions and into the text that draws the line. The line never takes more than one row: a line
wider than the terminal scrolls sideways, so that the row can be wiped and drawn again at any time, below other lines.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.console.terminal.keys import Key, KeyReader
from torrentnet.console.words import quote, quote_open, split_partial
from torrentnet.runtime.text import char_width, text_width

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LINE: Final = 1000
"""Characters of the longest line: at four bytes each, it still fits into a request of the console socket."""
MAX_HISTORY: Final = 500
MIN_ROOM: Final = 8
"""Columns that the typed text needs; on a narrower terminal the prompt is left out."""


@dataclass(frozen=True, slots=True)
class Submit:
    """The line was entered. The editor is empty again."""

    line: str


@dataclass(frozen=True, slots=True)
class Redraw:
    """The line or the cursor changed: draw :meth:`LineEditor.render`."""


@dataclass(frozen=True, slots=True)
class ShowCandidates:
    """Several words are possible: show them above the line."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClearScreen:
    """Wipe the screen, then draw the line at its top."""


@dataclass(frozen=True, slots=True)
class Bell:
    """The key had no effect."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Ctrl-C came as a byte, because the terminal does not make it a signal."""


@dataclass(frozen=True, slots=True)
class EndOfInput:
    """Ctrl-D on an empty line."""


EditorAction = Submit | Redraw | ShowCandidates | ClearScreen | Bell | Interrupt | EndOfInput


class LineEditor:
    """One line, its cursor, and the history.

    *complete* returns the possible words, unquoted, for the last word of a text; it must not raise. *prompt* precedes
    the line. :attr:`width` is the terminal's width in columns; set it whenever it changes.
    """

    def __init__(self, complete: Callable[[str], list[str]], *, prompt: str = "", width: int = 80) -> None:
        self.prompt = prompt
        self.width = width
        self._complete = complete
        self._keys = KeyReader()
        self._text = ""
        self.cursor = 0
        """Index into :attr:`text` before which the next character goes."""
        self._left = 0
        self.history: deque[str] = deque(maxlen=MAX_HISTORY)
        """Entered lines, oldest first."""
        self._back = 0
        self._draft = ""

    @property
    def text(self) -> str:
        """The line, as far as it is typed."""
        return self._text

    def feed(self, data: bytes) -> list[EditorAction]:
        """Return the actions that typing *data* causes, in order.

        Consecutive redraws are merged.
        """
        actions: list[EditorAction] = []
        for key in self._keys.feed(data):
            for action in self._press(key):
                if not (isinstance(action, Redraw) and actions and isinstance(actions[-1], Redraw)):
                    actions.append(action)
        return actions

    def clear(self) -> None:
        """Clear the line, but not the history."""
        self._set("")
        self._back = 0

    def render(self) -> str:
        """Return the text that draws the prompt, the line and the cursor.

        The text is drawn over the terminal's current row.
        """
        prompt, room = self._layout()
        self._scroll(room)
        shown, columns = "", 0
        for char in self._text[self._left :]:
            columns += char_width(char)
            if columns > room:
                break
            shown += char
        at = text_width(prompt) + text_width(self._text[self._left : self.cursor])
        return f"\r{prompt}{shown}\x1b[K\r" + (f"\x1b[{at}C" if at else "")

    def _layout(self) -> tuple[str, int]:
        # The last column stays free: after a character there, terminals disagree on where the cursor is.
        room = self.width - 1 - text_width(self.prompt)
        return (self.prompt, room) if room >= MIN_ROOM else ("", max(self.width - 1, 1))

    def _scroll(self, room: int) -> None:
        """Scroll as little as keeps the cursor, and the character under it, visible."""
        self._left = min(self._left, self.cursor)
        right = self.cursor + 1
        while self._left < self.cursor and text_width(self._text[self._left : right]) > room:
            self._left += 1
        # A row must not begin with a combining mark of a character that is not visible.
        while self._left < self.cursor and not char_width(self._text[self._left]):
            self._left += 1
        if text_width(self._text) <= room:
            self._left = 0

    def _press(self, key: Key | str) -> list[EditorAction]:
        if not isinstance(key, Key):
            return self._insert(key)
        match key:
            case Key.ENTER:
                return [self._submit()]
            case Key.TAB:
                return self._tab()
            case Key.INTERRUPT:
                return [Interrupt()]
            case Key.CLEAR_SCREEN:
                return [ClearScreen()]
            case Key.UP | Key.DOWN:
                return self._recall(1 if key is Key.UP else -1)
            case Key.DELETE_OR_END if not self._text:
                return [EndOfInput()]
            case Key.BACKSPACE:
                return self._cut(self._previous(), self.cursor)
            case Key.DELETE | Key.DELETE_OR_END:
                return self._cut(self.cursor, self._next())
            case Key.KILL_TO_END:
                return self._cut(self.cursor, len(self._text))
            case Key.KILL_TO_START:
                return self._cut(0, self.cursor)
            case Key.KILL_WORD:
                return self._cut(self._word_left(), self.cursor)
            case Key.LEFT:
                return self._move(self._previous())
            case Key.RIGHT:
                return self._move(self._next())
            case Key.WORD_LEFT:
                return self._move(self._word_left())
            case Key.WORD_RIGHT:
                return self._move(self._word_right())
            case Key.HOME:
                return self._move(0)
            case Key.END:
                return self._move(len(self._text))

    def _insert(self, text: str) -> list[EditorAction]:
        if len(self._text) + len(text) > MAX_LINE:
            return [Bell()]
        self._text = self._text[: self.cursor] + text + self._text[self.cursor :]
        self.cursor += len(text)
        return [Redraw()]

    def _cut(self, start: int, end: int) -> list[EditorAction]:
        if start == end:
            return [Bell()]
        self._text = self._text[:start] + self._text[end:]
        self.cursor = start
        return [Redraw()]

    def _move(self, to: int) -> list[EditorAction]:
        if to == self.cursor:
            return []
        self.cursor = to
        return [Redraw()]

    def _set(self, text: str) -> None:
        self._text = text
        self.cursor = len(text)
        self._left = 0

    def _submit(self) -> Submit:
        line = self._text
        if line.strip() and (not self.history or self.history[-1] != line):
            self.history.append(line)
        self.clear()
        return Submit(line)

    def _recall(self, step: int) -> list[EditorAction]:
        back = self._back + step
        if not 0 <= back <= len(self.history):
            return [Bell()]
        if self._back == 0:
            self._draft = self._text
        self._back = back
        self._set(self.history[-back] if back else self._draft)
        return [Redraw()]

    def _tab(self) -> list[EditorAction]:
        before = self._text[: self.cursor]
        _, word, start = split_partial(before)
        candidates = self._complete(before)
        if not candidates:
            return [Bell()]
        if len(candidates) == 1:
            after = self._text[self.cursor :]
            typed = quote(candidates[0]) + ("" if after.startswith(" ") else " ")
            return self._replace(start, typed)
        prefix = _common_prefix(candidates)
        actions = self._replace(start, quote_open(prefix)) if len(prefix) > len(word) else []
        return actions or [ShowCandidates(tuple(candidates))]

    def _replace(self, start: int, typed: str) -> list[EditorAction]:
        text = self._text[:start] + typed + self._text[self.cursor :]
        if len(text) > MAX_LINE:
            return [Bell()]
        self._text = text
        self.cursor = start + len(typed)
        return [Redraw()]

    def _previous(self) -> int:
        """Return where the character before the cursor begins, combining marks included."""
        at = self.cursor
        while at > 0:
            at -= 1
            if char_width(self._text[at]):
                break
        return at

    def _next(self) -> int:
        at = self.cursor
        while at < len(self._text):
            at += 1
            if at == len(self._text) or char_width(self._text[at]):
                break
        return at

    def _word_left(self) -> int:
        at = self.cursor
        while at > 0 and self._text[at - 1].isspace():
            at -= 1
        while at > 0 and not self._text[at - 1].isspace():
            at -= 1
        return at

    def _word_right(self) -> int:
        at = self.cursor
        while at < len(self._text) and self._text[at].isspace():
            at += 1
        while at < len(self._text) and not self._text[at].isspace():
            at += 1
        return at


def _common_prefix(words: list[str]) -> str:
    # Of all words, the first and the last in order differ earliest.
    first, last = min(words), max(words)
    same = 0
    while same < len(first) and first[same : same + 1] == last[same : same + 1]:
        same += 1
    return first[:same]
