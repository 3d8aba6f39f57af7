"""Split lines into words: quoting, and lines that are still being typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.console.words import join_words, quote, quote_open, split_partial, split_words

words = st.text(alphabet="ab '\"\\-\tü", max_size=6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ([], "", 0)),
        ("re", ([], "re", 0)),
        ("request ", (["request"], "", 8)),
        ("file_logs 'my fi", (["file_logs"], "my fi", 10)),
        ('file_logs "my fi', (["file_logs"], "my fi", 10)),
        ("file_logs my\\ fi", (["file_logs"], "my fi", 10)),
        ("file_logs my\\", (["file_logs"], "my", 10)),
        ("a '' b", (["a", ""], "b", 5)),
        ("a ''", (["a"], "", 2)),
        ('"a\\"b" c', (['a"b'], "c", 7)),
        ('"a\\n', ([], "a\\n", 0)),
    ],
)
def test_a_line_that_is_being_typed(text: str, expected: tuple[list[str], str, int]) -> None:
    assert split_partial(text) == expected


@given(st.lists(words, max_size=4), words)
def test_quoted_words_are_found_again(complete: list[str], last: str) -> None:
    line = join_words([*complete, last])
    assert split_words(line) == [*complete, last]
    partial = split_partial(line)
    assert (partial.words, partial.word) == (complete, last)
    assert line[partial.start :] == quote(last)


@given(words.filter(bool), words)
def test_an_open_quote_can_be_continued(prefix: str, rest: str) -> None:
    opened = quote_open(prefix)
    assert split_partial(opened).word == prefix
    # Inside an open single quote only a quote is special.
    typed = "".join(char for char in rest if char in "ab-ü")
    assert split_partial(opened + typed).word == prefix + typed


@pytest.mark.parametrize(
    ("line", "message"), [("file_logs 'a", "a quote is not closed"), ("a\\", "the line ends in a backslash")]
)
def test_messages(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        split_words(line)
