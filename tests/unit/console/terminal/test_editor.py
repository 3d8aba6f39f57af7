"""The line editor: every key, and a line that never leaves its row.

The bytes of the keys may be cut anywhere.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.console.screen import Screen
from torrentnet.console.terminal.editor import (
    MAX_HISTORY,
    MAX_LINE,
    Bell,
    ClearScreen,
    EditorAction,
    EndOfInput,
    Interrupt,
    LineEditor,
    Redraw,
    ShowCandidates,
    Submit,
)
from torrentnet.console.words import split_partial
from torrentnet.runtime.text import text_width

LEFT, RIGHT, UP, DOWN = b"\x1b[D", b"\x1b[C", b"\x1b[A", b"\x1b[B"
WORDS = ("file_logs", "help", "request")
FILES = ("myfile.txt", "my other file.txt", "it's.txt")


def complete(text: str) -> list[str]:
    words, word, _ = split_partial(text)
    known = ((WORDS, FILES) + ((),) * len(words))[len(words)]
    return sorted(one for one in known if one.startswith(word))


def edited(*keys: bytes, width: int = 80) -> LineEditor:
    editor = LineEditor(complete, prompt="> ", width=width)
    for key in keys:
        editor.feed(key)
    return editor


def shown(editor: LineEditor) -> tuple[str, int]:
    """Return the row as the editor draws it, and the cursor's column."""
    screen = Screen(editor.width)
    screen.feed("x" * (editor.width - 1) + editor.render())
    assert len(screen.rows) == 1, "the line takes more than its row"
    return screen.line, screen.column


@pytest.mark.parametrize(
    ("keys", "text", "cursor"),
    [
        ([b"abc"], "abc", 3),
        ([b"abc", LEFT, b"x"], "abxc", 3),
        ([b"abc", LEFT, LEFT, LEFT, LEFT, b"x"], "xabc", 1),
        ([b"abc", LEFT, RIGHT, RIGHT, b"x"], "abcx", 4),
        ([b"abc", b"\x7f"], "ab", 2),
        ([b"abc", LEFT, b"\x08"], "ac", 1),
        ([b"abc", LEFT, b"\x1b[3~"], "ab", 2),
        ([b"abc", LEFT, b"\x04"], "ab", 2),
        ([b"abc", b"\x01", b"x"], "xabc", 1),
        ([b"abc", b"\x1b[H", b"x", b"\x1b[F", b"y"], "xabcy", 5),
        ([b"abc", b"\x1bOH", b"x", b"\x1bOF", b"y"], "xabcy", 5),
        ([b"abc", b"\x1b[1~", b"x", b"\x1b[4~", b"y"], "xabcy", 5),
        ([b"abc", b"\x01", b"\x05", b"y"], "abcy", 4),
        ([b"abc def", LEFT, b"\x0b"], "abc de", 6),
        ([b"abc def", LEFT, b"\x15"], "f", 0),
        ([b"abc def ", b"\x17"], "abc ", 4),
        ([b"abc def", b"\x1b[1;5D", b"x"], "abc xdef", 5),
        ([b"abc def", b"\x01", b"\x1bf", b"x"], "abcx def", 4),
        ([b"abc", b"\x1b[15~", b"\x1b[200~", b"\x1bx", b"\x00\x1a\x1d", b"d"], "abcd", 4),
        ([b"abc\xff\xc3d"], "abc\ufffd\ufffdd", 6),
        (["e\u0301a".encode(), LEFT, LEFT, b"x"], "xe\u0301a", 1),
        (["ae\u0301".encode(), b"\x7f"], "a", 1),
        (["文件".encode(), LEFT, b"\x1b[3~"], "文", 1),
    ],
)
def test_keys(keys: list[bytes], text: str, cursor: int) -> None:
    editor = edited(*keys)
    assert (editor.text, editor.cursor) == (text, cursor)


def test_enter_submits_whatever_the_terminal_sends_for_it() -> None:
    editor = edited()
    assert editor.feed(b"a\rb\nc\r\nd") == [
        Redraw(), Submit("a"), Redraw(), Submit("b"), Redraw(), Submit("c"), Redraw()
    ]  # fmt: skip
    assert editor.text == "d"


def test_keys_that_concern_the_program() -> None:
    assert edited().feed(b"\x04") == [EndOfInput()]
    assert edited(b"a").feed(b"\x03") == [Interrupt()]
    assert edited(b"a").feed(b"\x0c") == [ClearScreen()]
    assert edited(b"a").feed(b"\x04") == [Bell()]


