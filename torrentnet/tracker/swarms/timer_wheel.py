"""A timer wheel: find expired rows among very many, in a few bytes per row.

Rows with distant deadlines are in buckets. When the time of a bucket has come, each of its rows is moved: to a later
bucket if its deadline has been postponed, else to a heap of exact deadlines. Postponing a deadline costs nothing.
"""

from __future__ import annotations

import heapq
import math
from array import array
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NOT_SCHEDULED: Final = 0
_IN_HEAP: Final = 1
_FIRST_BUCKET: Final = 2
"""Lowest number of a bucket. The two constants above stand for a row without a bucket."""
_SLACK: Final = 64


class TimerWheel:
    """A timer wheel with buckets of ``width`` seconds.

    ``deadline(row)`` returns the current deadline of a row, in seconds and not negative. ``bucket_of`` is a column of
    the caller in which the wheel stores the bucket of each row. The entry of a cancelled row stays in its bucket until
    later; it is stale, which this column shows.
    """

    def __init__(self, width: float, bucket_of: array[int], deadline: Callable[[int], float]) -> None:
        self._width = width
        self._bucket_of = bucket_of
        self._deadline = deadline
        self._buckets: dict[int, array[int]] = {}
        self._numbers: list[int] = []
        self._heap: list[tuple[float, int]] = []
        self._scheduled = 0
        self._stale = 0

    @property
    def next_deadline(self) -> float:
        """Lower bound of all deadlines; infinity when no row is scheduled."""
        exact = self._heap[0][0] if self._heap else math.inf
        return min(exact, (self._numbers[0] - _FIRST_BUCKET) * self._width) if self._numbers else exact

    def __len__(self) -> int:
        """Return the number of entries, stale ones included."""
        return len(self._heap) + sum(map(len, self._buckets.values()))

    def schedule(self, row: int) -> None:
        """Schedule a row, or reschedule it because its deadline is earlier than before."""
        number = self._bucket(self._deadline(row))
        before = self._bucket_of[row]
        if before == number:
            return
        if before == _NOT_SCHEDULED:
            self._scheduled += 1
        else:
            self._stale += 1
        self._put(row, number)

    def cancel(self, row: int) -> None:
        """Cancel the deadline of a row, if it has one."""
        if self._bucket_of[row] == _NOT_SCHEDULED:
            return
        self._stale += 1
        self._forget(row)
        if self._stale > self._scheduled + _SLACK:
            self._drop_stale()

    def expire(self, now: float) -> Iterator[int]:
        """Yield the rows whose deadline has passed; they are no longer scheduled."""
        self._open_buckets(now)
        while self._heap and self._heap[0][0] <= now:
            _, row = heapq.heappop(self._heap)
            if self._bucket_of[row] != _IN_HEAP:
                self._stale -= 1
                continue
            deadline = self._deadline(row)
            if deadline > now:
                self._put(row, self._bucket(deadline))
                self._open_buckets(now)
            else:
                self._forget(row)
                yield row

    def _forget(self, row: int) -> None:
        self._bucket_of[row] = _NOT_SCHEDULED
        self._scheduled -= 1
        if not self._scheduled:
            self._buckets.clear()
            self._numbers.clear()
            self._heap.clear()
            self._stale = 0

    def _bucket(self, deadline: float) -> int:
        return int(deadline / self._width) + _FIRST_BUCKET

    def _put(self, row: int, number: int) -> None:
        self._bucket_of[row] = number
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = array("I")
            heapq.heappush(self._numbers, number)
        bucket.append(row)

    def _open_buckets(self, now: float) -> None:
        while self._numbers and (self._numbers[0] - _FIRST_BUCKET) * self._width <= now:
            number = heapq.heappop(self._numbers)
            for row in self._buckets.pop(number):
                if self._bucket_of[row] != number:
                    self._stale -= 1
                    continue
                deadline = self._deadline(row)
                later = self._bucket(deadline)
                if later > number:
                    self._put(row, later)
                else:
                    self._bucket_of[row] = _IN_HEAP
                    heapq.heappush(self._heap, (deadline, row))

    def _drop_stale(self) -> None:
        bucket_of = self._bucket_of
        for number, rows in list(self._buckets.items()):
            kept = array("I", dict.fromkeys(row for row in rows if bucket_of[row] == number))
            if kept:
                self._buckets[number] = kept
            else:
                del self._buckets[number]
        self._numbers = sorted(self._buckets)
        self._heap = [entry for entry in self._heap if bucket_of[entry[1]] == _IN_HEAP]
        heapq.heapify(self._heap)
        self._stale = max(0, len(self) - self._scheduled)
