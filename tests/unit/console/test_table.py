"""Tables: alignment, streaming, and escaped cells."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING

from torrentnet.console.table import SAMPLE_ROWS, in_columns, table

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_columns_are_aligned_and_numbers_to_the_right() -> None:
    rows = [("seeder-1", 5, "x"), ("leecher-10", 32, None), ("l", None, "yy")]
    assert list(table(("peer", "pieces", "state"), rows)) == [
        "peer        pieces  state",
        "seeder-1         5  x",
        "leecher-10      32  -",
        "l                -  yy",
    ]


def test_wide_and_combining_characters_are_counted_as_they_are_shown() -> None:
    assert list(table((), [("文件", "a"), ("e\u0301e", "b")])) == ["文件  a", "e\u0301e    b"]


def test_a_column_can_be_right_aligned_and_rows_indented() -> None:
    assert list(table(("took",), [("5ms",), ("12s",), ("1m30s",)], right=("took",), indent="  ")) == [
        "   took",
        "    5ms",
        "    12s",
        "  1m30s",
    ]


def test_a_name_cannot_act_on_the_terminal() -> None:
    (line,) = table((), [("a\x1b[2J\nb\tc\u202e", "x")])
    assert line == "a\\u001b[2J\\u000ab c\\u202e  x"


def test_rows_stream_and_a_late_wide_cell_moves_only_its_own_row() -> None:
    made = 0

    def rows() -> Iterator[tuple[str, str]]:
        nonlocal made
        for number in count():
            made = number + 1
            yield ("x" if number != SAMPLE_ROWS else "x" * 9), "y"

    lines = list(islice(table(("name", "y"), rows()), SAMPLE_ROWS + 3))
    assert made <= SAMPLE_ROWS + 2
    assert lines[-2:] == ["xxxxxxxxx  y", "x     y"]


def test_no_rows_give_the_headers_and_rows_may_be_ragged() -> None:
    assert list(table(("a", "b"), [])) == ["a  b"]
    assert list(table(("a",), [("x", "y"), ("z",)])) == ["a", "x  y", "z"]
    assert list(table((), [])) == []


def test_candidates_are_shown_in_columns() -> None:
    words = tuple(f"word{number}" for number in range(7))
    assert in_columns(words, 25) == ["word0  word3  word6", "word1  word4", "word2  word5"]
    assert in_columns(("a" * 50, "b"), 25) == ["a" * 50, "b"]
    assert in_columns(("文件", "\x1b"), 80) == ["文件    \\u001b"]
