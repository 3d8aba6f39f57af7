"""The verified pieces of a run, as columns: a row for each piece that arrived."""

from __future__ import annotations

import base64
import gzip
import sys
from array import array
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torrentnet.lab.report.record_values import Document

COLUMNS: Final = ("t", "node", "piece", "source")
UNKNOWN: Final = -1
MAX_ARRIVALS: Final = 200_000
"""More than these are joined."""
MAX_KEPT: Final = 4_000_000
"""Pieces that are kept at all, 64 MB."""
COMPRESSION: Final = 6


class Arrivals:
    """The verified pieces of a run, as four columns."""

    def __init__(self) -> None:
        self._columns = {name: array("i") for name in COLUMNS}
        self.dropped = 0
        """Pieces beyond :data:`MAX_KEPT`."""

    def __len__(self) -> int:
        return len(self._columns["t"])

    def add(self, ms: int, node: int, piece: int, source: int) -> None:
        """Add one piece."""
        if len(self) >= MAX_KEPT:
            self.dropped += 1
            return
        t, nodes, pieces, sources = self._columns.values()
        t.append(ms)
        nodes.append(node)
        pieces.append(piece)
        sources.append(source)

    def since(self, start: int) -> Document:
        """Return the rows from one on as plain lists; empty where there is none."""
        if start >= len(self):
            return {}
        return {name: list(column[start:]) for name, column in self._columns.items()}

    def columns(self) -> Document:
        """Return all rows in the order of time, as plain lists."""
        times = self._columns["t"]
        order = sorted(range(len(times)), key=times.__getitem__)
        return {name: [column[row] for row in order] for name, column in self._columns.items()}


def binned_arrivals(
    arrivals: Document, files: Iterable[Document], nodes: list[Document], most: int = MAX_ARRIVALS
) -> tuple[Document | None, Document]:
    """Join pieces where there are too many arrivals.

    Returns how, and the arrivals of the joined pieces. A joined piece has arrived at a node when its last piece has,
    from where most of its pieces came.
    """
    count = len(arrivals["t"])
    if count <= most:
        return None, arrivals
    size = -(-count // most)
    pieces_of = [file.get("pieces") or 0 for file in files]
    left: dict[tuple[int, int], int] = {}
    sources: dict[tuple[int, int], dict[int, int]] = {}
    joined = Arrivals()
    last: dict[tuple[int, int], int] = {}
    for ms, node, piece, source in zip(*(arrivals[name] for name in COLUMNS), strict=True):
        place = piece // size if piece >= 0 else UNKNOWN
        key = node, place
        if key not in left:
            file = nodes[node].get("file", UNKNOWN)
            whole = pieces_of[file] if 0 <= file < len(pieces_of) else 0
            left[key] = min(size, whole - place * size) if piece >= 0 and whole > place * size else size
            sources[key] = {}
        left[key] -= 1
        last[key] = ms
        found = sources[key]
        found[source] = found.get(source, 0) + 1
        if not left[key]:
            joined.add(ms, node, place, max(found, key=found.__getitem__))
            del left[key], sources[key], last[key]
    # Bins of which a piece is missing: drawn at their last piece, so that what has arrived is not lost from sight.
    for (node, place), ms in last.items():
        found = sources[node, place]
        joined.add(ms, node, place, max(found, key=found.__getitem__))
    text = f"{count:,} pieces arrived: {size} neighbouring pieces are drawn as one, at the time of the last of them"
    return {"piece_bin": size, "text": text}, joined.columns()


def joined_pieces(pieces: Iterable[int], size: int) -> list[int]:
    """Return the numbers of the joined pieces that some pieces are part of."""
    return sorted({piece // size for piece in pieces})


def packed_columns(arrivals: Document) -> Document:
    """Return plain columns as report.html has them.

    They are little-endian integers of 32 bits, one column after the other, times as differences; compressed, as base64.
    """
    times = arrivals["t"]
    columns = [array("i", [after - before for before, after in zip([0, *times], times, strict=False)])]
    columns += [array("i", arrivals[name]) for name in COLUMNS[1:]]
    if sys.byteorder == "big":
        for column in columns:
            column.byteswap()
    data = gzip.compress(b"".join(column.tobytes() for column in columns), COMPRESSION, mtime=0)
    return {"n": len(times), "gz": base64.b64encode(data).decode("ascii")}
