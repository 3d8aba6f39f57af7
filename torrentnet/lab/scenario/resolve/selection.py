"""Which nodes a selector means.

A random choice follows the scenario's seed and the selector's place in the file, so that the same file selects the same
nodes on every machine and with every version of Python.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.selectors import ALL, SelectorAmount, SelectorError
from torrentnet.runtime.suggestions import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torrentnet.lab.scenario.language.selectors import Selector


@dataclass(frozen=True, slots=True)
class NodeDirectory:
    """Which nodes there are, for selectors to be resolved against."""

    groups: Mapping[str, Sequence[str]]
    """Group name to node names, both in the order of the file."""
    unknown: frozenset[str] = frozenset()
    """Groups that the file means to define but that could not be read; what names them is not judged."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node, in the order of the file."""
        return tuple(node for group in self.groups.values() for node in group)

    def named(self, name: str) -> tuple[str, ...]:
        """The nodes under a node's name, a group's name or ``all``; empty where there are none."""
        if name == ALL:
            return self.nodes
        if name in self.groups:
            return tuple(self.groups[name])
        return (name,) if name in self.nodes else ()

    def unsure(self, name: str) -> bool:
        """Whether the name may belong to a group that could not be read."""
        return name in self.unknown or any(
            re.fullmatch(re.escape(group) + r"-[0-9]+", name) is not None for group in self.unknown
        )


def resolve_selector(
    selector: Selector,
    directory: NodeDirectory,
    seed: int,
    place: str,
    able: Callable[[str], bool] | None = None,
) -> tuple[str, ...]:
    """The nodes that are meant, each once, in the order in which the scenario defines them.

    Args:
        selector: who is meant.
        directory: which nodes there are.
        seed: the scenario's, for random choices.
        place: where the selector stands (``timeline[3].kill``), so that two random choices do not follow each other.
        able: which nodes a random choice is made among; all of them where it is left out.

    Raises:
        SelectorError: a name that no node or group has, or a count that is larger than the group.
    """
    chosen: set[str] = set()
    for index, term in enumerate(selector.terms):
        item = index if selector.listed else None
        candidates = directory.named(term.name)
        if not candidates:
            if directory.unsure(term.name):
                continue
            raise SelectorError(f"no node and no group is called `{term.name}`", _known(term.name, directory), item)
        wanted = len(candidates)
        if term.kind is SelectorAmount.COUNT:
            wanted = term.amount
        elif term.kind is SelectorAmount.PERCENT:
            wanted = max(1, (len(candidates) * term.amount + 50) // 100)
        if wanted > len(candidates):
            raise SelectorError(
                f"`{term}`: there are only {len(candidates)}", f"at most `{len(candidates)} of {term.name}`", item
            )
        if able is not None and term.kind is not SelectorAmount.EVERY:
            candidates = tuple(node for node in candidates if able(node))
            if wanted > len(candidates):
                met = f"only {len(candidates)} of them" if candidates else "none of them"
                raise SelectorError(f"`{term}`: {met} can be met then", "the others do not run, or do already", item)
        chosen.update(_draw(candidates, wanted, f"{seed}/{place}/{index}"))
    return tuple(node for node in directory.nodes if node in chosen)


def _draw(candidates: Sequence[str], wanted: int, salt: str) -> Sequence[str]:
    if wanted == len(candidates):
        return candidates
    # A rank by hash, not random.sample: the choice has to stay the same when Python changes its algorithm.
    return sorted(candidates, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode()).digest())[:wanted]


def _known(name: str, directory: NodeDirectory) -> str:
    if close := closest(name, [*directory.groups, *directory.nodes, ALL]):
        return f"did you mean `{close}`?"
    groups = [
        f"`{group}`" + (f" (`{nodes[0]}` to `{nodes[-1]}`)" if len(nodes) > 1 else "")
        for group, nodes in directory.groups.items()
    ]
    return "there are " + ", ".join(groups) if groups else ""
