"""Text on a terminal: escapes and widths."""

from __future__ import annotations

import pytest

from torrentnet.runtime.text import escape_controls, text_width


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
