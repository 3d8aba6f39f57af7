"""Splitter of a byte stream into lines of bounded length.

The bytes come from a pipe, a file or a plain terminal.
"""

from __future__ import annotations

from typing import Final

MAX_LINE_BYTES: Final = 4096
"""Bytes of the longest line."""


class LineSplitter:
    """Splitter of bytes into lines.

    None stands for a line that is too long, which is discarded whole.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[str | None]:
        """Return the lines that *data* completes, without their newlines."""
        lines: list[str | None] = []
        *complete, rest = data.split(b"\n")
        for piece in complete:
            self._add(piece)
            lines.append(self._end())
        self._add(rest)
        return lines

    def finish(self) -> list[str | None]:
        """Return the last line, if the input ended without a newline."""
        return [self._end()] if self._rest or self._skipping else []

    def _add(self, piece: bytes) -> None:
        if self._skipping or len(self._rest) + len(piece) > MAX_LINE_BYTES:
            self._skipping = True
            self._rest.clear()
        else:
            self._rest += piece

    def _end(self) -> str | None:
        line = None if self._skipping else self._rest.decode("utf-8", "replace").rstrip("\r")
        self._rest.clear()
        self._skipping = False
        return line
