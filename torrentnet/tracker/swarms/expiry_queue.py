"""Who has been silent for too long, without looking at everybody."""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
_SLACK = 64


class ExpiryQueue(Generic[T]):
    """A queue of deadlines that move on without the queue being told.

    ``due(item)`` gives the moment (seconds) at which ``item`` is late *now*, or None when it is no longer of interest.
    Hearing of somebody costs nothing here: a stale entry is put right when it comes up, once in a time-out at most.
    A deadline that comes *nearer* must be told by another :meth:`add`.
    """

    def __init__(self, due: Callable[[T], float | None]) -> None:
        self._due = due
        # Most have the same time-out, so they become due in the order of their coming; the heap has the others.
        self._in_order: deque[tuple[float, T]] = deque()
        self._heap: list[tuple[float, int, T]] = []
        self._serial = 0
        self._dead = 0

    @property
    def next(self) -> float:
        """When to look again: no item is late before; infinity when there is none."""
        first = self._in_order[0][0] if self._in_order else math.inf
        return min(first, self._heap[0][0]) if self._heap else first

    def __len__(self) -> int:
        return len(self._in_order) + len(self._heap)

    def add(self, item: T, due: float) -> None:
        """Watch ``item`` from now on, whose deadline is ``due``, or learn that it is nearer than it was."""
        in_order = self._in_order
        if not in_order or in_order[-1][0] <= due:
            in_order.append((due, item))
        else:
            self._push(due, item)

    def discard(self) -> None:
        """Some item has become of no interest. Its entry goes when it comes up, or when half of all are such."""
        self._dead += 1
        if self._dead <= _SLACK:
            return
        in_order, due = self._in_order, self._due
        while in_order and due(in_order[0][1]) is None:
            in_order.popleft()
            self._dead -= 1
        if self._dead > len(self) // 2 + _SLACK:
            self._in_order = deque(entry for entry in in_order if due(entry[1]) is not None)
            self._heap = [entry for entry in self._heap if due(entry[2]) is not None]
            heapq.heapify(self._heap)
            self._dead = 0

    def late(self, now: float) -> Iterator[T]:
        """Those whose deadline has come, each once; the caller lets go of each, with :meth:`discard`."""
        while self.next <= now:
            if self._in_order and self._in_order[0][0] == self.next:
                item = self._in_order.popleft()[1]
            else:
                item = heapq.heappop(self._heap)[2]
            due = self._due(item)
            if due is None:
                self._dead -= 1
            elif due > now:
                self._push(due, item)
            else:
                self._dead -= 1
                yield item

    def _push(self, due: float, item: T) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (due, self._serial, item))
