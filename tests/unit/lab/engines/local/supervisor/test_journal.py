"""What nodes print becomes lines, and lines and changes come back from the journal as they went in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.lab.engines.local.protocol import SupervisedLab, SupervisedNode, decode, encode
from torrentnet.lab.engines.local.supervisor.journal import LINE_LIMIT, JournalEntry, OutputJournal, OutputLineSplitter

if TYPE_CHECKING:
    from pathlib import Path

LAB = SupervisedLab(
    "torrentnet-x-abcdef",
    "boot:1:2",
    "/home",
    "loopback",
    "127.64.0.0/24",
    "/checkout",
    "/usr/bin/python3",
    "/bin",
    "/files",
    "/usr/bin",
    (SupervisedNode("tracker", "127.64.0.2", ("tracker.py", "127.64.0.2:6771"), "/data", None),),
)


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_lines_do_not_depend_on_how_they_come(pieces: list[bytes]) -> None:
    whole, cut = OutputLineSplitter(), OutputLineSplitter()
    data = b"".join(pieces)
    assert [line for piece in pieces for line in cut.feed(piece)] + cut.end() == whole.feed(data) + whole.end()


def test_long_lines_are_cut() -> None:
    cutter = OutputLineSplitter()
    lines = cutter.feed(b"x" * (2 * LINE_LIMIT + 5)) + cutter.feed(b"\nshort\r\nrest") + cutter.end()
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
def test_entries_come_back(entry: JournalEntry) -> None:
    assert entry.encode().count(b"\n") == 1
    assert JournalEntry.decode(entry.encode()) == entry


def test_the_journal_is_read_from_any_place(tmp_path: Path) -> None:
    journal = OutputJournal(str(tmp_path / "journal"))
    entries = [JournalEntry("a", float(number), f"line {number}") for number in range(3)]
    journal.append(entries[:2])
    middle = journal.size
    journal.append(entries[2:])
    assert journal.read(middle, 1000) == entries[2].encode()
    assert journal.read(journal.size, 1000) == b""
    assert journal.read(0, 10) == entries[0].encode()[:10]


def test_the_labs_file_comes_back() -> None:
    assert SupervisedLab.loads(LAB.dumps()) == LAB


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"nodes": [{}]}', LAB.dumps()[:-30]])
def test_what_is_no_labs_file_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # which one does not matter: it is no lab of ours
        SupervisedLab.loads(text)


def test_packets() -> None:
    assert decode(encode({"do": "kill", "node": "ä"})) == {"do": "kill", "node": "ä"}
    with pytest.raises(ValueError, match="no object"):
        decode(b"[]")
