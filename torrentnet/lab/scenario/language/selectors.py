"""Selectors of nodes, such as ``seeder-1``, ``all`` and ``1 of leecher``.

The other forms are ``seeder`` (a group), ``[a, b]``, ``30% of leecher`` and ``source of leecher-1``.

Tested by tests/unit/lab/scenario/resolve/test_context.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from torrentnet.lab.scenario.language.scalars import InvalidValueError

ALL: Final = "all"
MAX_TERMS: Final = 200
_SHARE: Final = re.compile(r"(?P<amount>[0-9]{1,6})(?P<percent>%?)\s+of\s+(?P<name>\S+)")
_SOURCE: Final = re.compile(r"source\s+of\s+(?P<name>[^\s,\[\]{}%]+)")
_NAME: Final = re.compile(r"[^\s,\[\]{}%]+")


class SelectorAmount(StrEnum):
    """How many of the nodes with a name a term selects."""

    EVERY = "every"
    COUNT = "count"
    PERCENT = "percent"
    SOURCE = "source"
    """The node from which that node has received most, which is known only while the lab runs."""


@dataclass(frozen=True, slots=True)
class SelectorTerm:
    """One part of a selector: the name of a node or group, and how many of its nodes."""

    name: str
    kind: SelectorAmount = SelectorAmount.EVERY
    amount: int = 0

    def __str__(self) -> str:
        if self.kind is SelectorAmount.EVERY:
            return self.name
        if self.kind is SelectorAmount.SOURCE:
            return f"source of {self.name}"
        return f"{self.amount}{'%' if self.kind is SelectorAmount.PERCENT else ''} of {self.name}"


@dataclass(frozen=True, slots=True)
class Selector:
    """Nodes as a scenario names them, before it is known which nodes exist."""

    terms: tuple[SelectorTerm, ...]
    listed: bool = False
    """Whether it was written as a list, so that a message can point at an item."""

    @property
    def random(self) -> bool:
        """Whether some of the nodes are chosen at random."""
        return any(term.kind in {SelectorAmount.COUNT, SelectorAmount.PERCENT} for term in self.terms)

    @property
    def source_of(self) -> str:
        """The node or group whose source is selected.

        It is empty where the nodes are known before the run.
        """
        return next((term.name for term in self.terms if term.kind is SelectorAmount.SOURCE), "")

    def __str__(self) -> str:
        return ", ".join(str(term) for term in self.terms)


def parse_selector(value: object) -> Selector:
    """Parse a text or a list of texts. Raises InvalidValueError for any other value."""
    if isinstance(value, str):
        return Selector((_parse_term(value),))
    if not isinstance(value, list):
        raise InvalidValueError(
            "expected a node, a group or a list of them", "for example `seeder-1` or `[seeder-1, leecher]`"
        )
    if not value:
        raise InvalidValueError("the list is empty", "name a node or a group")
    if len(value) > MAX_TERMS:
        raise InvalidValueError(f"the list has more than {MAX_TERMS} names", "name a group instead")
    terms: list[SelectorTerm] = []
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise InvalidValueError("expected the name of a node or a group", item=index)
        try:
            terms.append(_parse_term(item))
            if terms[-1].kind is SelectorAmount.SOURCE and len(value) > 1:
                raise InvalidValueError(f"`{item}` cannot be in a list", "write an event for it alone")
        except InvalidValueError as error:
            raise InvalidValueError(error.text, error.hint, index) from None
    return Selector(tuple(terms), listed=True)


def _parse_term(text: str) -> SelectorTerm:
    text = text.strip()
    if match := _SHARE.fullmatch(text):
        amount = int(match["amount"])
        kind = SelectorAmount.PERCENT if match["percent"] else SelectorAmount.COUNT
        if amount == 0:
            raise InvalidValueError(f"`{text}` selects no node")
        if kind is SelectorAmount.PERCENT and amount > 100:
            raise InvalidValueError(f"`{text}` is more than all of the nodes")
        return SelectorTerm(match["name"], kind, amount)
    if match := _SOURCE.fullmatch(text):
        return SelectorTerm(match["name"], SelectorAmount.SOURCE)
    if _NAME.fullmatch(text):
        return SelectorTerm(text)
    if "," in text:
        items = ", ".join(part.strip() for part in text.strip("[]").split(","))
        raise InvalidValueError(f"`{text}` is not a name", f"did you mean the list `[{items}]`?")
    raise InvalidValueError(
        f"`{text}` does not name a node" if text else "the text is empty",
        "write a node (`seeder-1`), a group (`seeder`), a list, `all`, `1 of leecher` or `30% of leecher`",
    )
