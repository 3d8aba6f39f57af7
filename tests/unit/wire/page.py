"""Parser of docs/protocol.md.

It reads the page's layout tables with their example values, and its hex dumps.
"""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import NamedTuple, TypeAlias

PAGE = Path(__file__).resolve().parents[3] / "docs" / "protocol.md"

Value: TypeAlias = "int | str | bytes"
"""What an example cell states: a number, a text (an IPv4 address too), or bytes."""

_HEADING = re.compile(r"^#{2,4} (.+)$")
_TOKEN = re.compile(r"`([^`]+)`")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_COLUMNS = ("offset", "size", "field", "meaning", "example")


class Row(NamedTuple):
    """A row of a layout table."""

    offset: str
    size: str
    field: str
    tokens: tuple[str, ...]

    @property
    def value(self) -> Value:
        """The stated value; several tokens are joined as bytes."""
        if len(self.tokens) == 1:
            return _value(self.tokens[0])
        return b"".join(_raw(token, None) for token in self.tokens)

    @property
    def raw(self) -> bytes:
        """The bytes of the stated value in the packet."""
        size = int(self.size) if self.size.isdigit() else None
        return b"".join(_raw(token, size) for token in self.tokens)


class Example(NamedTuple):
    """One packet of the page."""

    title: str
    rows: tuple[Row, ...]
    dump: str

    @property
    def packet(self) -> bytes:
        """The bytes of the hex dump."""
        return bytes.fromhex("".join(line[6:55] for line in self.dump.splitlines()))

    def value(self, field: str) -> Value:
        """The value that the page states for ``field``."""
        return next(row.value for row in self.rows if row.field == field)

    def has(self, field: str) -> bool:
        """Whether the packet has ``field``."""
        return any(row.field == field for row in self.rows)

    def number(self, field: str) -> int:
        """A number that the page states."""
        value = self.value(field)
        assert isinstance(value, int), f"{self.title}: {field} is no number"
        return value

    def text(self, field: str) -> str:
        """A text or an address that the page states."""
        value = self.value(field)
        assert isinstance(value, str), f"{self.title}: {field} is no text"
        return value

    def octets(self, field: str) -> bytes:
        """Bytes that the page states, as a text or in hex."""
        value = self.value(field)
        return value.encode("utf-8") if isinstance(value, str) else _bytes(value)


def hex_dump(data: bytes) -> str:
    """Return a hex dump: offset, 16 bytes, and their printable characters."""
    lines = []
    for start in range(0, len(data), 16):
        part = data[start : start + 16]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        lines.append(f"{start:04x}  {part.hex(' '):<47}  {text}")
    return "\n".join(lines)


def examples() -> list[Example]:
    """Yield every packet of the page: a heading, a layout table and a hex dump."""
    found: list[Example] = []
    title = ""
    rows: list[Row] = []
    dump: list[str] | None = None
    in_layout = False
    for line in PAGE.read_text("utf-8").splitlines():
        if dump is not None:
            if line == "```":
                found.append(Example(title, tuple(rows), "\n".join(dump)))
                dump, rows = None, []
            else:
                dump.append(line)
        elif line == "```hexdump":
            dump = []
        elif heading := _HEADING.match(line):
            assert not rows, f"{title}: a layout without a hex dump"
            title = heading[1]
        else:
            cells = table_cells(line)
            if tuple(cells) == _COLUMNS:
                in_layout = True
            elif not cells:
                in_layout = False
            elif in_layout and not set(cells[0]) <= set("-: "):
                rows.append(Row(cells[0], cells[1], cells[2], tuple(_TOKEN.findall(cells[4]))))
    return found


def table_cells(line: str) -> list[str]:
    """Return the cells of a Markdown table's line; none for any other line."""
    if not line.startswith("|"):
        return []
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def table_below(heading: str) -> list[list[str]]:
    """Return the rows of the first table below ``heading``, without its head."""
    lines = PAGE.read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.lstrip("# ") == heading and line.startswith("#"))
    rows: list[list[str]] = []
    for line in lines[start + 1 :]:
        if line.startswith("|"):
            rows.append(table_cells(line))
        elif rows or line.startswith("#"):
            break
    return rows[2:]


def _value(token: str) -> Value:
    if token.startswith('"'):
        return str(json.loads(token))
    if token.startswith("hex ") or re.fullmatch(r"[0-9a-f]{40}", token):
        return bytes.fromhex(token.removeprefix("hex "))
    if _ADDRESS.fullmatch(token):
        return token
    return int(token, 0)


def _raw(token: str, size: int | None) -> bytes:
    value = _value(token)
    if isinstance(value, str):
        return socket.inet_aton(value) if _ADDRESS.fullmatch(token) else value.encode("utf-8")
    if isinstance(value, int):
        assert size is not None, f"the size of {token} is not stated"
        return value.to_bytes(size, "big", signed=value < 0)
    return value


def _bytes(value: Value) -> bytes:
    assert isinstance(value, bytes), f"{value!r} is no text and no bytes"
    return value
