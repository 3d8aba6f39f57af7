"""A line of a file with a caret under a place, as a terminal shows it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.lab.scenario.language.excerpt import MAX_WIDTH, excerpt, split_lines


def columns(text: str) -> int:
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
        for char in text
    )


@pytest.mark.parametrize(
    ("line", "column", "shown", "before"),
    [
        ("loss: 5", 7, "loss: 5", "loss: "),
        ("\tloss: 5", 8, "    loss: 5", "    loss: "),
        ("三: 5", 4, "三: 5", "三: "),
        ("e\u0301: 5", 5, "e\u0301: 5", "e\u0301: "),
        ("\x1b[m: 5", 6, "\\x1b[m: 5", "\\x1b[m: "),
        ("loss:   ", 6, "loss:", "loss:"),
        ("loss", 99, "loss", "loss"),
    ],
)
def test_the_caret_is_below_its_character(line: str, column: int, shown: str, before: str) -> None:
    first, second = excerpt(["", line], 2, column).split("\n")
    assert first == f"   2 | {shown}"
    assert second == f"     | {' ' * columns(before)}^"


def test_there_is_no_excerpt_of_nothing() -> None:
    assert excerpt(["a"], 2, 1) == excerpt(["a"], 0, 1) == excerpt(["  "], 1, 1) == ""


@pytest.mark.parametrize("column", [1, 40, 100, 150, 199, 200])
def test_a_long_line_is_cut_around_the_place(column: int) -> None:
    line = "".join(chr(ord("a") + index % 26) for index in range(200))
    first, second = excerpt([line], 1, column).split("\n")
    assert len(first) <= MAX_WIDTH
    assert first[second.index("^")] == line[column - 1]


@given(st.text(alphabet=st.characters(blacklist_characters="\n\r\x85\u2028\u2029"), max_size=300), st.integers(1, 320))
def test_every_line_fits_and_has_its_caret(line: str, column: int) -> None:
    found = excerpt([line], 1, column)
    if line.strip():
        first, second = found.split("\n")
        assert columns(first) <= MAX_WIDTH
        assert second.endswith("^")
        assert len(second) <= columns(first) + 1
        assert all(char.isprintable() for char in first)


def test_lines_are_those_of_yaml() -> None:
    assert split_lines("a\r\nb\rc\x85d\u2028e\x0bf\n") == ["a", "b", "c", "d", "e\x0bf", ""]
