"""What the program prints, as lines of plain text.

Colours and other escape sequences are removed. A prompt, which has no newline, is a line once the program is quiet.
Nothing here grows with what the program prints.
"""

from __future__ import annotations

import re
from typing import Final

MAX_LINE: Final = 4000
"""Bytes of a line; a longer line is cut into several."""

_ESCAPE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*(?:[@-~]|$)"  # CSI: colours, cursor movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # OSC: the window's title
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\|$)"
    r"|\x1b[ -/]*[0-~]?"
)
_ERASED: Final = re.compile(r"[^\x08]\x08")
_SILENT: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def plain_text(text: str) -> str:
    """Return what a line leaves on the screen, without colours.

    What a carriage return or a backspace has overwritten is gone.
    """
    if text.isprintable():
        return text.rstrip()
    text = _ESCAPE.sub("", text)
    text = next((part for part in reversed(text.split("\r")) if part), "")
    while "\x08" in text and (shorter := _ERASED.sub("", text, count=1)) != text:
        text = shorter
    return _SILENT.sub("", text).rstrip()


class OutputLines:
    """Splitter of a terminal's output into lines.

    ``quiet`` is how long the program must be silent before a text without newline counts as a line.
    """

    def __init__(self, quiet: float) -> None:
        self._quiet = quiet
        self._rest = bytearray()
        self._last = 0.0
        self.prompt = ""
        """The latest line that had no newline."""

    @property
    def due(self) -> float | None:
        """When :meth:`idle` will return a line; None as long as there is none."""
        return self._last + self._quiet if self._rest else None

    def feed(self, data: bytes, now: float) -> list[str]:
        """Return the lines that ``data`` completes, without empty ones."""
        self._last = now
        *complete, rest = data.split(b"\n")
        lines: list[str] = []
        for piece in complete:
            self._add(piece, lines)
            self._end(lines)
        self._add(rest, lines)
        return lines

    def idle(self, now: float) -> list[str]:
        """Return the text without newline that the program has stopped to print, if any."""
        if self.due is None or now < self.due:
            return []
        lines: list[str] = []
        self._end(lines)
        if lines:
            self.prompt = lines[-1]
        return lines

    def finish(self) -> list[str]:
        """Return the rest, at the program's end."""
        lines: list[str] = []
        self._end(lines)
        return lines

    def _add(self, piece: bytes, lines: list[str]) -> None:
        self._rest += piece
        while len(self._rest) > MAX_LINE:
            rest = self._rest[MAX_LINE:]
            del self._rest[MAX_LINE:]
            self._end(lines)
            self._rest += rest

    def _end(self, lines: list[str]) -> None:
        text = plain_text(self._rest.decode("utf-8", "replace"))
        self._rest.clear()
        if text:
            lines.append(text)


class OutputLimit:
    """The number of lines and bytes that are reported.

    At most ``rate`` lines a second are reported in the long run, with ``burst`` more at once, and none after the
    program has printed ``max_bytes``.
    """

    def __init__(self, max_bytes: int, rate: float = 200.0, burst: int = 1000) -> None:
        self._left = max_bytes
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._at = 0.0
        self.dropped = 0
        """Lines that were dropped because they came too fast, since the caller set it to zero."""

    @property
    def exhausted(self) -> bool:
        """Whether the program has printed all that it may."""
        return self._left <= 0

    def count(self, size: int) -> bool:
        """Count bytes of output; return whether they were the ones too many."""
        before = self._left
        self._left -= size
        return before > 0 >= self._left

    def allows(self, now: float) -> bool:
        """Return whether one more line may be reported now."""
        if self.exhausted:
            return False
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            self.dropped += 1
            return False
        self._tokens -= 1
        return True
