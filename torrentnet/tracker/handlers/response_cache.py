"""Answers that were given, for requests that arrive twice."""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

RequestKey: TypeAlias = tuple[tuple[str, int], bytes]
"""Source address, and the datagram without its connection id: what makes two datagrams one request."""

K = TypeVar("K", bound=tuple[object, bytes])
T = TypeVar("T")
_ID_SIZE = 8


def request_key(data: bytes, source: tuple[str, int]) -> RequestKey:
    """The same for a datagram and its retransmissions, which may carry a newer connection id (BEP 15, "Time outs")."""
    return source, data[_ID_SIZE:]


class ResponseCache(Generic[K, T]):
    """The last answers: at most ``most``, ``most_bytes`` with their requests, none older than ``lifetime`` seconds.

    ``K`` is what makes two datagrams one request, the datagram last. ``T`` is an answer, or what makes it again.
    """

    def __init__(self, most: int, most_bytes: int, lifetime: float) -> None:
        self._lifetime = lifetime
        # Two halves: when the younger one is full, the older one goes as a whole.
        self._most = max(1, most // 2)
        self._most_bytes = most_bytes // 2
        self._young: dict[K, tuple[float, T]] = {}
        self._old: dict[K, tuple[float, T]] = {}
        self._bytes = 0
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, key: K, now: float) -> T | None:
        """The answer that this very request has had, if it is remembered."""
        kept = self._young.get(key) or self._old.get(key)
        return kept[1] if kept is not None and now - kept[0] < self._lifetime else None

    def keep(self, key: K, answer: T, size: int, now: float) -> T:
        """Remember ``answer``, which is ``size`` bytes as a datagram, and give it back."""
        young = self._young
        size += len(key[1])
        self._bytes += size
        if len(young) >= self._most or self._bytes > self._most_bytes or now - self._since >= self._lifetime:
            self._old, self._young = young, {}
            young = self._young
            self._bytes, self._since = size, now
        young[key] = now, answer
        return answer
