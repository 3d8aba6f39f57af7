"""A peer's own log: every response it received on the way to its pieces."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_ENTRIES = 20_000
"""Entries that are kept in memory; older ones are counted and dropped."""


@dataclass(frozen=True, slots=True)
class ResponseEntry:
    """One response, or one decision that followed from it."""

    time: float
    """Seconds since the epoch."""
    source: str
    """Who it came from: ``tracker``, or a peer's name."""
    what: str
    """What came: ``myfile.txt: 8 MiB, 3 peers have it``, ``piece 4``, ``picked among 3``."""
    size: int | None = None
    """Bytes of a piece."""
    elapsed: float | None = None
    """Seconds from request to response."""
    verdict: str = ""
    """``verified``, ``thrown away``, or the failure's reason."""


class ResponseLog:
    """The last entries, bounded. Written by the peer's loop, read by its console from another thread."""

    def __init__(self, wall_clock: Callable[[], float], limit: int = MAX_ENTRIES) -> None:
        self._clock = wall_clock
        self._entries: deque[ResponseEntry] = deque(maxlen=limit)
        self.dropped = 0

    def add(
        self, source: str, what: str, *, size: int | None = None, elapsed: float | None = None, verdict: str = ""
    ) -> None:
        """Note a response that came just now."""
        if len(self._entries) == self._entries.maxlen:
            self.dropped += 1
        self._entries.append(ResponseEntry(self._clock(), source, what, size, elapsed, verdict))

    def entries(self, last: int | None = None) -> Iterator[ResponseEntry]:
        """The entries, oldest first; only the newest ``last`` where that is given."""
        # A copy: the loop goes on writing while somebody reads at the pace of a terminal.
        kept = list(self._entries)
        return iter(kept[-last:] if last else kept)
