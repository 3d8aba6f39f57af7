"""The qualities of a link, and overrides of them.

A link is directed: ``(source, destination)`` carries what ``source`` sends to ``destination``. The network's desired
state is the sum of all overrides in force.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final, TypeAlias

Pair: TypeAlias = tuple[str, str]
"""(source node, destination node)."""


@dataclass(frozen=True, slots=True)
class LinkQualities:
    """Qualities of a link, such as its rate.

    None leaves a quality as it is; zero (for a limit: infinity) removes it. Raises ValueError for a value that no link
    can have.
    """

    rate: float | None = None
    """Bits a second at most."""
    uplink: float | None = None
    """Bits a second at most that the source sends to all others together; the same on all of its links."""
    delay: float | None = None
    """Seconds, one way."""
    jitter: float | None = None
    """Seconds by which the delay varies, in both directions."""
    loss: float | None = None
    """Share of packets that are lost, 0 to 1."""
    corruption: float | None = None
    """Share of packets with one flipped bit, 0 to 1."""
    duplication: float | None = None
    """Share of packets that arrive twice, 0 to 1."""
    reordering: float | None = None
    """Share of packets that overtake others, 0 to 1; needs a delay."""
    cut: bool | None = None
    """Whether all packets are dropped, silently."""

    def __post_init__(self) -> None:
        for name in ("rate", "uplink"):
            bits = getattr(self, name)
            if bits is not None and not bits > 0:
                raise ValueError(
                    f"a {name} of {bits:g} bit/s: it must be more than 0; use a cut for a link without any"
                )
        for name in ("delay", "jitter"):
            seconds = getattr(self, name)
            if seconds is not None and not 0 <= seconds < math.inf:
                raise ValueError(f"a {name} of {seconds:g} s: it must be 0 or more")
        for name in ("loss", "corruption", "duplication", "reordering"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"a {name} of {share:g}: it must be between 0 and 1")

    def over(self, below: LinkQualities) -> LinkQualities:
        """Return the qualities of both; those of ``self`` win."""
        return LinkQualities(
            **{
                name: getattr(below, name) if getattr(self, name) is None else getattr(self, name)
                for name in QUALITY_NAMES
            }
        )

    def effective(self) -> LinkQualities:
        """Return only the qualities that have an effect.

        Links that behave alike are then equal.
        """
        kept = {name: value for name in QUALITY_NAMES if (value := getattr(self, name)) and value != math.inf}
        return LinkQualities(**kept)

    def asked(self) -> tuple[str, ...]:
        """Return the names of the qualities that are set, in the order of the fields."""
        return tuple(name for name in QUALITY_NAMES if getattr(self, name) is not None)


QUALITY_NAMES: Final = tuple(field.name for field in fields(LinkQualities))
"""The names of all qualities."""


@dataclass(frozen=True, slots=True)
class LinkOverride:
    """Qualities that replace those of some links.

    For each quality the latest override wins. Different qualities combine.
    """

    pairs: frozenset[Pair]
    qualities: LinkQualities
    text: str
    """As the scenario writes it: ``partition tracker, seeder | leecher``."""
