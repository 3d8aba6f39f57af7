"""A table of nodes fits into any terminal, with the pieces as bars."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from torrentnet.lab.cli.node_table import BLOCKS, PieceBar, node_table, rest_line
from torrentnet.lab.run.facts.piece_map import PieceMaps


def crowd(size: int) -> tuple[list[PieceBar | str], PieceMaps]:
    maps = PieceMaps()
    return [PieceBar(maps, f"leecher-{index}", index % 33, 32) for index in range(size)], maps


def table_of(console: Console, size: int) -> list[str]:
    bars, _ = crowd(size)
    rows = [
        (f"leecher-{index}", "198.18.0.200", "get", f"{index % 33}/32", bar, "seeder-1")
        for index, bar in enumerate(bars)
    ]
    table, _ = node_table(console, "crowd", ("node", "address", "state", "pieces", "", "from"), rows)
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()


def screen(width: int, height: int = 24, encoding: str = "utf-8", **more: Any) -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    return Console(file=file, force_terminal=True, width=width, height=height, color_system=None, **more)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_a_table_with_bars_fits_into_the_terminal(width: int) -> None:
    lines = table_of(screen(width), 50)
    assert max(map(len, lines)) <= width
    assert len(lines) < 24
    assert all("…" not in line for line in lines)


def test_a_narrow_terminal_keeps_the_bars_longer_than_the_addresses() -> None:
    assert "198.18" in table_of(screen(80), 3)[2]
    narrow = table_of(screen(50), 3)
    assert "198.18" not in narrow[2]
    assert "▒░" in narrow[3]


def test_bars_take_the_room_that_is_left() -> None:
    lines = {width: table_of(screen(width), 3)[3] for width in (80, 100)}
    bars = {width: sum(char in BLOCKS for char in line) for width, line in lines.items()}
    assert bars[100] == bars[80] + 20 > 40


def test_a_terminal_without_utf_8_gets_bars_of_ascii() -> None:
    lines = table_of(screen(80, encoding="ascii"), 20)
    assert all(line.isascii() for line in lines)
    assert any("##" in line and ".." in line for line in lines)


def test_the_table_follows_the_terminal_when_it_is_resized() -> None:
    console = screen(100)
    wide = table_of(console, 5)
    console.width = 60
    narrow = table_of(console, 5)
    assert max(map(len, narrow)) <= 60 < max(map(len, wide))


def test_nodes_without_room_are_counted_by_what_they_do() -> None:
    console = screen(80)
    assert str(rest_line(["get", "seed", "get", ""], console=console)) == "and 4 more: 1 seed, 2 downloading"
    assert str(rest_line(["", ""], console=console)) == "and 2 more"
