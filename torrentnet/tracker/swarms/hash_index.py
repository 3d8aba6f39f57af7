"""Which of very many rows have some value, in eight bytes a row: a dictionary would take a hundred."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_EQUAL_HASHES: Final = 8
"""Nobody who gives many rows one value makes everything slow."""
_FIRST_SIZE: Final = 4


class HashIndex:
    """Rows by the hash of a value that the caller keeps; ``hash_of(row)`` is that of the row's.

    ``after`` is a column that is the caller's too, as long as the highest row in any finder; a row is in one at most.
    Of rows with one and the same hash the first :data:`MAX_EQUAL_HASHES` are known, the others are not found. The
    rows of a
    bucket are chained through the column. There are as many buckets as rows or more, and they become more one by
    one (linear hashing: W. Litwin, VLDB 1980), so that no row's coming takes longer for there being many.
    """

    __slots__ = ("_after", "_count", "_first", "_hash_of", "_size", "_split")

    def __init__(self, after: array[int], hash_of: Callable[[int], int]) -> None:
        self._after = after
        self._hash_of = hash_of
        # Row numbers plus one: 0 is nobody.
        self._first = array("I", [0] * _FIRST_SIZE)
        self._size = _FIRST_SIZE
        self._split = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def rows(self, value: int) -> Sequence[int]:
        """The rows whose value may have the hash ``value``: all that have it, and some others."""
        size = self._size
        bucket = value & (size - 1)
        link = self._first[value & (2 * size - 1) if bucket < self._split else bucket]
        if not link:
            return ()
        row = link - 1
        link = self._after[row]
        if not link:
            return (row,)
        found = [row]
        while link:
            row = link - 1
            found.append(row)
            link = self._after[row]
        return found

    def add(self, row: int) -> None:
        """Take in a row that is in no finder."""
        after = self._after
        if row >= len(after):
            after.extend([0] * (row + 1 - len(after)))
        value = self._hash_of(row)
        if sum(self._hash_of(other) == value for other in self.rows(value)) >= MAX_EQUAL_HASHES:
            return
        self._put(row, self._bucket(value))
        self._count += 1
        if self._count > len(self._first):
            self._grow()

    def remove(self, row: int) -> None:
        """Let go of a row whose value is the same as when it came; nothing happens when it is not in it."""
        after = self._after
        bucket = self._bucket(self._hash_of(row))
        link = self._first[bucket]
        before = 0
        while link and link != row + 1:
            before, link = link, after[link - 1]
        if not link:
            return
        if before:
            after[before - 1] = after[row]
        else:
            self._first[bucket] = after[row]
        self._count -= 1

    def _bucket(self, value: int) -> int:
        bucket = value & (self._size - 1)
        return value & (2 * self._size - 1) if bucket < self._split else bucket

    def _put(self, row: int, bucket: int) -> None:
        self._after[row] = self._first[bucket]
        self._first[bucket] = row + 1

    def _grow(self) -> None:
        """One bucket more: the next one in turn is divided into two."""
        link = self._first[self._split]
        self._first[self._split] = 0
        self._first.append(0)
        self._split += 1
        while link:
            row, link = link - 1, self._after[link - 1]
            self._put(row, self._bucket(self._hash_of(row)))
        if self._split == self._size:
            self._size *= 2
            self._split = 0
