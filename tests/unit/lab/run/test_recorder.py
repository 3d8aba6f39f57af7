"""What a run records while it is in progress."""

from __future__ import annotations

import json
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.engines.steady import STEADY
from torrentnet.lab.engines.types import LogLine
from torrentnet.lab.errors import LabError
from torrentnet.lab.run import recorder as recorder_module
from torrentnet.lab.run.facts.line_reader import ReadLine
from torrentnet.lab.run.recorder import Recorder, RecordFile, make_run_directory
from torrentnet.runtime.events import Event

if TYPE_CHECKING:
    from pathlib import Path


def record(recorder: Recorder, line: LogLine, event: Event | None) -> None:
    recorder.write_line(ReadLine(line, event, line.text))


def test_each_run_has_a_directory_and_the_latest_a_link(tmp_path: Path) -> None:
    one, two = make_run_directory(tmp_path, "x"), make_run_directory(tmp_path, "x")
    assert one != two
    assert one.parent == two.parent == tmp_path / "x"
    # No colon: Compose separates files with it.
    assert ":" not in one.name
    assert (tmp_path / "x/latest").resolve() == two.resolve()


def test_an_unwritable_place_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(LabError, match="the run's directory cannot be created") as caught:
        make_run_directory(tmp_path / "file", "x")
    assert "--runs" in caught.value.hint


def test_lines_and_events_are_written_at_once(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    recorder = Recorder(tmp_path, ["a"])
    record(recorder, LogLine("a", 10.0, "hällo"), None)
    record(recorder, LogLine("a", 11.0, "T picked peer=x"), Event("picked", 11.0, {"peer": "x"}, "a"))
    recorder.set_epoch(12.0)
    record(recorder, LogLine("a", 12.5, "T tracker_back"), Event("tracker_back", 12.5, node="a"))
    recorder.write_lab_event("kill", nodes=["a"])
    recorder.close()
    record(recorder, LogLine("a", 13.0, "too late"), None)
    recorder.write_lab_event("too_late")
    assert (tmp_path / "logs/a.log").read_text(encoding="utf-8") == "hällo\nT picked peer=x\nT tracker_back\n"
    rows = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[:2] == [
        {"time": "1970-01-01T00:00:11.000Z", "node": "a", "event": "picked", "fields": {"peer": "x"}},
        {"time": "1970-01-01T00:00:12.500Z", "t": 0.5, "node": "a", "event": "tracker_back"},
    ]
    assert (rows[2]["node"], rows[2]["event"], rows[2]["fields"]) == ("lab", "kill", {"nodes": ["a"]})
    assert len(rows) == 3


def test_a_removed_record_is_there_again_with_all_of_it(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    lost: list[str] = []
    recorder = Recorder(directory, ["a"], lost.append)
    record(recorder, LogLine("a", 10.0, "before"), None)
    while not (directory / "logs/a.log").stat().st_size:
        time.sleep(0.001)
    shutil.rmtree(directory)
    record(recorder, LogLine("a", 11.0, "after"), None)
    recorder.close()
    assert (directory / "logs/a.log").read_text(encoding="utf-8") == "before\nafter\n"
    assert (directory / "events.jsonl").exists()
    assert not lost


def test_a_full_disk_is_reported_once_and_nothing_raises(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    lost: list[str] = []
    recorder = Recorder(tmp_path, ["a"], lost.append)
    for _ in range(3):
        recorder.write_lab_event("kill")
        record(recorder, LogLine("a", 10.0, "x"), None)
    recorder.close()
    assert lost == [f"the record cannot be written: No space left on device: {tmp_path}"]


def test_half_a_character_is_recorded_escaped(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, ["a"])
    record(recorder, LogLine("a", 10.0, "x"), Event("picked", 11.0, {"peer": "\ud800"}, "a"))
    recorder.close()
    assert "\\ud800" in (tmp_path / "events.jsonl").read_text(encoding="utf-8")


def test_a_cause_is_recorded_before_its_effect(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, ["a"])
    now = STEADY.now()
    # The verb returns when its effects are there already.
    record(recorder, LogLine("a", now - 0.5, "T source_lost"), Event("source_lost", now - 0.5, node="a"))
    recorder.write_lab_event("begun", now - 0.6, kind="kill", nodes=["b"])
    recorder.write_lab_event("zero")
    recorder.close()
    rows = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["event"] for row in rows] == ["begun", "source_lost", "zero"]
    assert len((tmp_path / "events.jsonl").read_text("utf-8").splitlines()) == 3


def test_a_nodes_output_fills_no_more_than_its_limit(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, ["a", "b"], limits={"a": 2000, "b": 2000})
    for number in range(1000):
        record(recorder, LogLine("a", 1.0, f"flood {number}"), Event("flood", 1.0, {"n": str(number)}, "a"))
    record(recorder, LogLine("b", 2.0, "T completed"), Event("completed", 2.0, node="b"))
    recorder.close()
    kept = sum(path.stat().st_size for path in (tmp_path / "logs").glob("a.log*"))
    assert kept <= 2000
    # The newest lines are kept, and what another node says is not lost.
    assert (tmp_path / "logs" / "a.log").read_text(encoding="utf-8").endswith("flood 999\n")
    rows = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert 10 < len(rows) < 30
    assert rows[-1]["node"] == "b"


def test_events_of_a_flood_are_marked_as_missing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, ["a"], limits={"a": 2000})
    for number in range(1000):
        record(recorder, LogLine("a", 1.0, f"flood {number}"), Event("flood", 1.0, {"n": str(number)}, "a"))
    recorder.close()
    rows = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    marks = [row["fields"] for row in rows if row["event"] == "events_dropped"]
    assert marks == [{"of": "a", "limit": 2000}]
    assert rows[-1]["event"] == "events_dropped"


def test_a_flood_faster_than_the_disk_costs_its_own_lines_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MAX_PENDING_CHARS", 20_000)
    busy, lost = threading.Event(), list[str]()
    append = RecordFile.append

    def slow(file: RecordFile, data: bytes) -> None:
        busy.wait(60)
        append(file, data)

    monkeypatch.setattr(RecordFile, "append", slow)
    recorder = Recorder(tmp_path, ["flood", "quiet"], lost.append)
    for number in range(10_000):
        record(recorder, LogLine("flood", 1.0, f"line {number}"), None)
    record(recorder, LogLine("quiet", 2.0, "here"), None)
    busy.set()
    recorder.close()
    assert not lost
    assert (tmp_path / "logs/quiet.log").read_text(encoding="utf-8") == "here\n"
    lines = (tmp_path / "logs/flood.log").read_text(encoding="utf-8").splitlines()
    missing = [int(line[1:].split()[0]) for line in lines if line.startswith("(")]
    assert lines[-1] == "line 9999"
    assert len(lines) - len(missing) + sum(missing) == 10_000
