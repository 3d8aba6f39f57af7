"""Who is sent to next among those who can take something, where no turns are taken: whoever had least so far.

The one who begins first gets far ahead otherwise, because it is served alone for a moment, and with a fast uplink a
moment is much. A connection that can take something is known by the kernel's word, and those words come one by one; so
where there are many connections, they are gathered for a moment, in which all have enough to read of what waits for
them in the kernel already.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

CROWD_SIZE = 8
"""Connections from which on it is gathered."""
COALESCE_PER_CONNECTION, MAX_COALESCE = 0.0004, 0.05
"""Seconds for each connection, and at most. Twice as long, and fast leechers run dry; half as long, and nobody is there
to choose among."""
MAX_WAIT = 0.5
"""Seconds after which someone gets its turn, however much it had."""


class Receiver(Protocol):
    """Somebody who is sent to."""

    @property
    def bytes_sent(self) -> int:
        """Bytes that it was sent so far."""


T = TypeVar("T", bound=Receiver)


class FairQueue(Generic[T]):
    """Those who can take something. Whoever is handed out by :meth:`take` is forgotten until it is added again."""

    def __init__(self) -> None:
        self._since: dict[T, float] = {}
        self._at = 0.0

    def __contains__(self, one: T) -> bool:
        return one in self._since

    def add(self, one: T, among: int, now: float) -> None:
        """It can take something; ``among`` is how many connections there are."""
        if not self._since:
            self._at = now + coalesce_delay(among)
        self._since.setdefault(one, now)

    def forget(self, one: T) -> None:
        """It is closed."""
        self._since.pop(one, None)

    def due(self) -> float | None:
        """When :meth:`take` has somebody to hand out; None when there is nobody."""
        return self._at if self._since else None

    def take(self, among: int, now: float) -> list[T]:
        """Who is to be served now, the poorest first: the poorer half, and whoever has waited for long."""
        if not self._since or now < self._at:
            return []
        ready = sorted(self._since, key=lambda one: one.bytes_sent)
        half = (len(ready) + 1) // 2
        chosen = ready[:half] + [one for one in ready[half:] if now - self._since[one] >= MAX_WAIT]
        for one in chosen:
            del self._since[one]
        self._at = now + coalesce_delay(among)
        return chosen

    def take_all(self) -> list[T]:
        """Everybody, in the order in which they were added."""
        everybody = list(self._since)
        self._since.clear()
        return everybody


def coalesce_delay(among: int) -> float:
    """Seconds for which those who can take something are gathered among so many connections."""
    return min(COALESCE_PER_CONNECTION * among, MAX_COALESCE) if among >= CROWD_SIZE else 0.0
