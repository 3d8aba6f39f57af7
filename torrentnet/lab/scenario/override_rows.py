"""Link overrides as JSON, for records and for the state of a lab that stays up."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.scenario.qualities import QUALITY_NAMES, LinkOverride, LinkQualities

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torrentnet.lab.scenario.qualities import Pair

MAX_CACHED: Final = 64
"""Overrides whose row is kept."""


def pairs_row(pairs: Iterable[Pair]) -> list[list[str]]:
    """Return directed pairs of nodes as ``[[from, to], ...]``, sorted."""
    return [list(pair) for pair in sorted(pairs)]


def qualities_row(qualities: LinkQualities) -> dict[str, object]:
    """Return the qualities that are set, by name; the value None removes a limit."""
    values = {name: getattr(qualities, name) for name in qualities.asked()}
    return {name: None if value == math.inf else value for name, value in values.items()}


@lru_cache(MAX_CACHED)
def override_row(override: LinkOverride) -> Mapping[str, object]:
    """Return an override in few words: hundreds of nodes have many thousands of pairs.

    Each item of ``links`` stands for all pairs from one of its nodes ``from`` to another one of its nodes ``to``.
    """
    targets: defaultdict[str, set[str]] = defaultdict(set)
    for source, destination in override.pairs:
        targets[source].add(destination)
    plain = _grouped({source: frozenset(found) for source, found in targets.items()})
    # Where all of some nodes are linked with each other, each one lacks itself among its destinations.
    with_itself = _grouped({source: frozenset(found | {source}) for source, found in targets.items()})
    links = plain if len(plain) <= len(with_itself) else with_itself
    return {"text": override.text, "links": links, "qualities": qualities_row(override.qualities)}


def _grouped(targets: Mapping[str, frozenset[str]]) -> list[dict[str, list[str]]]:
    sources: defaultdict[frozenset[str], list[str]] = defaultdict(list)
    for source, found in targets.items():
        sources[found].append(source)
    return sorted(({"from": sorted(some), "to": sorted(found)} for found, some in sources.items()), key=str)


def parse_override(row: Mapping[str, Any]) -> LinkOverride:
    """Return the override of a row with ``pairs`` or ``links``.

    Raises ValueError, KeyError or TypeError for any other row.
    """
    qualities = row["qualities"]
    if not isinstance(qualities, dict) or not set(qualities) <= set(QUALITY_NAMES):
        raise ValueError("the qualities have another form")
    pairs = {(source, destination) for source, destination in row.get("pairs", ())}
    pairs |= {(source, to) for link in row.get("links", ()) for source in link["from"] for to in link["to"]}
    if not pairs or not all(isinstance(node, str) for pair in pairs for node in pair):
        raise ValueError("the pairs have another form")
    values: dict[str, Any] = {name: math.inf if value is None else value for name, value in qualities.items()}
    links = frozenset(pair for pair in pairs if pair[0] != pair[1])
    return LinkOverride(links, LinkQualities(**values), str(row["text"]))
