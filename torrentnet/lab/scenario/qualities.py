"""What can be done to the way from one node to another: the qualities of a link, and patches on them.

A link is directed: ``(source, destination)`` is what ``source`` sends to ``destination``. A fault is a
:class:`LinkOverride`; the network's desired state is what all patches in force say together (SCENARIOS, rule 7).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

Pair = tuple[str, str]
"""(source node, destination node)."""


@dataclass(frozen=True, slots=True)
class LinkQualities:
    """What is asked of a link; None leaves a quality as it is. A zero (no limit: infinity) asks for none.

    Raises ValueError for a value that no link can have.
    """

    rate: float | None = None
    """Bits a second at most."""
    uplink: float | None = None
    """Bits a second at most of all that the source sends, to everybody together: asked of all its links alike."""
    delay: float | None = None
    """Seconds, one way."""
    jitter: float | None = None
    """Seconds that the delay varies by, to both sides."""
    loss: float | None = None
    """Share of packets that are lost, 0 to 1."""
    corruption: float | None = None
    """Share of packets of which a bit is turned, 0 to 1."""
    duplication: float | None = None
    """Share of packets that arrive twice, 0 to 1."""
    reordering: float | None = None
    """Share of packets that overtake others, 0 to 1; needs a delay."""
    cut: bool | None = None
    """Whether nothing passes, silently."""

    def __post_init__(self) -> None:
        for name in ("rate", "uplink"):
            bits = getattr(self, name)
            if bits is not None and not bits > 0:
                raise ValueError(f"a {name} of {bits:g} bit/s: it must be more than 0; a link without any is a cut")
        for name in ("delay", "jitter"):
            seconds = getattr(self, name)
            if seconds is not None and not 0 <= seconds < math.inf:
                raise ValueError(f"a {name} of {seconds:g} s: it must be 0 or more")
        for name in ("loss", "corruption", "duplication", "reordering"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"a {name} of {share:g}: it must be between 0 and 1")

    def over(self, below: LinkQualities) -> LinkQualities:
        """Both together; where both ask for the same quality, this one wins."""
        return LinkQualities(
            **{
                name: getattr(below, name) if getattr(self, name) is None else getattr(self, name)
                for name in QUALITY_NAMES
            }
        )

    def effective(self) -> LinkQualities:
        """Without what changes nothing (a loss of 0, no cut): two links that behave alike are equal."""
        kept = {name: value for name in QUALITY_NAMES if (value := getattr(self, name)) and value != math.inf}
        return LinkQualities(**kept)

    def asked(self) -> tuple[str, ...]:
        """The names of the qualities that are asked for, in the order of the fields."""
        return tuple(name for name in QUALITY_NAMES if getattr(self, name) is not None)


QUALITY_NAMES = tuple(field.name for field in fields(LinkQualities))
"""All qualities, by name."""


@dataclass(frozen=True, slots=True)
class LinkOverride:
    """Qualities for some directed pairs. The latest patch wins for one quality; different qualities combine."""

    pairs: frozenset[Pair]
    qualities: LinkQualities
    text: str
    """As the scenario says it: ``partition tracker, seeder | leecher``."""
