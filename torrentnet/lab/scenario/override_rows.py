"""Link overrides as JSON, for records and for the state of a lab that stays up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from torrentnet.lab.scenario.qualities import QUALITY_NAMES, LinkOverride, LinkQualities

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torrentnet.lab.scenario.qualities import Pair


def pairs_row(pairs: Iterable[Pair]) -> list[list[str]]:
    """Return directed pairs of nodes as ``[[from, to], ...]``, sorted."""
    return [list(pair) for pair in sorted(pairs)]


def qualities_row(qualities: LinkQualities) -> dict[str, object]:
    """Return the qualities that are set, by name; the value None removes a limit."""
    values = {name: getattr(qualities, name) for name in qualities.asked()}
    return {name: None if value == math.inf else value for name, value in values.items()}


def parse_override(row: Mapping[str, object]) -> LinkOverride:
    """Return the override of a row with ``pairs``, ``qualities`` and ``text``.

    Raises ValueError, KeyError or TypeError for any other row.
    """
    pairs, qualities = row["pairs"], row["qualities"]
    if not isinstance(pairs, list) or not isinstance(qualities, dict) or not set(qualities) <= set(QUALITY_NAMES):
        raise ValueError("pairs or qualities have another form")
    links = frozenset((str(source), str(destination)) for source, destination in pairs)
    values: dict[str, Any] = {name: math.inf if value is None else value for name, value in qualities.items()}
    return LinkOverride(links, LinkQualities(**values), str(row["text"]))
