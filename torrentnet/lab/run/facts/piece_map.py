"""Which pieces of its file each node has, for bars of any width."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from torrentnet.lab.run.facts.arrivals import arrivals

if TYPE_CHECKING:
    from torrentnet.runtime.events import Event

MAX_BINS: Final = 16_384
"""Counters kept of each node; of a file with more pieces, neighbours share one."""
MAX_COUNT: Final = 255
"""Of one counter."""


@dataclass(slots=True)
class _NodePieces:
    pieces: int
    have: int = 0
    known: int = 0
    """Pieces of which it is known that they are there; the numbers of the others are not."""
    bins: bytearray = field(default_factory=bytearray)


class PieceMaps:
    """The pieces of all nodes, from their events. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: dict[str, _NodePieces] = {}

    def add(self, event: Event) -> None:
        """Note what an event says about a node's pieces."""
        if event.name not in {"progress", "resumed"}:
            return
        pieces, have = event.number("pieces") or 0, event.number("have") or 0
        with self._lock:
            node = self._nodes.get(event.node)
            # A node that has fewer pieces than before has begun anew.
            if node is None or node.pieces != pieces or have < node.have or event.name == "resumed":
                node = self._nodes[event.node] = _NodePieces(pieces, bins=bytearray(min(pieces, MAX_BINS)))
            node.have = have
            for arrival in arrivals(event):
                if arrival.piece < pieces:
                    place = arrival.piece * len(node.bins) // pieces
                    node.bins[place] = min(MAX_COUNT, node.bins[place] + 1)
                    node.known += 1

    def shares(self, node: str, have: int, pieces: int, width: int) -> list[float]:
        """Return the share that a node has of each of ``width`` equal parts of its file.

        ``have`` and ``pieces`` are its current numbers. Where it is not known which pieces the node has, they are
        shown as the first ones.
        """
        if not pieces or have >= pieces:
            return [float(pieces > 0)] * width
        with self._lock:
            found = self._nodes.get(node)
            if found is None or found.pieces != pieces or found.known != found.have:
                full = have * width / pieces
                return [min(1.0, max(0.0, full - index)) for index in range(width)]
            bins = bytes(found.bins)
        size = pieces / len(bins)
        shares = []
        for index in range(width):
            first = index * len(bins) // width
            last = max(first + 1, (index + 1) * len(bins) // width)
            shares.append(min(1.0, sum(bins[first:last]) / ((last - first) * size)))
        return shares
