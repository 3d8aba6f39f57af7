"""Columns of pieces: packed, and joined where there are very many."""

from __future__ import annotations

import base64
import gzip
from array import array

from torrentnet.lab.report.arrival_columns import Arrivals, binned_arrivals, joined_pieces, packed_columns


def test_packed_columns_hold_the_differences_of_times() -> None:
    arrivals = Arrivals()
    for row in ((30, 1, 7, 0), (-5, 2, 8, -1), (30, 3, 9, 1)):
        arrivals.add(*row)
    packed = packed_columns(arrivals.columns())
    numbers = array("i", gzip.decompress(base64.b64decode(packed["gz"])))
    assert packed["n"] == 3
    assert list(numbers) == [-5, 35, 0, 2, 1, 3, 8, 7, 9, -1, 0, 1]


def test_very_many_pieces_are_joined_and_it_is_said() -> None:
    nodes = [{"file": 0} for _ in range(100)]
    arrivals = Arrivals()
    for piece in range(100):
        for node in range(100):
            arrivals.add(piece, node, piece, (node + 1) % 100)
    binned, joined = binned_arrivals(arrivals.columns(), [{"pieces": 100}], nodes, most=2000)
    assert binned is not None
    assert binned["piece_bin"] == 5
    assert binned["text"].startswith("10,000 pieces arrived: 5 neighbouring pieces are drawn as one")
    assert len(joined["t"]) == 2000
    first = joined["node"].index(7)
    assert (joined["t"][first], joined["piece"][first], joined["source"][first]) == (4, 0, 8)


def test_a_joined_piece_that_stays_incomplete_is_shown() -> None:
    nodes = [{"file": 0}]
    arrivals = Arrivals()
    for piece in range(21):
        arrivals.add(piece, 0, piece, 0)
    binned, joined = binned_arrivals(arrivals.columns(), [{"pieces": 200}], nodes, most=20)
    assert binned is not None and binned["piece_bin"] == 2
    assert joined["piece"][-1] == 10
    assert joined_pieces([0, 1, 5], 2) == [0, 2]


def test_few_pieces_stay_as_they_are() -> None:
    columns = Arrivals().columns()
    assert binned_arrivals(columns, [], []) == (None, columns)
