"""The events of a record, as they are written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from torrentnet.lab.capture.record_tail import RecordTail, planned_links

if TYPE_CHECKING:
    from pathlib import Path

ROW = {"time": "2026-11-30T18:00:00.250Z", "t": 2.25, "node": "lab", "event": "begun", "fields": {"text": "kill a"}}
SECOND = 1_000_000_000


def test_a_growing_file_is_read_line_by_line(tmp_path: Path) -> None:
    tail = RecordTail(tmp_path)
    assert not list(tail.read())
    text = json.dumps(ROW) + "\n"
    path = tmp_path / "events.jsonl"
    path.write_text(text[:20])
    assert not list(tail.read())
    path.write_text(text + text[:5])
    (event,) = tail.read()
    assert (event.node, event.name, event.fields) == ("lab", "begun", {"text": "kill a"})
    assert event.zero is not None
    assert event.time // SECOND - event.zero // SECOND == 2
    path.write_text(text + text)
    assert len(list(tail.read())) == 1
    tail.close()


def test_what_is_no_event_is_left_out(tmp_path: Path) -> None:
    lines = [
        "",
        "{",
        "[1]",
        "null",
        '{"time": 5}',
        json.dumps({**ROW, "time": "soon"}),
        json.dumps({**ROW, "fields": 3}),
    ]
    (tmp_path / "events.jsonl").write_text("\n".join([*lines, json.dumps(ROW), ""]))
    tail = RecordTail(tmp_path)
    assert len(list(tail.read())) == 1
    tail.close()


def test_links_are_those_of_the_plan(tmp_path: Path) -> None:
    assert planned_links(tmp_path) == []
    for text in ("{", "[]", '{"links": 3}', '{"links": [3, {"pairs": 1}]}'):
        (tmp_path / "plan.json").write_text(text)
        assert planned_links(tmp_path) == []
    link = {"text": "impair", "pairs": [["a", "b"]], "qualities": {"loss": 0.1}}
    (tmp_path / "plan.json").write_text(json.dumps({"links": [link]}))
    assert planned_links(tmp_path) == [link]
