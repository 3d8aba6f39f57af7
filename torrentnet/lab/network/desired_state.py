"""The network's desired state: the link overrides in force.

A state also combines what its overrides ask of each directed pair. Pure: each change returns a new state. The timeline
decides when an override is added and removed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities, Pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNTOUCHED: Final = LinkQualities()
"""The qualities of a link without overrides."""


@dataclass(frozen=True, slots=True)
class NetworkState:
    """The link overrides in force, oldest first."""

    overrides: tuple[tuple[int, LinkOverride], ...] = ()
    """Each with its number, see :meth:`add`."""
    added: int = 0
    """How many overrides were ever added, so that no number is used twice."""

    def add(self, override: LinkOverride) -> tuple[NetworkState, int]:
        """Return the state with one more override, and the override's number.

        The new override wins over all others. :meth:`remove` needs its number.
        """
        number = self.added + 1
        return replace(self, overrides=(*self.overrides, (number, override)), added=number), number

    def remove(self, number: int) -> NetworkState:
        """Return the state without an override.

        Raises KeyError for an override that is not in force.
        """
        kept = tuple(entry for entry in self.overrides if entry[0] != number)
        if len(kept) == len(self.overrides):
            raise KeyError(number)
        return replace(self, overrides=kept)

    def links(self) -> dict[Pair, LinkQualities]:
        """Return what the overrides ask of each directed pair.

        Pairs of which nothing is asked are left out.
        """
        layers: defaultdict[Pair, tuple[int, ...]] = defaultdict(tuple)
        for index, (_, override) in enumerate(self.overrides):
            for pair in override.pairs:
                layers[pair] += (index,)
        # Thousands of pairs have the same few overrides in common.
        combined = {
            indexes: _combine(self.overrides[index][1] for index in indexes) for indexes in set(layers.values())
        }
        return {pair: combined[indexes] for pair, indexes in layers.items() if combined[indexes] != UNTOUCHED}


def _combine(overrides: Iterable[LinkOverride]) -> LinkQualities:
    qualities = UNTOUCHED
    for override in overrides:
        qualities = override.qualities.over(qualities)
    return qualities.effective()


def changed_pairs(before: Mapping[Pair, LinkQualities], after: Mapping[Pair, LinkQualities]) -> frozenset[Pair]:
    """Return the directed pairs in which ``links()`` of two states differ.

    The result is empty where a change has no effect.
    """
    return frozenset(
        pair for pair in before.keys() | after.keys() if before.get(pair, UNTOUCHED) != after.get(pair, UNTOUCHED)
    )
