"""Who is meant: ``seeder-1``, ``seeder``, ``[a, b]``, ``all``, ``1 of leecher``, ``30% of leecher``.

A random choice follows the scenario's seed and the place in which it stands, so that the same file chooses the same
nodes on every machine and with every version of Python.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

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
