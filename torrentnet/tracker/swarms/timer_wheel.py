"""Which of very many peers have been silent for too long, without looking at all of them, and in a few bytes each.

Deadlines that are far off wait in buckets, lists of row numbers; when the time of a bucket comes, its rows are looked
at. Those that were heard of meanwhile go on to a later bucket, the others into a heap that knows the very moment.
Hearing of somebody costs nothing here. :mod:`~torrentnet.tracker.swarms.expiry_queue` does the same for few, and
simply.
"""

from __future__ import annotations

import heapq
import math
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NOT_SCHEDULED, _IN_HEAP = 0, 1
"""What ``where`` says of a row that nobody waits for, and of one in the heap; buckets are numbered from 2 on."""
_FIRST_BUCKET = 2
_SLACK = 64


class TimerWheel:
    """Buckets of ``width`` seconds. ``due(row)`` gives the moment (seconds, not negative) at which a row is late *now*.

    ``where`` is the caller's column in which the watch notes for each row where it waits; a row that is freed and used
    again may still stand in an old bucket, and this is how the watch knows.
    """

    def __init__(self, width: float, where: array[int], due: Callable[[int], float]) -> None:
        self._width = width
        self._where = where
        self._due = due
        self._buckets: dict[int, array[int]] = {}
        self._numbers: list[int] = []
        self._at_hand: list[tuple[float, int]] = []
        self._live = 0
        self._stale = 0

    @property
    def next(self) -> float:
        """When to look again: nobody is late before; infinity when nobody is watched."""
        exact = self._at_hand[0][0] if self._at_hand else math.inf
        return min(exact, (self._numbers[0] - _FIRST_BUCKET) * self._width) if self._numbers else exact

    def __len__(self) -> int:
        """How many entries there are, of rows that are watched and of others."""
        return len(self._at_hand) + sum(map(len, self._buckets.values()))

    def add(self, row: int) -> None:
        """Watch ``row`` from now on, or learn that its deadline is nearer than it was."""
        number = self._bucket(self._due(row))
        before = self._where[row]
        if before == number:
            return
        if before == _NOT_SCHEDULED:
            self._live += 1
        else:
            self._stale += 1
        self._put(row, number)

    def remove(self, row: int) -> None:
        """``row`` is of no interest any more; nothing happens when it was not."""
        if self._where[row] == _NOT_SCHEDULED:
            return
        self._stale += 1
        self._let_go(row)
        if self._stale > self._live + _SLACK:
            self._sweep()

    def late(self, now: float) -> Iterator[int]:
        """The rows whose deadline has come; they are watched no longer."""
        self._open_buckets(now)
        while self._at_hand and self._at_hand[0][0] <= now:
            _, row = heapq.heappop(self._at_hand)
            if self._where[row] != _IN_HEAP:
                self._stale -= 1
                continue
            due = self._due(row)
            if due > now:
                self._put(row, self._bucket(due))
                self._open_buckets(now)
            else:
                self._let_go(row)
                yield row

    def _let_go(self, row: int) -> None:
        self._where[row] = _NOT_SCHEDULED
        self._live -= 1
        if not self._live:
            self._buckets.clear()
            self._numbers.clear()
            self._at_hand.clear()
            self._stale = 0

    def _bucket(self, due: float) -> int:
        return int(due / self._width) + _FIRST_BUCKET

    def _put(self, row: int, number: int) -> None:
        self._where[row] = number
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = array("I")
            heapq.heappush(self._numbers, number)
        bucket.append(row)

    def _open_buckets(self, now: float) -> None:
        while self._numbers and (self._numbers[0] - _FIRST_BUCKET) * self._width <= now:
            number = heapq.heappop(self._numbers)
            for row in self._buckets.pop(number):
                if self._where[row] != number:
                    self._stale -= 1
                    continue
                due = self._due(row)
                later = self._bucket(due)
                if later > number:
                    self._put(row, later)
                else:
                    self._where[row] = _IN_HEAP
                    heapq.heappush(self._at_hand, (due, row))

    def _sweep(self) -> None:
        """Let go of the entries of rows that are gone."""
        where = self._where
        for number, rows in list(self._buckets.items()):
            kept = array("I", dict.fromkeys(row for row in rows if where[row] == number))
            if kept:
                self._buckets[number] = kept
            else:
                del self._buckets[number]
        self._numbers = sorted(self._buckets)
        self._at_hand = [entry for entry in self._at_hand if where[entry[1]] == _IN_HEAP]
        heapq.heapify(self._at_hand)
        self._stale = max(0, len(self) - self._live)
