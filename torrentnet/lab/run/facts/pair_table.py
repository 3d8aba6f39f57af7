"""The bytes that pairs of nodes have exchanged.

Observers report the payload bytes of TCP connections, from the kernel. Our own peers report the bytes of blocks that
they sent when a connection ends, and how many pieces each source has given when a download is complete. Of a pair
with several reports, the largest one counts: each of them is a lower bound.

Tested by tests/unit/lab/run/facts/test_pair_table.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torrentnet.runtime.events import Event

MAX_PAIRS: Final = 100_000
"""Pairs of nodes, for each kind of report; a lab has a few hundred nodes."""
_KINDS: Final = ("received", "sent", "upload", "pieces")
RECENT: Final = 1.5
"""Seconds in which a source has sent something, before the last bytes of all."""


@dataclass(slots=True)
class _Counted:
    """A pair's bytes by one kind of report."""

    before: int = 0
    """Bytes of earlier runs of the program that reports."""
    now: int = 0
    grown: float = 0.0
    """When bytes were last added, in seconds since the epoch."""

    @property
    def total(self) -> int:
        return self.before + self.now

    def set(self, number: int, time: float) -> None:
        """Take over a number that grows until the program starts again."""
        if number < self.now:
            self.before, self.now = self.total, 0
        if number > self.now:
            self.now, self.grown = number, time


class PairTable:
    """The bytes of each pair of nodes. Not thread-safe: the lab's state locks.

    ``name_of`` returns the name of the node with an address.
    """

    def __init__(self, name_of: Callable[[str], str]) -> None:
        self._name_of = name_of
        self._counted: dict[tuple[str, str, str], _Counted] = {}
        """By receiver, sender and the kind of report."""
        self._piece_sizes: dict[str, float] = {}

    def add(self, event: Event) -> None:
        """Read what an event says about a pair."""
        get = event.fields.get
        match event.name:
            case "pair":
                peer = self._name_of(get("peer", ""))
                self._set(event.node, peer, "received", event.number("received") or 0, event.time)
                self._set(peer, event.node, "sent", event.number("sent") or 0, event.time)
            case "upload":
                counted = self._of(self._name_of(get("address", "")), event.node, "upload")
                counted.set(counted.now + (event.number("bytes") or 0), event.time)
            case "progress":
                if pieces := event.number("pieces"):
                    self._piece_sizes[event.node] = (event.number("size") or 0) / pieces
            case "completed":
                # Observers give bytes, our own peers pieces.
                size = 1.0 if "sha256" in event.fields else self._piece_sizes.get(event.node, 0.0)
                for peer, number in _pieces_of_sources(get("sources", "")):
                    self._set(event.node, peer, "pieces", int(number * size), event.time)

    def _set(self, receiver: str, sender: str, kind: str, number: int, time: float) -> None:
        self._of(receiver, sender, kind).set(number, time)

    def _of(self, receiver: str, sender: str, kind: str) -> _Counted:
        found = self._counted.get((receiver, sender, kind))
        if found is None:
            found = _Counted()
            if len(self._counted) < MAX_PAIRS:
                self._counted[receiver, sender, kind] = found
        return found

    def _reports(self, node: str, peer: str) -> list[_Counted]:
        """Return what is reported of the bytes that a node has received from another one."""
        return [counted for kind in _KINDS if (counted := self._counted.get((node, peer, kind))) is not None]

    def received(self, node: str, peer: str) -> int:
        """Return the bytes that a node has received from another one."""
        return max((counted.total for counted in self._reports(node, peer)), default=0)

    def source(self, node: str, peers: Iterable[str]) -> str:
        """Return which of some peers a node downloads from, or downloaded from last.

        Of those that have just sent something it is the one with the most bytes. The result is empty where there is
        none.
        """
        grown = {
            peer: max(counted.grown for counted in self._reports(node, peer))
            for peer in peers
            if self.received(node, peer)
        }
        last = max(grown.values(), default=0.0)
        recent = [(self.received(node, peer), peer) for peer, time in grown.items() if time >= last - RECENT]
        return max(recent, default=(0, ""))[1]


def _pieces_of_sources(text: str) -> list[tuple[str, int]]:
    """Return the peers and numbers of ``NAME:NUMBER,...``."""
    found = []
    for part in text.split(","):
        name, colon, number = part.rpartition(":")
        if colon and number.isascii() and number.isdigit():
            found.append((name, int(number)))
    return found
