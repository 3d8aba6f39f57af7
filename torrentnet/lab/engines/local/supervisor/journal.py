"""The journal of what a lab's nodes printed and how their states changed.

It is one file with one JSON object a line, in order of time.

The supervisor writes it, and sends it from its beginning to whoever follows the lab: nothing is kept in memory.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Final

LINE_LIMIT: Final = 16 * 1024
"""Bytes; longer lines are cut, as by Docker."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line that a node printed or, with ``text`` None, one change of its state."""

    node: str
    time: float
    """Seconds on this machine's monotonic clock."""
    text: str | None
    status: str = ""
    exit_code: int | None = None

    def encode(self) -> bytes:
        """Return the entry as a line of the journal."""
        if self.text is not None:
            fields: dict[str, object] = {"n": self.node, "t": self.time, "l": self.text}
        else:
            fields = {"n": self.node, "t": self.time, "s": self.status, "c": self.exit_code}
        return json.dumps(fields).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> JournalEntry:
        """Return the entry of a line. Raises ValueError, KeyError."""
        fields = json.loads(line)
        return cls(fields["n"], fields["t"], fields.get("l"), fields.get("s", ""), fields.get("c"))


class OutputJournal:
    """The journal's file."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.size = os.fstat(self._file).st_size

    def append(self, entries: list[JournalEntry]) -> None:
        """Append entries."""
        data = b"".join(entry.encode() for entry in entries)
        while data:
            written = os.write(self._file, data)
            self.size += written
            data = data[written:]

    def read(self, offset: int, most: int) -> bytes:
        """Return at most ``most`` bytes from an offset; none at the end."""
        return os.pread(self._file, most, offset)


class OutputLineSplitter:
    """Splits a program's output into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that ``data`` completes."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [piece for line in whole for piece in _pieces(line)]
        while len(self._rest) > LINE_LIMIT:
            lines.append(self._rest[:LINE_LIMIT])
            self._rest = self._rest[LINE_LIMIT:]
        return [_text(line) for line in lines]

    def end(self) -> list[str]:
        """Return the last line, if the output did not end with a newline."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _pieces(line: bytes) -> list[bytes]:
    return [line[at : at + LINE_LIMIT] for at in range(0, len(line), LINE_LIMIT)] or [b""]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")