def test_history() -> None:
    editor = edited(b"first\r", b"second\r", b"second\r", b"  \r", b"dra")
    assert list(editor.history) == ["first", "second"]
    for key, text in ((UP, "second"), (UP, "first"), (UP, "first"), (DOWN, "second"), (DOWN, "dra"), (DOWN, "dra")):
        editor.feed(key)
        assert editor.text == text
    editor.feed(UP + UP + b"!\r")
    assert list(editor.history) == ["first", "second", "first!"]
    editor.feed(UP)
    assert editor.text == "first!"


def test_history_is_bounded() -> None:
    editor = edited(*(f"line {n}\r".encode() for n in range(MAX_HISTORY + 7)))
    assert len(editor.history) == MAX_HISTORY
    assert editor.history[0] == "line 7"
    assert editor.feed(UP * (MAX_HISTORY + 3))[-1] == Bell()
    assert editor.text == "line 7"


def test_a_line_is_bounded() -> None:
    editor = edited(b"x" * (MAX_LINE + 50))
    assert editor.text == "x" * MAX_LINE
    assert editor.feed(b"y") == [Bell()]


@pytest.mark.parametrize(
    ("typed", "text", "last"),
    [
        (b"re\t", "request ", Redraw()),
        (b"x\t", "x", Bell()),
        (b"\t", "", ShowCandidates(WORDS)),
        (b"file_logs m\t", "file_logs my", Redraw()),
        (b"file_logs m\t\t", "file_logs my", ShowCandidates(("my other file.txt", "myfile.txt"))),
        (b"file_logs myf\t", "file_logs myfile.txt ", Redraw()),
        (b"file_logs my \t", "file_logs my ", Bell()),
        (b"file_logs 'my \t", "file_logs 'my other file.txt' ", Redraw()),
        (b"file_logs it\t", "file_logs 'it'\"'\"'s.txt' ", Redraw()),
        (b"re logs\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\t", "request logs", Redraw()),
    ],
)
def test_completion(typed: bytes, text: str, last: EditorAction) -> None:
    editor = edited()
    actions = editor.feed(typed)
    assert (editor.text, actions[-1]) == (text, last)


def test_a_common_prefix_with_spaces_stays_open() -> None:
    editor = LineEditor(lambda _: ["my file 1", "my file 2"])
    editor.feed(b"file_logs m\t1")
    assert editor.text == "file_logs 'my file 1"


def test_how_the_line_is_drawn() -> None:
    assert shown(edited(b"abc", LEFT)) == ("> abc", 4)
    assert shown(edited("文件".encode(), LEFT)) == ("> 文件", 4)
    assert shown(edited("e\u0301e".encode())) == ("> e\u0301e", 4)


def test_a_long_line_scrolls_sideways() -> None:
    editor = edited(b"0123456789abcdefghij", width=14)
    assert shown(editor) == ("> 9abcdefghij", 13)
    editor.feed(b"\x01")
    assert shown(editor) == ("> 0123456789a", 2)
    editor.feed(b"\x05")
    assert shown(editor) == ("> 9abcdefghij", 13)
    editor.feed(b"\x15")
    assert shown(editor) == (">", 2)


def test_a_narrow_terminal_has_no_prompt() -> None:
    editor = edited(b"abcdef", width=8)
    assert shown(editor) == ("abcdef", 6)
    editor.width = 1
    assert editor.render()


keys = st.sampled_from(
    [LEFT, RIGHT, UP, DOWN, b"\x1b[3~", b"\x1bOH", b"\x1b[F", b"\x1b[1;5D", b"\x1bb", b"\t", b"\r", b"\n", b"\x1b"]
    + [bytes([code]) for code in (1, 3, 4, 5, 8, 11, 12, 21, 23, 127)]
)
typed = st.text(alphabet="ab 'é文\u0301\u200d\U0001f600\u202e\x9b", max_size=6).map(str.encode)
streams = st.lists(keys | typed | st.binary(max_size=4), max_size=30).map(b"".join)


@given(streams)
def test_bytes_may_be_cut_anywhere(stream: bytes) -> None:
    whole, single = edited(), edited()
    actions = whole.feed(stream)
    one_by_one = [action for byte in stream for action in single.feed(bytes([byte]))]
    assert [a for a in actions if a != Redraw()] == [a for a in one_by_one if a != Redraw()]
    assert (whole.text, whole.cursor, whole.history) == (single.text, single.cursor, single.history)


@given(streams, st.integers(1, 40))
def test_the_line_never_leaves_its_row(stream: bytes, width: int) -> None:
    editor = edited(width=width)
    for byte in stream:
        editor.feed(bytes([byte]))
        assert 0 <= editor.cursor <= len(editor.text) <= MAX_LINE
        if width >= 3:
            row, column = shown(editor)
            assert text_width(row) < width
            assert column < width
