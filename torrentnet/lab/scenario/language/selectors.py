"""Who is meant: ``seeder-1``, ``seeder``, ``[a, b]``, ``all``, ``1 of leecher``, ``30% of leecher``.

A random choice follows the scenario's seed and the place in which it stands, so that the same file chooses the same
nodes on every machine and with every version of Python.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ALL = "all"
MAX_TERMS = 200
_SHARE = re.compile(r"(?P<amount>[0-9]{1,6})(?P<percent>%?)\s+of\s+(?P<name>\S+)")
_NAME = re.compile(r"[^\s,\[\]{}%]+")


class SelectorAmount(StrEnum):
    """How many of the nodes that a term names."""

    EVERY = "every"
    COUNT = "count"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True)
class SelectorTerm:
    """One part of a selector: a name, and how many of the nodes under it."""

    name: str
    kind: SelectorAmount = SelectorAmount.EVERY
    amount: int = 0

    def __str__(self) -> str:
        if self.kind is SelectorAmount.EVERY:
            return self.name
        return f"{self.amount}{'%' if self.kind is SelectorAmount.PERCENT else ''} of {self.name}"


@dataclass(frozen=True, slots=True)
class Selector:
    """Nodes as the scenario names them, before it is known which nodes there are."""

    terms: tuple[SelectorTerm, ...]
    listed: bool = False
    """Whether it was written as a list, so that messages can point at the item."""

    @property
    def random(self) -> bool:
        """Whether chance chooses some of them."""
        return any(term.kind is not SelectorAmount.EVERY for term in self.terms)

    def __str__(self) -> str:
        return ", ".join(str(term) for term in self.terms)


class SelectorError(ValueError):
    """A selector that cannot be read or that meets no node."""

    def __init__(self, text: str, hint: str = "", item: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.item = item
        """Index in the list, where it was written as one."""


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


def parse_selector(value: object) -> Selector:
    """Read what stands in the file: a text, or a list of texts.

    Raises:
        SelectorError: it is neither, or a text that names nobody.
    """
    if isinstance(value, str):
        return Selector((_term(value),))
    if not isinstance(value, list):
        raise SelectorError(
            "expected a node, a group or a list of them", "for example `seeder-1` or `[seeder-1, leecher]`"
        )
    if not value:
        raise SelectorError("the list names nobody", "name a node or a group")
    if len(value) > MAX_TERMS:
        raise SelectorError(f"the list has more than {MAX_TERMS} names", "name a group instead")
    terms: list[SelectorTerm] = []
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise SelectorError("expected the name of a node or a group", item=index)
        try:
            terms.append(_term(item))
        except SelectorError as error:
            raise SelectorError(error.text, error.hint, index) from None
    return Selector(tuple(terms), listed=True)


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


def _term(text: str) -> SelectorTerm:
    text = text.strip()
    if match := _SHARE.fullmatch(text):
        amount = int(match["amount"])
        kind = SelectorAmount.PERCENT if match["percent"] else SelectorAmount.COUNT
        if amount == 0:
            raise SelectorError(f"`{text}` is nobody")
        if kind is SelectorAmount.PERCENT and amount > 100:
            raise SelectorError(f"`{text}` is more than all of them")
        return SelectorTerm(match["name"], kind, amount)
    if _NAME.fullmatch(text):
        return SelectorTerm(text)
    if "," in text:
        items = ", ".join(part.strip() for part in text.strip("[]").split(","))
        raise SelectorError(f"`{text}` is no name", f"did you mean the list `[{items}]`?")
    raise SelectorError(
        f"`{text}` names nobody" if text else "an empty text names nobody",
        "write a node (`seeder-1`), a group (`seeder`), a list, `all`, `1 of leecher` or `30% of leecher`",
    )


def _known(name: str, directory: NodeDirectory) -> str:
    close = difflib.get_close_matches(name, [*directory.groups, *directory.nodes, ALL], n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    groups = [
        f"`{group}`" + (f" (`{nodes[0]}` to `{nodes[-1]}`)" if len(nodes) > 1 else "")
        for group, nodes in directory.groups.items()
    ]
    return "there are " + ", ".join(groups) if groups else ""
