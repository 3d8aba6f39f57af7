"""Which peer: one of those that have the file whole, at random (the ``single`` strategy)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.udp.lookup import LookupHolder

MAX_REMEMBERED = 4_096
"""Addresses whose failures are remembered."""


class SourceSelector:
    """The complete peers that the tracker named, and what became of those that were tried.

    A peer that sent a bad piece is never picked again. One that failed otherwise is picked again only after the
    tracker has named it anew, and then those that failed least come first.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._open: list[LookupHolder] = []
        self._failures: dict[Endpoint, int] = {}
        self._banned: set[Endpoint] = set()

    def named(self, holders: Iterable[LookupHolder]) -> None:
        """The tracker has named these complete peers."""
        self._open = sorted(
            (holder for holder in holders if holder.endpoint not in self._banned),
            # The tracker's order depends on who came first; sorted, a seeded choice can be repeated.
            key=lambda holder: (holder.name, holder.endpoint),
        )

    def newly_named(self, holders: Iterable[LookupHolder]) -> None:
        """The tracker was asked again while a source is still in use: only who was not tried yet is a candidate."""
        self.named(holder for holder in holders if not self._failures.get(holder.endpoint))

    def pick(self) -> tuple[LookupHolder, int] | None:
        """One of the candidates at random, and among how many; None when all were tried."""
        if not self._open:
            return None
        fewest = min(self._failures.get(holder.endpoint, 0) for holder in self._open)
        best = [holder for holder in self._open if self._failures.get(holder.endpoint, 0) == fewest]
        chosen = self._rng.choice(best)
        self._open.remove(chosen)
        return chosen, len(best)

    @property
    def any_left(self) -> bool:
        """Whether somebody was not tried yet."""
        return bool(self._open)

    def failed(self, holder: LookupHolder) -> None:
        """This one died, stalled or refused."""
        if holder.endpoint in self._failures or len(self._failures) < MAX_REMEMBERED:
            self._failures[holder.endpoint] = self._failures.get(holder.endpoint, 0) + 1

    def ban(self, holder: LookupHolder) -> None:
        """This one sent a bad piece: it is not asked again."""
        if len(self._banned) < MAX_REMEMBERED:
            self._banned.add(holder.endpoint)
        self._open = [other for other in self._open if other.endpoint != holder.endpoint]
