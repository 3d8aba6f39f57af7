"""Which piece next, when many peers give: rarest first, each piece from one of them, and the last ones from two."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Iterator

    from torrentnet.wire.piece_set import PieceSet

SAMPLE_SIZE = 512
"""Missing pieces that are compared for one choice: a sample is as good, and a file may have a million."""
MIN_QUEUE_WAIT = 0.1
"""Seconds that a piece waits in one peer's queue before, at the end, another one is asked in its place."""

T = TypeVar("T")


@dataclass(slots=True)
class _Requested(Generic[T]):
    since: float
    givers: list[T] = field(default_factory=list)
    patience: float = MIN_QUEUE_WAIT
    """Seconds until somebody else may be asked in its place; doubled each time, or it would only change queues."""


class PiecePicker(Generic[T]):
    """The pieces that are missing: still to be asked for, or asked of somebody (a ``T``: whatever stands for a peer).

    Rarest first is by what the peers that we are connected to hold (BEP 3 leaves the choice open; Legout et al. 2006).
    """

    def __init__(self, held: PieceSet, rng: random.Random) -> None:
        self._rng = rng
        self._todo = list(held.missing())
        self._at = {piece: index for index, piece in enumerate(self._todo)}
        self._under: dict[int, _Requested[T]] = {}
        self._holders = [0] * held.size

    @property
    def nothing_left(self) -> bool:
        """Whether every missing piece is asked for."""
        return not self._todo

    @property
    def asked(self) -> int:
        """How many pieces are asked for."""
        return len(self._under)

    def lacks(self, piece: int) -> bool:
        """Whether nobody was asked for it yet."""
        return piece in self._at

    def known(self, pieces: Iterable[int]) -> None:
        """One more peer holds each of these."""
        for piece in pieces:
            self._holders[piece] += 1

    def forgotten(self, pieces: Iterable[int]) -> None:
        """One peer less holds each of these."""
        for piece in pieces:
            self._holders[piece] -= 1

    def any_for(self, theirs: PieceSet) -> bool:
        """Whether a peer that holds ``theirs`` has a piece that nobody was asked for."""
        if theirs.is_full or len(self._todo) > SAMPLE_SIZE:
            return bool(self._todo) and len(theirs) > 0
        return any(piece in theirs for piece in self._todo)

    def take(self, theirs: PieceSet, giver: T, now: float) -> int | None:
        """The piece to ask ``giver`` for, who holds ``theirs``; None where there is none."""
        candidates = [piece for piece in self._some() if piece in theirs]
        if not candidates and len(self._todo) > SAMPLE_SIZE:
            # A sample may miss the few that they have; "nothing" must be true, for they are told so.
            candidates = [piece for piece in self._todo if piece in theirs]
        if not candidates:
            return None
        least = min(self._holders[piece] for piece in candidates)
        piece = self._rng.choice([piece for piece in candidates if self._holders[piece] == least])
        self._remove(piece)
        self._under[piece] = _Requested(now, [giver])
        return piece

    def slowest(self, theirs: PieceSet, giver: T, needs: Callable[[T, int], float]) -> tuple[float, int] | None:
        """Of what ``theirs`` has too and one other peer is asked for, the piece that will be here last.

        ``needs`` says in how many seconds the one who was asked will have sent it. None where there is none.
        """
        slow = [
            (needs(under.givers[0], piece), piece)
            for piece, under in self._under.items()
            if len(under.givers) == 1 and giver not in under.givers and piece in theirs
        ]
        return max(slow) if slow else None

    def waiting(self, theirs: PieceSet, giver: T, now: float, begun: Callable[[T, int], bool]) -> int | None:
        """The piece that waits for longest at one other peer, which has not ``begun`` to send it; None where none does.

        At the end a piece in one uplink's queue would be there sooner from another that is idle.
        """
        waiting = [
            (under.since, piece)
            for piece, under in self._under.items()
            if len(under.givers) == 1
            and giver not in under.givers
            and now - under.since >= under.patience
            and piece in theirs
            and not begun(under.givers[0], piece)
        ]
        return min(waiting)[1] if waiting else None

    def move(self, piece: int, giver: T, now: float) -> T:
        """``giver`` is asked for a piece in the place of the one who was, and is returned."""
        under = self._under[piece]
        (before,) = under.givers
        under.givers[0], under.since, under.patience = giver, now, 2 * under.patience
        return before

    def join(self, piece: int, giver: T) -> None:
        """One more is asked for a piece."""
        self._under[piece].givers.append(giver)

    def arrived(self, piece: int) -> list[T]:
        """All of a piece is here. Returns all who were asked for it."""
        under = self._under.pop(piece, None)
        return under.givers if under is not None else []

    def awaited(self, piece: int) -> bool:
        """Whether it is asked for and has not arrived."""
        return piece in self._under

    def again(self, piece: int) -> None:
        """What arrived was no good: it is missing still."""
        if piece not in self._at:
            self._at[piece] = len(self._todo)
            self._todo.append(piece)

    def given_up(self, pieces: Iterable[int], giver: T) -> Iterator[int]:
        """``giver`` will not send these. Yields those that nobody is asked for any more."""
        for piece in pieces:
            under = self._under.get(piece)
            if under is None or giver not in under.givers:
                continue
            under.givers.remove(giver)
            if not under.givers:
                del self._under[piece]
                self.again(piece)
                yield piece

    def _some(self) -> list[int]:
        if len(self._todo) <= SAMPLE_SIZE:
            return self._todo
        return [self._todo[self._rng.randrange(len(self._todo))] for _ in range(SAMPLE_SIZE)]

    def _remove(self, piece: int) -> None:
        index = self._at.pop(piece)
        last = self._todo.pop()
        if last != piece:
            self._todo[index] = last
            self._at[last] = index


def newly_held(counted: PieceSet, held: PieceSet) -> list[int]:
    """The pieces of ``held`` that ``counted`` lacks, after which it has them too."""
    new = [piece for piece in held if piece not in counted]
    for piece in new:
        counted.add(piece)
    return new
