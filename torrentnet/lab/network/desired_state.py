"""The network's desired state: patches in force, and what they ask of every directed pair together.

Pure: a state is never changed, each change gives a new one. A fault lives from ``add`` to ``remove``; when that is, is
the timeline's business.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities, Pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNTOUCHED = LinkQualities()
"""A link that nothing is asked of."""


@dataclass(frozen=True, slots=True)
class NetworkState:
    """Patches in force, oldest first."""

    patches: tuple[tuple[int, LinkOverride], ...] = ()
    """Each with the number it was added under."""
    added: int = 0
    """How many patches there have ever been; numbers are not used twice."""

    def add(self, patch: LinkOverride) -> tuple[NetworkState, int]:
        """The state with one patch more, which wins over all others, and the number to take it away with."""
        number = self.added + 1
        return replace(self, patches=(*self.patches, (number, patch)), added=number), number

    def remove(self, number: int) -> NetworkState:
        """The state without a patch. Raises KeyError for one that is not in force."""
        kept = tuple(entry for entry in self.patches if entry[0] != number)
        if len(kept) == len(self.patches):
            raise KeyError(number)
        return replace(self, patches=kept)

    def link(self, pair: Pair) -> LinkQualities:
        """What is asked of one directed pair; no quality that changes nothing."""
        return _combine(patch for _, patch in self.patches if pair in patch.pairs)

    def links(self) -> dict[Pair, LinkQualities]:
        """What is asked of all directed pairs; without those that nothing is asked of."""
        layers: defaultdict[Pair, tuple[int, ...]] = defaultdict(tuple)
        for index, (_, patch) in enumerate(self.patches):
            for pair in patch.pairs:
                layers[pair] += (index,)
        # Thousands of pairs have the same few patches in common.
        combined = {indexes: _combine(self.patches[index][1] for index in indexes) for indexes in set(layers.values())}
        return {pair: combined[indexes] for pair, indexes in layers.items() if combined[indexes] != UNTOUCHED}


def _combine(patches: Iterable[LinkOverride]) -> LinkQualities:
    together = UNTOUCHED
    for patch in patches:
        together = patch.qualities.over(together)
    return together.effective()


def changed_pairs(before: Mapping[Pair, LinkQualities], after: Mapping[Pair, LinkQualities]) -> frozenset[Pair]:
    """The directed pairs that ``links()`` of two states differ in. Empty: the event changed nothing."""
    return frozenset(
        pair for pair in before.keys() | after.keys() if before.get(pair, UNTOUCHED) != after.get(pair, UNTOUCHED)
    )
