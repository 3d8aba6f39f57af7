"""Which pieces a node has is shown where they are, at any width."""

from __future__ import annotations

import pytest

from torrentnet.lab.run.facts.piece_map import MAX_BINS, PieceMaps
from torrentnet.runtime.events import Event


def progress(have: int, pieces: int, arrived: str = "", name: str = "progress") -> Event:
    fields = {"have": str(have), "pieces": str(pieces)} | ({"arrived": arrived} if arrived else {})
    return Event(name, 0.0, fields, "leecher")


def bar(maps: PieceMaps, have: int, pieces: int, width: int) -> str:
    return "".join(
        ".-=#"[3 if s >= 1 else 2 if s >= 0.5 else 1 if s else 0] for s in maps.shares("leecher", have, pieces, width)
    )


def test_pieces_are_shown_where_they_are() -> None:
    maps = PieceMaps()
    maps.add(progress(2, 8, "198.18.0.3:6881/7@3,2"))
    assert bar(maps, 2, 8, 8) == "..#....#"
    assert bar(maps, 2, 8, 4) == ".=.="
    assert bar(maps, 2, 8, 16) == "....##........##"
    maps.add(progress(4, 8, "198.18.0.3:6881/3@0;198.18.0.4:6881/0@0"))
    assert bar(maps, 4, 8, 8) == "#.##...#"


def test_pieces_whose_numbers_are_not_known_come_first() -> None:
    maps = PieceMaps()
    maps.add(progress(3, 8))
    assert bar(maps, 3, 8, 8) == "###....."
    assert bar(maps, 1, 2, 5) == "##=.."
    maps.add(progress(5, 10, name="resumed"))
    maps.add(progress(6, 10, "198.18.0.3:6881/9@0"))
    assert bar(maps, 6, 10, 10) == "######...."


def test_a_node_that_begins_anew_has_lost_its_pieces() -> None:
    maps = PieceMaps()
    maps.add(progress(2, 4, "198.18.0.3:6881/0-1@0"))
    maps.add(progress(1, 4, "198.18.0.3:6881/3@0"))
    assert bar(maps, 1, 4, 4) == "...#"


@pytest.mark.parametrize("width", [1, 3, 24, 200])
def test_all_and_nothing_are_full_and_empty_bars(width: int) -> None:
    maps = PieceMaps()
    assert bar(maps, 8, 8, width) == "#" * width
    assert bar(maps, 0, 8, width) == "." * width
    assert bar(maps, 0, 0, width) == "." * width


def test_a_file_of_many_pieces_takes_little_memory() -> None:
    maps = PieceMaps()
    pieces = 40 * MAX_BINS
    arrived = ",".join(f"{first}-{first + 4095}@0" for first in range(0, pieces // 2, 4096))
    maps.add(progress(pieces // 2, pieces, f"198.18.0.3:6881/{arrived}"))
    assert bar(maps, pieces // 2, pieces, 10) == "#####....."


def test_a_piece_that_the_file_does_not_have_is_left_out() -> None:
    maps = PieceMaps()
    maps.add(progress(1, 4, "198.18.0.3:6881/4000000000@0,nonsense"))
    maps.add(progress(1, 0, "198.18.0.3:6881/0@0"))
    assert bar(maps, 1, 4, 4) == "#..."
