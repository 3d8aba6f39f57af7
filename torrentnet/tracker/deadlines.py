"""Who has been silent for too long, without looking at everybody."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
_SLACK = 64


class Deadlines(Generic[T]):
    """A heap of deadlines that move on without the heap being told.

    ``due(item)`` gives the moment (seconds) at which ``item`` is late *now*, or None when it is no longer of interest.
    Hearing of somebody costs nothing here: a stale entry is put right when it comes up, once in a time-out at most.
    A deadline that comes *nearer* must be told by another :meth:`add`.
    """

    def __init__(self, due: Callable[[T], float | None]) -> None:
        self._due = due
        self._heap: list[tuple[float, int, T]] = []
        self._serial = 0
        self._dead = 0

    @property
    def next(self) -> float:
        """When to look again: no item is late before; infinity when there is none."""
        return self._heap[0][0] if self._heap else math.inf

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, item: T) -> None:
        """Watch ``item`` from now on, or learn that its deadline is nearer than it was."""
        due = self._due(item)
        if due is not None:
            self._push(due, item)

    def discard(self) -> None:
        """Some item has become of no interest. Its entry goes when it comes up, or when half of the heap is such."""
        self._dead += 1
        if self._dead > len(self._heap) // 2 + _SLACK:
            entries = [entry for entry in self._heap if self._due(entry[2]) is not None]
            heapq.heapify(entries)
            self._heap, self._dead = entries, 0

    def late(self, now: float) -> Iterator[T]:
        """Those whose deadline has come, each once; the caller lets go of each, with :meth:`discard`."""
        while self._heap and self._heap[0][0] <= now:
            _, _, item = heapq.heappop(self._heap)
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
