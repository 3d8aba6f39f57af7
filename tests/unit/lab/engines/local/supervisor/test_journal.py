"""The journal of a node's output and changes of state.

Output becomes lines. The journal returns lines and changes of state as they were written.
"""

from __future__ import annotations

from dataclasses import replace
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
    assert entry.encode(7).count(b"\n") == 1
    assert JournalEntry.decode(entry.encode(7)) == replace(entry, number=7)


def read_all(journal: OutputJournal, most: int = 1000) -> list[JournalEntry]:
    reader = journal.reader()
    found: list[JournalEntry] = []
    while data := reader.read(most):
        found += map(JournalEntry.decode, data.splitlines())
    return found


def test_the_journal_is_read_in_order_of_time(tmp_path: Path) -> None:
    journal = OutputJournal(str(tmp_path / "journal"), {"a": 10_000, "b": 10_000})
    for number in range(40):
        name = "ab"[number % 3 == 0]
        journal.append(name, [JournalEntry(name, float(number), f"line {number}")])
    for most in (1, 100, 100_000):
        found = read_all(journal, most)
        assert [entry.text for entry in found] == [f"line {number}" for number in range(40)]
    assert [entry.number for entry in found if entry.node == "b"] == list(range(1, 15))


def test_a_reader_continues_with_new_entries(tmp_path: Path) -> None:
    journal = OutputJournal(str(tmp_path / "journal"), {"a": 10_000})
    reader = journal.reader()
    for number in range(1, 4):
        journal.append("a", [JournalEntry("a", 1.0, "x")])
        assert JournalEntry.decode(reader.read(1000)).number == number
        assert reader.read(1000) == b""


def test_a_node_that_floods_keeps_its_newest_lines_and_removes_no_others(tmp_path: Path) -> None:
    journal = OutputJournal(str(tmp_path / "journal"), {"flood": 20_000, "quiet": 20_000})
    journal.append("quiet", [JournalEntry("quiet", 0.0, "here")])
    for number in range(5000):
        journal.append("flood", [JournalEntry("flood", 1.0 + number, f"line {number}")])
    assert sum(path.stat().st_size for path in (tmp_path / "journal").iterdir()) < 20_000 + 200
    quiet, *flood = read_all(journal)
    assert quiet.text == "here"
    assert [entry.number for entry in flood] == list(range(flood[0].number, 5001))
    assert 100 < len(flood) < 500


def test_an_entry_longer_than_a_read_is_read(tmp_path: Path) -> None:
    journal = OutputJournal(str(tmp_path / "journal"), {"a": 1000})
    entries = [JournalEntry("a", 1.0, "\x1b" * LINE_LIMIT, number=1), JournalEntry("a", 2.0, "short", number=2)]
    for entry in entries:
        journal.append("a", [entry])
    assert read_all(journal)[-1] == entries[1]
    journal.append("a", entries[:1])
    assert read_all(journal)[-1].text == entries[0].text
