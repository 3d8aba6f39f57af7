"""The choice of the next piece to request in a swarm: rarest first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Iterator

    from torrentnet.wire.piece_set import PieceSet

SAMPLE_SIZE: Final = 512
"""Missing pieces that are compared for one choice. More would hardly improve it, and a file may have a million."""
MIN_QUEUE_WAIT: Final = 0.1
"""Seconds that a piece waits at one peer before, in the endgame, it is requested from another peer instead."""

T = TypeVar("T")


@dataclass(slots=True)
class _Requested(Generic[T]):
    since: float
    sources: list[T] = field(default_factory=list)
    max_wait: float = MIN_QUEUE_WAIT
    """Seconds until the piece may be reassigned; doubled each time, or the piece would only change queues."""


class PiecePicker(Generic[T]):
    """The missing pieces: unrequested, or requested from sources of type ``T``.

    The rarest piece is the one that the fewest connected peers hold. BEP 3 leaves the choice open; see Legout et al.
    2006, "Rarest first and choke algorithms are enough".
    """

    def __init__(self, held: PieceSet, rng: random.Random) -> None:
        self._rng = rng
        self._unrequested = list(held.missing())
        self._index = {piece: index for index, piece in enumerate(self._unrequested)}
        self._requested: dict[int, _Requested[T]] = {}
        self._availability = [0] * held.size

    @property
    def all_requested(self) -> bool:
        """Whether every missing piece is requested."""
        return not self._unrequested

    @property
    def requested(self) -> int:
        """Number of requested pieces."""
        return len(self._requested)

    def is_unrequested(self, piece: int) -> bool:
        """Return whether a piece is missing and not requested."""
        return piece in self._index

    def is_requested(self, piece: int) -> bool:
        """Return whether a piece is requested and not received."""
        return piece in self._requested

    def add_holder(self, pieces: Iterable[int]) -> None:
        """Increment the number of peers that hold each of these pieces."""
        for piece in pieces:
            self._availability[piece] += 1

    def remove_holder(self, pieces: Iterable[int]) -> None:
        """Decrement the number of peers that hold each of these pieces."""
        for piece in pieces:
            self._availability[piece] -= 1

    def any_unrequested(self, held: PieceSet) -> bool:
        """Return whether a peer that holds ``held`` has an unrequested piece."""
        if held.is_full or len(self._unrequested) > SAMPLE_SIZE:
            return bool(self._unrequested) and len(held) > 0
        return any(piece in held for piece in self._unrequested)

    def pick(self, held: PieceSet, source: T, now: float) -> int | None:
        """Choose the rarest unrequested piece of ``held``; it counts as requested."""
        candidates = [piece for piece in self._sample() if piece in held]
        if not candidates and len(self._unrequested) > SAMPLE_SIZE:
            # A sample may miss the few pieces that the peer has. The peer gets a "not interested" for None.
            candidates = [piece for piece in self._unrequested if piece in held]
        if not candidates:
            return None
        rarest = min(self._availability[piece] for piece in candidates)
        piece = self._rng.choice([piece for piece in candidates if self._availability[piece] == rarest])
        self._remove(piece)
        self._requested[piece] = _Requested(now, [source])
        return piece

    def slowest(self, held: PieceSet, source: T, seconds: Callable[[T, int], float]) -> tuple[float, int] | None:
        """Return the seconds and the number of the piece that will be complete last.

        The piece is one of ``held`` that is requested from one other source. ``seconds(source, piece)`` estimates how
        long that source will take to complete the piece.
        """
        slow = [
            (seconds(requested.sources[0], piece), piece)
            for piece, requested in self._requested.items()
            if len(requested.sources) == 1 and source not in requested.sources and piece in held
        ]
        return max(slow) if slow else None

    def longest_queued(self, held: PieceSet, source: T, now: float, begun: Callable[[T, int], bool]) -> int | None:
        """Return the piece of ``held`` that has waited longest at another source.

        In the endgame, an idle uplink sends such a piece sooner. ``begun(source, piece)`` returns whether the source
        has started to send the piece, which then does not count. None if no piece has waited for long enough.
        """
        queued = [
            (requested.since, piece)
            for piece, requested in self._requested.items()
            if len(requested.sources) == 1
            and source not in requested.sources
            and now - requested.since >= requested.max_wait
            and piece in held
            and not begun(requested.sources[0], piece)
        ]
        return min(queued)[1] if queued else None

    def reassign(self, piece: int, source: T, now: float) -> T:
        """Request a piece from ``source`` instead of its only source, which is returned."""
        requested = self._requested[piece]
        (before,) = requested.sources
        requested.sources[0], requested.since, requested.max_wait = source, now, 2 * requested.max_wait
        return before

    def add_source(self, piece: int, source: T) -> None:
        """Request a piece from one more source."""
        self._requested[piece].sources.append(source)

    def remove_requested(self, piece: int) -> list[T]:
        """Remove the request for a received piece, and return its sources."""
        requested = self._requested.pop(piece, None)
        return requested.sources if requested is not None else []

    def put_back(self, piece: int) -> None:
        """Make a piece unrequested again."""
        if piece not in self._index:
            self._index[piece] = len(self._unrequested)
            self._unrequested.append(piece)

    def remove_source(self, pieces: Iterable[int], source: T) -> Iterator[int]:
        """Remove a source of pieces, and yield the pieces that are left without a source."""
        for piece in pieces:
            requested = self._requested.get(piece)
            if requested is None or source not in requested.sources:
                continue
            requested.sources.remove(source)
            if not requested.sources:
                del self._requested[piece]
                self.put_back(piece)
                yield piece

    def _sample(self) -> list[int]:
        if len(self._unrequested) <= SAMPLE_SIZE:
            return self._unrequested
        return [self._unrequested[self._rng.randrange(len(self._unrequested))] for _ in range(SAMPLE_SIZE)]

    def _remove(self, piece: int) -> None:
        index = self._index.pop(piece)
        last = self._unrequested.pop()
        if last != piece:
            self._unrequested[index] = last
            self._index[last] = index


def newly_held(counted: PieceSet, held: PieceSet) -> list[int]:
    """Return the pieces of ``held`` that ``counted`` lacks, and add them to it."""
    new = [piece for piece in held if piece not in counted]
    for piece in new:
        counted.add(piece)
    return new
