"""Text on a terminal: escapes and widths."""

from __future__ import annotations

import pytest

from torrentnet.runtime.text import escape_controls, text_width, wrap_line


@pytest.mark.parametrize(
    ("text", "shown", "width"),
    [
        ("plain", "plain", 5),
        ("文件\u3000名", "文件\u3000名", 8),
        ("a\tb", "a b", 3),
        ("\x1b[31m\r\n\x7f\x9b", "\\u001b[31m\\u000d\\u000a\\u007f\\u009b", 34),
        ("\u202etxt", "\\u202etxt", 9),
        ("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680", 4),
    ],
)
def test_text_is_escaped_and_measured(text: str, shown: str, width: int) -> None:
    assert escape_controls(text) == shown
    assert text_width(shown) == width


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("short", 10, ["short"]),
        ("one two three", 8, ["one two", "  three"]),
        ("    a bb  ccc dddd", 12, ["    a bb", "      ccc", "      dddd"]),
        ("averylongword b", 8, ["averylongword", "  b"]),
        ("三个 种子 a", 6, ["三个", "  种子", "  a"]),
        ("", 5, [""]),
    ],
)
def test_lines_are_wrapped_between_words(text: str, width: int, lines: list[str]) -> None:
    assert wrap_line(text, width) == lines
