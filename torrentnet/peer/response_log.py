"""The peer's log of every response that it gets for its download."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_ENTRIES: Final = 20_000
"""Entries that are kept in memory; older entries are dropped and counted."""


@dataclass(frozen=True, slots=True)
class ResponseEntry:
    """One response, or one decision that followed from it."""

    time: float
    """Seconds since the epoch."""
    source: str
    """The sender: ``tracker``, a peer's name, or ``disk``."""
    what: str
    """The response, for instance ``piece 4`` or ``picked among 3``."""
    size: int | None = None
    """Bytes of the response's data."""
    elapsed: float | None = None
    """Seconds from request to response."""
    verdict: str = ""
    """``verified`` here, or only ``claimed`` by the sender, or what failed."""


class ResponseLog:
    """The newest entries, written by the loop and read from other threads."""

    def __init__(self, wall_time: Callable[[], float], limit: int = MAX_ENTRIES) -> None:
        self._wall_time = wall_time
        self._entries: deque[ResponseEntry] = deque(maxlen=limit)
        self.dropped = 0

    def add(
        self, source: str, what: str, *, size: int | None = None, elapsed: float | None = None, verdict: str = ""
    ) -> None:
        """Add a response that was received just now."""
        if len(self._entries) == self._entries.maxlen:
            self.dropped += 1
        self._entries.append(ResponseEntry(self._wall_time(), source, what, size, elapsed, verdict))

    def entries(self, last: int | None = None) -> Iterator[ResponseEntry]:
        """Return the entries, oldest first; with ``last``, only the newest ``last``."""
        # A copy, because the loop adds entries while another thread reads.
        kept = list(self._entries)
        return iter(kept[-last:] if last else kept)
