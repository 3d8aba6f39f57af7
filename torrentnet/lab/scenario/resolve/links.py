"""Resolution of directions and qualities to link overrides."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.models.links import QUALITY_KEYS, UNLIMITED, ImpairmentModel
from torrentnet.lab.scenario.language.models.timeline import ImpairModel
from torrentnet.lab.scenario.language.scalars import format_duration, format_rate, format_share
from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.links import DirectionModel, SelectorSides
    from torrentnet.lab.scenario.language.selectors import Selector
    from torrentnet.lab.scenario.qualities import Pair
    from torrentnet.lab.scenario.resolve.context import ResolveContext

    Select = Callable[[Selector, KeyPath], tuple[str, ...]]
    """Returns the nodes that the selector at a place selects."""

MAX_LINKS: Final = 1000
"""Items of ``links``."""


def resolve_links(context: ResolveContext) -> tuple[LinkOverride, ...]:
    """Return the state of the network at t = 0, in the order of the file."""
    overrides: list[LinkOverride] = []
    if len(context.draft.scenario.links) > MAX_LINKS:
        text = f"there are {len(context.draft.scenario.links)} items; at most {MAX_LINKS} are allowed"
        context.note_key(("links",), text, "name groups or lists of nodes in one item")
        return ()
    for position, model in zip(context.draft.positions["links"], context.draft.scenario.links, strict=True):
        loc: KeyPath = ("links", position)
        pairs = direction_pairs(context, loc, model, context.select)
        overrides.append(LinkOverride(pairs, qualities_of(context, loc, model), describe_impairment(model)))
    return tuple(overrides)


def direction_pairs(
    context: ResolveContext, loc: KeyPath, direction: DirectionModel, select: Select
) -> frozenset[Pair]:
    """Return the directed pairs of a direction; record a problem if there is none."""
    if direction.between is not None:
        sides = side_nodes(direction.between, (*loc, "between"), select)
        pairs = _across(tuple(sides)) if len(sides) > 1 else _across(tuple((name,) for name in sides[0]))
    else:
        all_nodes = context.directory.nodes
        sources = select(direction.from_, (*loc, "from")) if direction.from_ is not None else all_nodes
        destinations = select(direction.to, (*loc, "to")) if direction.to is not None else all_nodes
        sides = [sources, destinations]
        pairs = _towards(sources, destinations)
    if not pairs and all(sides):
        context.note_key(
            loc,
            f"`{describe_direction(direction)}` selects a single node, which has no link to itself",
            "name another node too",
        )
    return pairs


def partition_pairs(context: ResolveContext, loc: KeyPath, written: SelectorSides, select: Select) -> frozenset[Pair]:
    """Return the pairs of nodes between the sides of a partition.

    A node on two sides is recorded as a problem.
    """
    sides = side_nodes(written, loc, select)
    for (index, one), (_, other) in itertools.combinations(enumerate(sides), 2):
        both = [name for name in one if name in other]
        if both:
            context.note(
                (*loc, index),
                f"`{both[0]}` is on two sides",
                "write each node once; a node on no side reaches all nodes",
            )
            return frozenset()
    return _across(tuple(sides))


def isolation_pairs(context: ResolveContext, nodes: tuple[str, ...]) -> frozenset[Pair]:
    """Return the pairs of each of these nodes with all others, in both directions."""
    return _star(nodes, context.directory.nodes)


def side_nodes(sides: SelectorSides, loc: KeyPath, select: Select) -> list[tuple[str, ...]]:
    """Return the nodes of each side."""
    return [
        select(side, loc if len(sides) == 1 and not side.listed else (*loc, index)) for index, side in enumerate(sides)
    ]


# A large lab has 100,000 pairs and more; the repetitions of an event share theirs.
@lru_cache(maxsize=8)
def _towards(sources: tuple[str, ...], destinations: tuple[str, ...]) -> frozenset[Pair]:
    return frozenset((one, other) for one in sources for other in destinations if one != other)


@lru_cache(maxsize=8)
def _star(nodes: tuple[str, ...], all_nodes: tuple[str, ...]) -> frozenset[Pair]:
    return _towards(nodes, all_nodes) | _towards(all_nodes, nodes)


@lru_cache(maxsize=8)
def nodes_of(pairs: frozenset[Pair]) -> frozenset[str]:
    """Return the nodes of the pairs."""
    return frozenset(itertools.chain.from_iterable(pairs))


@lru_cache(maxsize=8)
def _across(sides: tuple[tuple[str, ...], ...]) -> frozenset[Pair]:
    return frozenset(
        pair
        for here, there in itertools.permutations(sides, 2)
        for pair in itertools.product(here, there)
        if pair[0] != pair[1]
    )


def qualities_of(context: ResolveContext, loc: KeyPath, model: ImpairmentModel) -> LinkQualities:
    """Return the qualities; record a problem where they contradict each other."""
    if model.uplink is not None and (model.from_ is None or model.to is not None):
        context.note_key(
            (*loc, "uplink"),
            "an uplink limits what a node sends to all others together",
            "write `from: leecher` without `to`; `rate` limits one link",
        )
    if model.jitter and model.delay is not None and model.jitter > model.delay:
        context.note(
            (*loc, "jitter"),
            f"a jitter of {format_duration(model.jitter)} with a delay of {format_duration(model.delay)}: "
            "some packets would arrive before they were sent",
            "write at most the delay",
        )
    for name in ("jitter", "reordering"):
        if getattr(model, name) and not model.delay and not _delayed_elsewhere(context):
            context.note((*loc, name), f"`{name}` needs a `delay`, and no link has one", "add `delay: 20ms`")
    return LinkQualities(**{name: getattr(model, name) for name in QUALITY_KEYS})


def _delayed_elsewhere(context: ResolveContext) -> bool:
    if any(aside[0] in {"links", "timeline"} for aside in context.draft.aside):
        return True
    scenario = context.draft.scenario
    impaired = [event.impair for event in scenario.timeline if isinstance(event, ImpairModel)]
    return any(model.delay for model in [*scenario.links, *impaired])


# -- descriptions ----------------------------------------------------------------------------------


def describe_direction(direction: DirectionModel) -> str:
    """Return ``between seeder, leecher`` or ``from seeder to leecher``."""
    if direction.between is not None:
        return "between " + ", ".join(str(side) for side in direction.between)
    ends = (("from", direction.from_), ("to", direction.to))
    return " ".join(f"{word} {nodes}" for word, nodes in ends if nodes is not None)


def describe_sides(sides: SelectorSides) -> str:
    """Return ``tracker, seeder | leecher``."""
    return " | ".join(str(side) for side in sides)


def describe_impairment(model: ImpairmentModel) -> str:
    """Return ``between all, delay 20ms, jitter 5ms``."""
    words = [f"{name} {_show(name, value)}" for name in QUALITY_KEYS if (value := getattr(model, name)) is not None]
    return ", ".join([describe_direction(model), *words])


def _show(name: str, value: float) -> str:
    if name in {"rate", "uplink"}:
        return UNLIMITED if value == math.inf else format_rate(value)
    return format_duration(value) if name in {"delay", "jitter"} else format_share(value)
