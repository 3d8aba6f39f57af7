"""The choice of the complete peer that a ``single`` download fetches from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.udp.lookup import LookupHolder

MAX_REMEMBERED: Final = 4_096
"""Addresses whose failures are remembered."""


class SourceSelector:
    """The complete peers that the tracker has listed, and their failures.

    A banned peer is never selected again. A peer that failed is selected again once the tracker has listed it anew,
    after the peers that failed less often.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._untried: list[LookupHolder] = []
        self._failures: dict[Endpoint, int] = {}
        self._banned: set[Endpoint] = set()

    def replace(self, holders: Iterable[LookupHolder]) -> None:
        """Replace the candidates by these complete peers."""
        self._untried = sorted(
            (holder for holder in holders if holder.endpoint not in self._banned),
            # Sorted, because a seeded choice must not depend on the order in which the peers joined the swarm.
            key=lambda holder: (holder.name, holder.endpoint),
        )

    def replace_with_new(self, holders: Iterable[LookupHolder]) -> None:
        """Replace the candidates by these complete peers, without those that have failed."""
        self.replace(holder for holder in holders if not self._failures.get(holder.endpoint))

    def select(self) -> tuple[LookupHolder, int] | None:
        """Remove and return a random candidate.

        Returns the number of candidates too among which it was chosen; None without candidates.
        """
        if not self._untried:
            return None
        fewest = min(self._failures.get(holder.endpoint, 0) for holder in self._untried)
        best = [holder for holder in self._untried if self._failures.get(holder.endpoint, 0) == fewest]
        selected = self._rng.choice(best)
        self._untried.remove(selected)
        return selected, len(best)

    @property
    def any_untried(self) -> bool:
        """Whether a candidate is left."""
        return bool(self._untried)

    def failed(self, holder: LookupHolder) -> None:
        """Count a failure of a source that died, stalled or refused."""
        if holder.endpoint in self._failures or len(self._failures) < MAX_REMEMBERED:
            self._failures[holder.endpoint] = self._failures.get(holder.endpoint, 0) + 1

    def ban(self, holder: LookupHolder) -> None:
        """Never select a peer again that has sent a bad piece."""
        if len(self._banned) < MAX_REMEMBERED:
            self._banned.add(holder.endpoint)
        self._untried = [other for other in self._untried if other.endpoint != holder.endpoint]
