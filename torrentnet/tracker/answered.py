"""Answers that were given, for requests that arrive twice."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeAlias, TypeVar

Key: TypeAlias = tuple[tuple[str, int], bytes]
"""Source address, and the datagram without its connection id: what makes two datagrams one request."""

K = TypeVar("K", bound=tuple[object, bytes])
T = TypeVar("T")
_ID_SIZE = 8
_SPARE = 8
"""The part of all that goes when there are too many."""


def key_of(data: bytes, source: tuple[str, int]) -> Key:
    """The same for a datagram and its retransmissions, which may carry a newer connection id (BEP 15, "Time outs")."""
    return source, data[_ID_SIZE:]


class Answered(Generic[K, T]):
    """The last answers: at most ``most``, ``most_bytes`` with their requests, none older than ``lifetime`` seconds.

    ``K`` is what makes two datagrams one request, the datagram last. ``T`` is an answer, or what makes it again.
    """

    def __init__(self, most: int, most_bytes: int, lifetime: float) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._lifetime = lifetime
        self._bytes = 0
        self._none_before = 0.0
        self._answers: OrderedDict[K, tuple[float, T, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, key: K, now: float) -> T | None:
        """The answer that this very request has had, if it is remembered."""
        kept = self._answers.get(key)
        return kept[1] if kept is not None and now - kept[0] < self._lifetime else None

    def keep(self, key: K, answer: T, size: int, now: float) -> T:
        """Remember ``answer``, which is ``size`` bytes as a datagram, and give it back."""
        answers = self._answers
        replaced = answers.pop(key, None)
        if replaced is not None:
            self._bytes -= replaced[2]
        if not answers:
            self._none_before = now
        size += len(key[1])
        answers[key] = (now, answer, size)
        self._bytes += size
        if len(answers) > self._most or self._bytes > self._most_bytes or now - self._none_before >= self._lifetime:
            self._let_go(now)
        return answer

    def _let_go(self, now: float) -> None:
        # Some more than has to go, so that it is not every one that is kept that has to look.
        answers, most, most_bytes = self._answers, self._most, self._most_bytes
        if len(answers) > most:
            most -= most // _SPARE
        if self._bytes > most_bytes:
            most_bytes -= most_bytes // _SPARE
        while True:
            self._none_before = next(iter(answers.values()))[0]
            too_many = len(answers) > most or self._bytes > most_bytes
            if len(answers) == 1 or not (too_many or now - self._none_before >= self._lifetime):
                return
            self._bytes -= answers.popitem(last=False)[1][2]
