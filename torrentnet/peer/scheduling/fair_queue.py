"""Without choking, send next to the writable connections that were sent least.

Otherwise the connection that starts first gets far ahead, because it is served alone for a moment. The kernel reports
writable connections one by one. So when there are many, they are collected for a moment; meanwhile every receiver has
enough to read in its kernel.
"""

from __future__ import annotations

from typing import Final, Generic, Protocol, TypeVar

CROWD_SIZE: Final = 8
"""Number of connections from which on the writable connections are collected."""
COALESCE_PER_CONNECTION: Final = 0.0004
MAX_COALESCE: Final = 0.05
"""Seconds of collecting per connection, and in all. If doubled, fast leechers run dry; if halved, too few connections
are collected to choose from."""
MAX_WAIT: Final = 0.5
"""Seconds after which a waiting connection is served, however much it was sent."""


class Receiver(Protocol):
    """A connection that data is sent to."""

    @property
    def bytes_sent(self) -> int:
        """Bytes sent so far."""


T = TypeVar("T", bound=Receiver)


class FairQueue(Generic[T]):
    """The writable connections; :meth:`take` removes those that it returns."""

    def __init__(self) -> None:
        self._since: dict[T, float] = {}
        self._at = 0.0

    def __contains__(self, receiver: T) -> bool:
        return receiver in self._since

    def add(self, receiver: T, connections: int, now: float) -> None:
        """Add a writable connection; ``connections`` is the number of all connections."""
        if not self._since:
            self._at = now + coalesce_delay(connections)
        self._since.setdefault(receiver, now)

    def forget(self, receiver: T) -> None:
        """Remove a closed connection."""
        self._since.pop(receiver, None)

    def due(self) -> float | None:
        """Return when to call :meth:`take` next; None while the queue is empty."""
        return self._at if self._since else None

    def take(self, connections: int, now: float) -> list[T]:
        """Remove and return the half that was sent least.

        Connections that have waited too long follow.
        """
        if not self._since or now < self._at:
            return []
        ready = sorted(self._since, key=lambda receiver: receiver.bytes_sent)
        half = (len(ready) + 1) // 2
        chosen = ready[:half] + [receiver for receiver in ready[half:] if now - self._since[receiver] >= MAX_WAIT]
        for receiver in chosen:
            del self._since[receiver]
        self._at = now + coalesce_delay(connections)
        return chosen

    def take_all(self) -> list[T]:
        """Remove and return all connections, in the order in which they were added."""
        receivers = list(self._since)
        self._since.clear()
        return receivers


def coalesce_delay(connections: int) -> float:
    """Return the seconds for which writable connections are collected."""
    return min(COALESCE_PER_CONNECTION * connections, MAX_COALESCE) if connections >= CROWD_SIZE else 0.0
