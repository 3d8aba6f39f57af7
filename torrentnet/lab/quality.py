"""What can be done to the way from one node to another: the qualities of a link, and patches on them.

A link is directed: ``(source, destination)`` is what ``source`` sends to ``destination``. A fault is a
:class:`Patch`; the network's desired state is what all patches in force say together (SCENARIOS, rule 7).
"""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[str, str]
"""(source node, destination node)."""


@dataclass(frozen=True, slots=True)
class Qualities:
    """What is asked of a link; None leaves a quality as it is."""

    rate: float | None = None
    """Bits a second at most."""
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


@dataclass(frozen=True, slots=True)
class Patch:
    """Qualities for some directed pairs. The latest patch wins for one quality; different qualities combine."""

    pairs: frozenset[Pair]
    qualities: Qualities
    text: str
    """As the scenario says it: ``partition tracker, seeder | leecher``."""
