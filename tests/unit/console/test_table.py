"""Tables: alignment, streaming, and escaped cells."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING

from torrentnet.console.table import SAMPLE_ROWS, for_terminal, in_columns, table, terminal_columns
from torrentnet.runtime.text import text_width

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


REQUESTS = ("TIME", "ID", "PEER", "REQUEST", "OUTCOME", "HOLDERS AT THE TIME")
REQUEST_ROWS = [
    (
        "2026-11-23T13:16:36.308Z",
        1,
        "leecher-1",
        "get myfile.txt",
        "succeeded from seeder-2, seeder-1 (8 MiB in 4.13 s)",
        "seeder-1, seeder-2, seeder-3",
    ),
    ("2026-11-23T13:16:41.233Z", 2, "leecher-2", "get myfile.txt", None, "seeder-1"),
]
ANSWERS = ("TIME", "FROM", "RESPONSE", "BYTES", "MS", "RESULT")
ANSWER_ROWS = [
    ("13:16:36.309Z", "tracker", "myfile.txt: 8388608 bytes, complete at seeder-1, seeder-2", None, None, "claimed"),
    ("13:16:36.402Z", "seeder-1", "piece 0", 262144, "86.2", "verified"),
    ("13:16:37.990Z", "seeder-1", "source lost", None, None, "closed the connection"),
]


def test_a_wide_column_is_wrapped_inside_its_cells() -> None:
    with for_terminal(80):
        assert list(table(ANSWERS, ANSWER_ROWS, right=("BYTES", "MS"))) == [
            "TIME           FROM      RESPONSE              BYTES    MS  RESULT",
            "13:16:36.309Z  tracker   myfile.txt: 8388608       -     -  claimed",
            "                         bytes, complete at",
            "                         seeder-1, seeder-2",
            "13:16:36.402Z  seeder-1  piece 0              262144  86.2  verified",
            "13:16:37.990Z  seeder-1  source lost               -     -  closed the",
            "                                                            connection",
        ]


def test_a_column_for_which_there_is_no_room_follows_below() -> None:
    with for_terminal(80):
        assert list(table(REQUESTS, REQUEST_ROWS, right=("ID",))) == [
            "TIME                      ID  PEER       REQUEST         HOLDERS AT THE TIME",
            "2026-11-23T13:16:36.308Z   1  leecher-1  get myfile.txt  seeder-1, seeder-2,",
            "                                                         seeder-3",
            "    OUTCOME  succeeded from seeder-2, seeder-1 (8 MiB in 4.13 s)",
            "2026-11-23T13:16:41.233Z   2  leecher-2  get myfile.txt  seeder-1",
        ]


def test_a_table_fits_into_any_terminal_and_no_word_is_broken() -> None:
    words = {word for row in REQUEST_ROWS for cell in row for word in str(cell).split()} - {"None"}
    for columns in range(30, 200):
        with for_terminal(columns):
            lines = list(table(REQUESTS, REQUEST_ROWS, indent="  "))
        assert max(map(text_width, lines)) <= columns
        assert words <= {word for line in lines for word in line.split()}


def test_a_late_long_word_keeps_a_line_of_its_own() -> None:
    rows = [*[("x", "y z")] * SAMPLE_ROWS, ("x", "z " + "y" * 90)]
    with for_terminal(80):
        assert list(table(("name", "y"), rows))[-2:] == ["x     z", "      " + "y" * 90]


def test_a_table_for_a_pipe_has_a_line_for_each_row() -> None:
    assert terminal_columns() is None
    assert len(list(table(REQUESTS, REQUEST_ROWS))) == 3
