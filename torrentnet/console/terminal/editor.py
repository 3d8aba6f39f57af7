"""Edits one line on a terminal: is fed bytes, hands out what to do, and says how the line looks. It does no I/O.

The line never takes more than one row: what is longer than the terminal is wide scrolls sideways, so that the row can
be wiped and drawn again at any time, with other lines above it.
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
"""Characters of a line: with up to four bytes each it still fits into a request of the console's socket."""
MAX_HISTORY: Final = 500
MIN_ROOM: Final = 8
"""Columns that the typed text needs at least; on a narrower terminal the prompt gives way."""


@dataclass(frozen=True, slots=True)
class Submit:
    """The line was entered. The editor is empty again."""

    line: str


@dataclass(frozen=True, slots=True)
class Redraw:
    """The line or the cursor changed: draw :meth:`LineEditor.render`."""


@dataclass(frozen=True, slots=True)
class ShowCandidates:
    """Several words are possible here: show them above the line."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClearScreen:
    """Wipe the screen, then draw the line at its top."""


@dataclass(frozen=True, slots=True)
class Bell:
    """The key could do nothing."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Ctrl-C came as a byte, on a terminal that makes no signal of it."""


@dataclass(frozen=True, slots=True)
class EndOfInput:
    """Ctrl-D on an empty line."""


EditorAction = Submit | Redraw | ShowCandidates | ClearScreen | Bell | Interrupt | EndOfInput


class LineEditor:
    """One line, its cursor, and the lines before it.

    *complete* gives the possible whole words, unquoted, for the last word of a text; it must not raise. *prompt* stands
    before the line. :attr:`width` is the terminal's width in columns, to be set whenever it changes.
    """

    def __init__(self, complete: Callable[[str], list[str]], *, prompt: str = "", width: int = 80) -> None:
        """An empty line, without history."""
        self.prompt = prompt
        self.width = width
        self._complete = complete
        self._keys = KeyReader()
        self._text = ""
        self._cursor = 0
        self._left = 0
        self._history: deque[str] = deque(maxlen=MAX_HISTORY)
        self._back = 0
        self._draft = ""

    @property
    def text(self) -> str:
        """The line as typed so far."""
        return self._text

    @property
    def cursor(self) -> int:
        """Index into :attr:`text` before which the next character goes."""
        return self._cursor

    @property
    def history(self) -> tuple[str, ...]:
        """Entered lines, oldest first."""
        return tuple(self._history)

    def feed(self, data: bytes) -> list[EditorAction]:
        """What typing *data* asks for, in order; consecutive redraws are one."""
        actions: list[EditorAction] = []
        for key in self._keys.feed(data):
            for action in self._press(key):
                if not (isinstance(action, Redraw) and actions and isinstance(actions[-1], Redraw)):
                    actions.append(action)
        return actions

    def clear(self) -> None:
        """Empties the line; the history stays."""
        self._set("")
        self._back = 0

    def render(self) -> str:
        """Text that draws prompt, line and cursor over the terminal's current row, whatever was there."""
        prompt, room = self._layout()
        self._scroll(room)
        shown, columns = "", 0
        for char in self._text[self._left :]:
            columns += char_width(char)
            if columns > room:
                break
            shown += char
        at = text_width(prompt) + text_width(self._text[self._left : self._cursor])
        return f"\r{prompt}{shown}\x1b[K\r" + (f"\x1b[{at}C" if at else "")

    def _layout(self) -> tuple[str, int]:
        # The last column stays free: a character there leaves the cursor in a state that terminals disagree on.
        room = self.width - 1 - text_width(self.prompt)
        return (self.prompt, room) if room >= MIN_ROOM else ("", max(self.width - 1, 1))

    def _scroll(self, room: int) -> None:
        """Moves the visible part by as little as keeps the cursor, and the character under it, in sight."""
        self._left = min(self._left, self._cursor)
        right = self._cursor + 1
        while self._left < self._cursor and text_width(self._text[self._left : right]) > room:
            self._left += 1
        # A row must not begin with a mark that belongs to a character out of sight.
        while self._left < self._cursor and not char_width(self._text[self._left]):
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
                return self._cut(self._previous(), self._cursor)
            case Key.DELETE | Key.DELETE_OR_END:
                return self._cut(self._cursor, self._next())
            case Key.KILL_TO_END:
                return self._cut(self._cursor, len(self._text))
            case Key.KILL_TO_START:
                return self._cut(0, self._cursor)
            case Key.KILL_WORD:
                return self._cut(self._word_left(), self._cursor)
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
        self._text = self._text[: self._cursor] + text + self._text[self._cursor :]
        self._cursor += len(text)
        return [Redraw()]

    def _cut(self, start: int, end: int) -> list[EditorAction]:
        if start == end:
            return [Bell()]
        self._text = self._text[:start] + self._text[end:]
        self._cursor = start
        return [Redraw()]

    def _move(self, to: int) -> list[EditorAction]:
        if to == self._cursor:
            return []
        self._cursor = to
        return [Redraw()]

    def _set(self, text: str) -> None:
        self._text = text
        self._cursor = len(text)
        self._left = 0

    def _submit(self) -> Submit:
        line = self._text
        if line.strip() and (not self._history or self._history[-1] != line):
            self._history.append(line)
        self.clear()
        return Submit(line)

    def _recall(self, step: int) -> list[EditorAction]:
        back = self._back + step
        if not 0 <= back <= len(self._history):
            return [Bell()]
        if self._back == 0:
            self._draft = self._text
        self._back = back
        self._set(self._history[-back] if back else self._draft)
        return [Redraw()]

    def _tab(self) -> list[EditorAction]:
        before = self._text[: self._cursor]
        _, word, start = split_partial(before)
        candidates = self._complete(before)
        if not candidates:
            return [Bell()]
        if len(candidates) == 1:
            after = self._text[self._cursor :]
            typed = quote(candidates[0]) + ("" if after.startswith(" ") else " ")
            return self._replace(start, typed)
        prefix = _common_prefix(candidates)
        actions = self._replace(start, quote_open(prefix)) if len(prefix) > len(word) else []
        return actions or [ShowCandidates(tuple(candidates))]

    def _replace(self, start: int, typed: str) -> list[EditorAction]:
        text = self._text[:start] + typed + self._text[self._cursor :]
        if len(text) > MAX_LINE:
            return [Bell()]
        self._text = text
        self._cursor = start + len(typed)
        return [Redraw()]

    def _previous(self) -> int:
        """Where the character before the cursor begins, its combining marks included."""
        at = self._cursor
        while at > 0:
            at -= 1
            if char_width(self._text[at]):
                break
        return at

    def _next(self) -> int:
        at = self._cursor
        while at < len(self._text):
            at += 1
            if at == len(self._text) or char_width(self._text[at]):
                break
        return at

    def _word_left(self) -> int:
        at = self._cursor
        while at > 0 and self._text[at - 1].isspace():
            at -= 1
        while at > 0 and not self._text[at - 1].isspace():
            at -= 1
        return at

    def _word_right(self) -> int:
        at = self._cursor
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
