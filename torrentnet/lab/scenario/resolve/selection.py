"""Which nodes a selector means.

A random choice follows the scenario's seed and the selector's place in the file, so that the same file selects the same
nodes on every machine and with every version of Python.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.errors import InvalidValueError
from torrentnet.lab.scenario.language.selectors import ALL, SelectorAmount
from torrentnet.runtime.suggestions import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torrentnet.lab.scenario.language.selectors import Selector


@dataclass(frozen=True, slots=True)
class NodeDirectory:
    """The nodes and groups of a scenario, by name."""

    groups: Mapping[str, Sequence[str]]
    """Group name -> node names, both in the order of the file."""
    unreadable: frozenset[str] = frozenset()
    """Groups that the file defines but that could not be parsed; names that may belong to them are not checked."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node, in the order of the file."""
        return tuple(node for group in self.groups.values() for node in group)

    def named(self, name: str) -> tuple[str, ...]:
        """Return the nodes with a node's name, a group's name or ``all``."""
        if name == ALL:
            return self.nodes
        if name in self.groups:
            return tuple(self.groups[name])
        return (name,) if name in self.nodes else ()

    def may_be_unreadable(self, name: str) -> bool:
        """Return whether the name may belong to a group that could not be parsed."""
        return name in self.unreadable or any(
            re.fullmatch(re.escape(group) + r"-[0-9]+", name) is not None for group in self.unreadable
        )


def resolve_selector(
    selector: Selector,
    directory: NodeDirectory,
    seed: int,
    place: str,
    able: Callable[[str], bool] | None = None,
) -> tuple[str, ...]:
    """Return the selected nodes, each once, in the order of the scenario.

    ``place`` is the selector's own (``timeline[3].kill``): random choices in two places differ. They are made among the
    nodes that are ``able``, by default among all. Raises InvalidValueError for a name that no node or group has, and a
    count that is larger than the group.
    """
    chosen: set[str] = set()
    for index, term in enumerate(selector.terms):
        item = index if selector.listed else None
        candidates = directory.named(term.name)
        if not candidates:
            if directory.may_be_unreadable(term.name):
                continue
            raise InvalidValueError(
                f"no node or group has the name `{term.name}`", _known_names(term.name, directory), item
            )
        wanted = len(candidates)
        if term.kind is SelectorAmount.COUNT:
            wanted = term.amount
        elif term.kind is SelectorAmount.PERCENT:
            wanted = max(1, (len(candidates) * term.amount + 50) // 100)
        if wanted > len(candidates):
            raise InvalidValueError(
                f"`{term}`: there are only {len(candidates)}",
                f"write at most `{len(candidates)} of {term.name}`",
                item,
            )
        if able is not None and term.kind is not SelectorAmount.EVERY:
            candidates = tuple(node for node in candidates if able(node))
            if wanted > len(candidates):
                left = f"only {len(candidates)} of them" if candidates else "none of them"
                hint = "the others are not running then, or are already in that state"
                raise InvalidValueError(f"`{term}`: {left} can be affected at that time", hint, item)
        chosen.update(_draw(candidates, wanted, f"{seed}/{place}/{index}"))
    return tuple(node for node in directory.nodes if node in chosen)


def _draw(candidates: Sequence[str], wanted: int, salt: str) -> Sequence[str]:
    if wanted == len(candidates):
        return candidates
    # Ranked by hash, not drawn by random.sample: the choice must not change when Python changes its algorithm.
    return sorted(candidates, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode()).digest())[:wanted]


def _known_names(name: str, directory: NodeDirectory) -> str:
    if close := closest(name, [*directory.groups, *directory.nodes, ALL]):
        return f"did you mean `{close}`?"
    groups = [
        f"`{group}`" + (f" (`{nodes[0]}` to `{nodes[-1]}`)" if len(nodes) > 1 else "")
        for group, nodes in directory.groups.items()
    ]
    return "there are: " + ", ".join(groups) if groups else ""
