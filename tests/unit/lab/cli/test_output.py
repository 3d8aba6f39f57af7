"""Tables that fit into a terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.lab.cli.output import print_text, table_lines
from torrentnet.runtime.text import text_width

HEADERS = ("", "what", "found")
ROWS = [
    ("ok", "docker compose", "Docker Compose version v2.29.7, which answers"),
    ("--", "netem", "the kernel has no sch_netem; a program in the node takes its place"),
]


def test_in_a_pipe_a_table_is_as_wide_as_it_needs() -> None:
    assert table_lines(HEADERS, ROWS, None) == [
        "     what             found",
        "ok   docker compose   Docker Compose version v2.29.7, which answers",
        "--   netem            the kernel has no sch_netem; a program in the node takes its place",
    ]


def test_long_cells_are_wrapped_in_their_column() -> None:
    assert table_lines(HEADERS, ROWS, 60) == [
        "     what             found",
        "ok   docker compose   Docker Compose version v2.29.7, which",
        "                      answers",
        "--   netem            the kernel has no sch_netem; a program",
        "                      in the node takes its place",
    ]


def test_a_row_becomes_several_lines_where_its_words_do_not_fit() -> None:
    row = ("leecher-1", "198.18.255.254", "downloading", "1000/1000", "seeder-with-a-long-name")
    assert table_lines(("node", "address", "state", "pieces", "from"), [row], 40) == [
        "leecher-1",
        "    address  198.18.255.254",
        "    state  downloading",
        "    pieces  1000/1000",
        "    from  seeder-with-a-long-name",
    ]


@pytest.mark.parametrize("width", [60, 80])
@given(st.lists(st.lists(st.text("ab c三", max_size=60), min_size=3, max_size=3), max_size=4))
def test_no_line_is_too_wide_and_no_word_is_broken(width: int, rows: list[list[str]]) -> None:
    lines = table_lines(HEADERS, rows, width)
    words = {word for row in rows for cell in row for word in cell.split()}
    for line in lines:
        # A word that is wider than the terminal is the only excuse.
        assert text_width(line) <= width or any(text_width(word) > width - 12 for word in words)
    shown = [word for line in lines for word in line.split()]
    assert sorted(word for row in rows for cell in row for word in cell.split()) == sorted(
        word for word in shown if word not in {"what", "found"}
    )


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_text_is_wrapped_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = "torrentnet: " + "there is no scenario " * 4
    terminal, pipe = _Terminal(), io.StringIO()
    print_text(text, terminal)
    print_text(text, pipe)
    assert max(map(len, terminal.getvalue().splitlines())) <= 40
    assert pipe.getvalue() == f"{text}\n"
