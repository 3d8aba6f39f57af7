"""Output becomes lines of plain text, within limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.adapters.observer.output import MAX_LINE, OutputLimit, OutputLines, plain_text

QUIET = 0.35


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("plain", "plain"),
        ("\x1b[1;31mred\x1b[0m text", "red text"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b[?2004htext\x1b[?2004l", "text"),
        ("\x1bPdata\x1b\\text", "text"),
        ("\x1b(Btext\x1b", "text"),
        ("10%\r20%\r30%", "30%"),
        ("text\r", "text"),
        ("abcd\x08\x08xy", "abxy"),
        ("\x08\x08x", "x"),
        ("a\tb\x00\x07c", "a\tbc"),
        ("\x1b[31", ""),
        ("blanks at the end  ", "blanks at the end"),
    ],
)
def test_a_line_is_what_it_leaves_on_the_screen(raw: str, plain: str) -> None:
    assert plain_text(raw) == plain


@given(st.binary(max_size=300), st.integers(1, 50))
def test_lines_do_not_depend_on_how_the_bytes_arrive(data: bytes, step: int) -> None:
    whole, parts = OutputLines(QUIET), OutputLines(QUIET)
    found = []
    for at in range(0, len(data), step):
        found += parts.feed(data[at : at + step], 0.0)
    assert [*found, *parts.finish()] == [*whole.feed(data, 0.0), *whole.finish()]


def test_a_prompt_is_a_line_once_the_program_is_quiet() -> None:
    lines = OutputLines(QUIET)
    assert lines.feed(b"ready\n> ", 1.0) == ["ready"]
    assert lines.due == 1.0 + QUIET
    assert lines.idle(1.1) == []
    assert lines.idle(1.0 + QUIET) == [">"]
    assert lines.prompt == ">"
    assert lines.due is None
    assert lines.idle(9.0) == []


def test_a_long_line_is_cut() -> None:
    lines = OutputLines(QUIET)
    found = lines.feed(b"x" * (2 * MAX_LINE + 5) + b"\n", 0.0)
    assert [len(line) for line in found] == [MAX_LINE, MAX_LINE, 5]


def test_empty_lines_are_left_out() -> None:
    assert OutputLines(QUIET).feed(b"\n\n \na\n\x1b[0m\n", 0.0) == ["a"]


def test_no_line_is_reported_after_the_limit_of_bytes() -> None:
    limit = OutputLimit(10)
    assert not limit.count(9)
    assert limit.allows(0.0)
    assert limit.count(5)
    assert not limit.count(5)
    assert not limit.allows(1.0)
    assert limit.dropped == 0


def test_lines_that_come_too_fast_are_counted() -> None:
    limit = OutputLimit(1000, rate=2.0, burst=3)
    assert [limit.allows(1.0) for _ in range(5)] == [True, True, True, False, False]
    assert limit.dropped == 2
    assert [limit.allows(2.0) for _ in range(3)] == [True, True, False]
