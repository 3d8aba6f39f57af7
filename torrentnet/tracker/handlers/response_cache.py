"""Cache answers, for requests that arrive more than once."""

from __future__ import annotations

from typing import Final, Generic, TypeAlias, TypeVar

RequestKey: TypeAlias = tuple[tuple[str, int], bytes]
"""Source address, and the datagram without its connection id, which may change when it is sent again (BEP 15)."""

K = TypeVar("K", bound=tuple[object, bytes])
T = TypeVar("T")
_CONNECTION_ID_SIZE: Final = 8


def request_key(data: bytes, source: tuple[str, int]) -> RequestKey:
    """Return the key of a datagram and of all its retransmissions."""
    return source, data[_CONNECTION_ID_SIZE:]


class ResponseCache(Generic[K, T]):
    """The latest answers, limited in number, in bytes and in age.

    ``K`` identifies a request; its last part is the request's datagram, whose bytes count too. ``T`` is an answer, or
    the parts from which an answer is packed.
    """

    def __init__(self, max_answers: int, max_bytes: int, lifetime: float) -> None:
        self._lifetime = lifetime
        # Two halves: when the young half is full, it becomes the old half, and the previous old half is dropped.
        self._max_answers = max(1, max_answers // 2)
        self._max_bytes = max_bytes // 2
        self._young: dict[K, tuple[float, T]] = {}
        self._old: dict[K, tuple[float, T]] = {}
        self._bytes = 0
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, key: K, now: float) -> T | None:
        """Return the cached answer to a request, or None."""
        entry = self._young.get(key) or self._old.get(key)
        return entry[1] if entry is not None and now - entry[0] < self._lifetime else None

    def store(self, key: K, answer: T, size: int, now: float) -> T:
        """Cache and return ``answer``, whose datagram has ``size`` bytes."""
        young = self._young
        size += len(key[1])
        self._bytes += size
        if len(young) >= self._max_answers or self._bytes > self._max_bytes or now - self._since >= self._lifetime:
            self._old, self._young = young, {}
            young = self._young
            self._bytes, self._since = size, now
        young[key] = now, answer
        return answer
