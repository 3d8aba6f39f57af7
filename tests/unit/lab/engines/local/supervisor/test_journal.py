"""The journal of a node's output and changes of state.

Output becomes lines. The journal returns lines and changes of state as they were written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.lab.engines.local.supervisor.journal import LINE_LIMIT, JournalEntry, OutputJournal, OutputLineSplitter

if TYPE_CHECKING:
    from pathlib import Path


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_lines_do_not_depend_on_how_output_is_chunked(pieces: list[bytes]) -> None:
    whole, chunked = OutputLineSplitter(), OutputLineSplitter()
    data = b"".join(pieces)
    assert [line for piece in pieces for line in chunked.feed(piece)] + chunked.end() == whole.feed(data) + whole.end()


def test_long_lines_are_cut() -> None:
    splitter = OutputLineSplitter()
    lines = splitter.feed(b"x" * (2 * LINE_LIMIT + 5)) + splitter.feed(b"\nshort\r\nrest") + splitter.end()
    assert list(map(len, lines[:3])) == [LINE_LIMIT, LINE_LIMIT, 5]
    assert lines[3:] == ["short", "rest"]


@pytest.mark.parametrize(
    "entry",
    [
        JournalEntry("leecher-1", 1.5, 'picked peer="two words"'),
        JournalEntry("leecher-1", 1.5, ""),
        JournalEntry("leecher-1", 2.25, "\x1b[2J\ud7ff\u2028"),
        JournalEntry("tracker", 3.0, None, "exited", 137),
        JournalEntry("tracker", 3.0, None, "running"),
    ],
)
def test_entries_round_trip(entry: JournalEntry) -> None:
    assert entry.encode().count(b"\n") == 1
    assert JournalEntry.decode(entry.encode()) == entry


def test_the_journal_is_read_from_any_offset(tmp_path: Path) -> None:
    journal = OutputJournal(str(tmp_path / "journal"))
    entries = [JournalEntry("a", float(number), f"line {number}") for number in range(3)]
    journal.append(entries[:2])
    middle = journal.size
    journal.append(entries[2:])
    assert journal.read(middle, 1000) == entries[2].encode()
    assert journal.read(journal.size, 1000) == b""
    assert journal.read(0, 10) == entries[0].encode()[:10]
