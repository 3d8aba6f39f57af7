"""Events as Wireshark lists them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.lab.capture.pcapng_reader import read_pcapng
from torrentnet.lab.capture.event_rows import MAX_CHARS, event_block, event_text


@pytest.mark.parametrize(
    ("node", "name", "fields", "text"),
    [
        ("lab", "begun", {"text": "kill seeder-1"}, "kill seeder-1"),
        ("lab", "applied", {"text": "partition a | b", "pairs": [["a", "b"]]}, "in force now: partition a | b"),
        ("lab", "applied", {"text": "end of partition a | b", "ends": 1}, "lifted now: partition a | b"),
        ("lab", "applied", {"text": "kill a"}, ""),
        ("lab", "applied", {"text": "kill a", "error": "kill a changed nothing"}, "failed: kill a changed nothing"),
        ("lab", "node", {"of": "seeder-1", "state": "exited (137)"}, "seeder-1 is exited (137)"),
        ("lab", "zero", {}, "the tracker and the first seeds are up: t = 0"),
        ("leecher-1", "picked", {"peer": "seeder-1", "file": "a b"}, 'picked peer=seeder-1 file="a b"'),
        ("tracker", "request", {"found": True, "id": 1}, "request found=true id=1"),
        ("leecher-1", "progress", {"have": 3, "arrived": "x" * 900}, "progress have=3"),
        ("lab", "begun", {}, "begun"),
    ],
)
def test_an_event_is_a_line(node: str, name: str, fields: dict[str, Any], text: str) -> None:
    assert event_text(node, name, fields) == text


def test_hostile_text_stays_one_line_of_one_entry() -> None:
    text = event_text("a", "note", {"text": "x\nMESSAGE=forged\u202e\x1b[2J" + "y" * 5000})
    assert len(text) <= MAX_CHARS
    found = read_pcapng(event_block(1_000_000, "a\nb", "note", text, None))
    (entry,) = found.entries
    assert entry["MESSAGE"].startswith("a\\u000ab: note text=")
    assert entry["_HOSTNAME"] == "a\\u000ab"


def test_the_time_after_zero_stands_before_the_text() -> None:
    (entry,) = read_pcapng(event_block(3_500_000_000, "lab", "begun", "kill a", 1_000_000_000)).entries
    assert entry["MESSAGE"] == "t = 2.500 s  lab: kill a"
