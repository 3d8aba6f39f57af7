"""The journal of what a lab's nodes printed and how their states changed.

Each node has files of its own, with one JSON object a line, in order of time. The newest bytes are kept: a node that
prints without end fills no disk, and removes no line of another node. Entries are numbered, so that a reader notices
which ones were removed before it could read them.

The supervisor writes the journal, and sends it to whoever follows the lab, in order of time.
"""

from __future__ import annotations

import heapq
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LINE_LIMIT: Final = 16 * 1024
"""Bytes; longer lines are cut, as by Docker."""
READ_SIZE: Final = 32 * 1024
TIME_AT: Final = len('{"t": ')


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line that a node printed or, with ``text`` None, one change of its state."""

    node: str
    time: float
    """Seconds on this machine's monotonic clock."""
    text: str | None
    status: str = ""
    exit_code: int | None = None
    number: int = 0
    """The node's entries are numbered from 1."""

    def encode(self, number: int) -> bytes:
        """Return the entry, with its number, as a line of the journal."""
        if self.text is not None:
            fields: dict[str, object] = {"l": self.text}
        else:
            fields = {"s": self.status, "c": self.exit_code}
        # The time first: see `_time_of`.
        fields = {"t": self.time, "n": self.node, "i": number, **fields}
        return json.dumps(fields).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> JournalEntry:
        """Return the entry of a line. Raises ValueError, KeyError."""
        fields = json.loads(line)
        status, code = fields.get("s", ""), fields.get("c")
        return cls(fields["n"], fields["t"], fields.get("l"), status, code, fields["i"])


class OutputJournal:
    """The journal of all nodes."""

    def __init__(self, directory: str, limits: Mapping[str, int]) -> None:
        """Keep the newest bytes of each node in files of this directory.

        ``limits`` is their number, by node. Raises OSError.
        """
        Path(directory).mkdir(mode=0o700, exist_ok=True)
        self._nodes = {node: _NodeJournal(Path(directory, node), limit) for node, limit in limits.items()}

    def append(self, node: str, entries: list[JournalEntry]) -> None:
        """Append a node's entries. Raises OSError."""
        self._nodes[node].append(entries)

    def numbers(self) -> dict[str, int]:
        """Return the number of each node's last entry; 0 where it has none."""
        return {name: node.count for name, node in self._nodes.items()}

    def reader(self) -> JournalReader:
        """Return a reader that begins with the oldest entry."""
        return JournalReader(self._nodes)


class _NodeJournal:
    """One node's entries: the file that grows and, as ``<path>.1``, the one before it.

    Offsets count from the node's first entry. No file stays open: a lab may have many nodes.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._most = limit // 2
        self._before = Path(f"{path}.1")
        self._begin = 0
        """The offset at which the growing file begins."""
        self.oldest = 0
        """The offset of the oldest entry that is kept."""
        self.end = 0
        self.count = 0

    def append(self, entries: list[JournalEntry]) -> None:
        data = b"".join(entry.encode(number) for number, entry in enumerate(entries, self.count + 1))
        if self.end > self._begin and self.end + len(data) - self._begin > self._most:
            self._path.replace(self._before)
            self.oldest, self._begin = self._begin, self.end
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            rest = data
            while rest:
                rest = rest[os.write(file, rest) :]
        finally:
            os.close(file)
        self.end += len(data)
        self.count += len(entries)

    def read(self, offset: int, most: int) -> bytes:
        """Return at most ``most`` bytes from an offset that is kept."""
        path, begin = (self._path, self._begin) if offset >= self._begin else (self._before, self.oldest)
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(file, most, offset - begin)
        finally:
            os.close(file)


class JournalReader:
    """Reads the journal once, in order of time; new entries follow."""

    def __init__(self, nodes: Mapping[str, _NodeJournal]) -> None:
        self._nodes = nodes
        self._offsets = dict.fromkeys(nodes, 0)
        self._lines: Iterator[bytes] = iter(())
        self._held = b""

    def read(self, most: int) -> bytes:
        """Return the next entries; none at the end.

        They have ``most`` bytes, unless one entry alone is longer.
        """
        data = b""
        while len(data) < most:
            line, self._held = self._held or next(self._lines, b""), b""
            if line and data and len(data) + len(line) > most:
                self._held = line
                break
            if not line:
                behind = [name for name, node in self._nodes.items() if self._offsets[name] < node.end]
                if not behind:
                    break
                self._lines = heapq.merge(*(self._lines_of(name) for name in behind), key=_time_of)
            data += line
        return data

    def _lines_of(self, name: str) -> Iterator[bytes]:
        node = self._nodes[name]
        most = READ_SIZE
        while self._offsets[name] < node.end:
            # What was removed before it could be read is missed.
            offset = max(self._offsets[name], node.oldest)
            data = node.read(offset, most)
            whole = data.rfind(b"\n") + 1
            if not whole:
                most *= 2
                continue
            self._offsets[name] = offset + whole
            yield from data[:whole].splitlines(keepends=True)


def _time_of(line: bytes) -> float:
    return float(line[TIME_AT : line.index(b",")])


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
