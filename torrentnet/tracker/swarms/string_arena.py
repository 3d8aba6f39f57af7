"""Short texts of very many rows in one buffer: a Python text takes fifty bytes besides its own."""

from __future__ import annotations

from array import array
from typing import Final

MAX_STRING_SIZE: Final = 255
"""Bytes of UTF-8 that a text may have."""
_ALIGNMENT: Final = 4


class StringArena:
    """Row numbers and a text for each of some of them. The place of one that is gone is used again."""

    __slots__ = ("_at", "_buffer", "_free")

    def __init__(self) -> None:
        self._at = array("I")
        # The first place is nobody's, because 0 means that a row has no text.
        self._buffer = bytearray(_ALIGNMENT)
        self._free: dict[int, array[int]] = {}

    def __getitem__(self, row: int) -> str | None:
        """The text of a row, None when it has none."""
        at = self._at[row] * _ALIGNMENT if row < len(self._at) else 0
        return self._buffer[at + 1 : at + 1 + self._buffer[at]].decode("utf-8") if at else None

    def __setitem__(self, row: int, text: str) -> None:
        """Note the text of a row that has none. Raises ValueError when it is too long."""
        raw = text.encode("utf-8")
        size = len(raw)
        if size > MAX_STRING_SIZE:
            raise ValueError(f"a text of {size} bytes, at most {MAX_STRING_SIZE} are kept")
        room = size // _ALIGNMENT + 1
        free = self._free.get(room)
        if free:
            place = free.pop()
        else:
            place = len(self._buffer) // _ALIGNMENT
            self._buffer += bytes(room * _ALIGNMENT)
        start = place * _ALIGNMENT
        self._buffer[start : start + 1 + size] = bytes((size,)) + raw
        if row >= len(self._at):
            self._at.extend([0] * (row + 1 - len(self._at)))
        self._at[row] = place

    def __delitem__(self, row: int) -> None:
        """Let the text of a row go; nothing happens when it has none."""
        if row >= len(self._at) or not self._at[row]:
            return
        place = self._at[row]
        self._at[row] = 0
        room = self._buffer[place * _ALIGNMENT] // _ALIGNMENT + 1
        self._free.setdefault(room, array("I")).append(place)
