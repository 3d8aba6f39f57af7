"""The pieces that a node has verified, from its ``progress`` events.

A peer of ours lists in the field ``arrived`` the pieces since its last such event. Groups of one source are separated
by semicolons: ``198.18.0.3:6881/0@240,1-3@239,7;198.18.0.4:6881/4@10`` says that piece 0 was verified 240 ms before the
line was written, pieces 1, 2, 3 and 7 239 ms before it, and piece 4, of another source, 10 ms before it.

Tested by tests/unit/lab/run/facts/test_arrivals.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.runtime.events import Event

MAX_PIECE: Final = 2**32
"""The wire format counts pieces in four bytes; a larger number is none of ours."""
MAX_RUN: Final = 4096
"""Pieces in one item of the list; a node that prints more is not ours."""

_ITEM: Final = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?(?:@([0-9]{1,9}))?")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A piece that a node has verified."""

    piece: int
    """Counted from 0."""
    address: str
    """Where its source listens, ``IP:PORT``."""
    time: float
    """When it was verified, on the clock of :attr:`Event.time`."""


def arrivals(event: Event) -> Iterator[Arrival]:
    """Yield the pieces that a ``progress`` event lists, in the order of the list.

    Nothing is listed by other events, by other projects' clients and in old records. A text of any other form is
    skipped: a node may print anything.
    """
    if event.name != "progress":
        return
    for group in str(event.fields.get("arrived", "")).split(";"):
        address, slash, items = group.rpartition("/")
        age = 0
        for item in items.split(",") if slash else ():
            found = _ITEM.fullmatch(item)
            if found is None:
                break
            first, last = int(found[1]), int(found[2] or found[1])
            age = age if found[3] is None else int(found[3])
            if not first <= last < min(MAX_PIECE, first + MAX_RUN):
                break
            for piece in range(first, last + 1):
                yield Arrival(piece, address, event.time - age / 1000)
