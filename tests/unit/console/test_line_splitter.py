"""Lines from a pipe: cut anywhere, of bounded length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from torrentnet.console.line_splitter import MAX_LINE_BYTES, LineSplitter


@given(st.lists(st.text(alphabet="aü'\t", max_size=5), max_size=5), st.integers(1, 7))
def test_lines_cut_anywhere(lines: list[str], step: int) -> None:
    data = "\n".join(lines).encode()
    splitter = LineSplitter()
    found = [line for at in range(0, len(data), step) for line in splitter.feed(data[at : at + step])]
    found += splitter.finish()
    # An input that ends in a newline has no further, empty line.
    assert found == (lines[:-1] if lines and not lines[-1] else lines)


def test_a_line_that_is_too_long_is_discarded_whole() -> None:
    splitter = LineSplitter()
    for _ in range(100):
        assert splitter.feed(b"x" * MAX_LINE_BYTES) == []
        assert len(splitter._rest) <= MAX_LINE_BYTES
    assert splitter.feed(b"y\nhelp\r\n") == [None, "help"]
    splitter.feed(b"x" * (MAX_LINE_BYTES + 1))
    assert splitter.finish() == [None]
    assert splitter.finish() == []
