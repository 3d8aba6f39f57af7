"""What a run writes while it goes on."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.engines.types import LogLine
from torrentnet.lab.errors import LabError
from torrentnet.lab.events import Event
from torrentnet.lab.run.content import CHUNK_SIZE, make_files
from torrentnet.lab.run.recorder import Recorder, make_run_directory
from torrentnet.lab.scenario.plan import FilePlan

if TYPE_CHECKING:
    from pathlib import Path


def test_every_run_has_a_directory_and_the_latest_a_link(tmp_path: Path) -> None:
    one, two = make_run_directory(tmp_path, "x"), make_run_directory(tmp_path, "x")
    assert one != two
    assert one.parent == two.parent == tmp_path / "x"
    # No colon: Compose separates files with it.
    assert ":" not in one.name
    assert (tmp_path / "x/latest").resolve() == two.resolve()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(LabError, match="the run's directory cannot be made") as caught:
        make_run_directory(tmp_path / "file", "x")
    assert "--runs" in caught.value.hint


def test_lines_and_events_are_written_as_they_come(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    recorder = Recorder(tmp_path, ["a"])
    recorder.take(LogLine("a", 10.0, "hällo"), None)
    recorder.take(LogLine("a", 11.0, "T picked peer=x"), Event("a", 11.0, "picked", {"peer": "x"}))
    recorder.begin(12.0)
    recorder.take(LogLine("a", 12.5, "T tracker_back"), Event("a", 12.5, "tracker_back"))
    recorder.lab("kill", nodes=["a"])
    recorder.close()
    recorder.take(LogLine("a", 13.0, "too late"), None)
    recorder.lab("too_late")
    assert (tmp_path / "logs/a.log").read_text(encoding="utf-8") == "hällo\nT picked peer=x\nT tracker_back\n"
    rows = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[:2] == [
        {"time": "1970-01-01T00:00:11.000Z", "node": "a", "event": "picked", "fields": {"peer": "x"}},
        {"time": "1970-01-01T00:00:12.500Z", "t": 0.5, "node": "a", "event": "tracker_back"},
    ]
    assert (rows[2]["node"], rows[2]["event"], rows[2]["fields"]) == ("lab", "kill", {"nodes": ["a"]})
    assert len(rows) == 3


def test_files_follow_from_the_seed(tmp_path: Path) -> None:
    plans = (FilePlan("empty", 0, None), FilePlan("one", 1, None), FilePlan("more", 2 * CHUNK_SIZE + 7, None))
    first = make_files(plans, 7, tmp_path / "a")
    assert make_files(plans, 7, tmp_path / "b") == first
    assert make_files(plans, 8, tmp_path / "c")["more"] != first["more"]
    for plan in plans:
        content = (tmp_path / "a" / plan.name).read_bytes()
        assert len(content) == plan.size
        assert hashlib.sha256(content).hexdigest() == first[plan.name]
        # The nodes' user is none of this machine's.
        assert (tmp_path / "a" / plan.name).stat().st_mode & 0o444 == 0o444


def test_two_files_of_one_size_differ(tmp_path: Path) -> None:
    hashes = make_files((FilePlan("a", 100, None), FilePlan("b", 100, None)), 7, tmp_path / "x")
    assert hashes["a"] != hashes["b"]


def test_a_source_is_taken_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content")
    hashes = make_files((FilePlan("a", None, source),), 7, tmp_path / "x")
    assert (tmp_path / "x/a").read_bytes() == b"content"
    assert hashes["a"] == hashlib.sha256(b"content").hexdigest()
    source.unlink()
    with pytest.raises(LabError, match="the file a cannot be made: No such file or directory"):
        make_files((FilePlan("a", None, source),), 7, tmp_path / "y")


def test_a_file_in_a_folder_is_made_there_for_all_to_read(tmp_path: Path) -> None:
    hashes = make_files((FilePlan("a", 100, None), FilePlan("fake/a", 100, None)), 7, tmp_path / "x")
    assert hashes["fake/a"] != hashes["a"]
    assert (tmp_path / "x/fake/a").stat().st_size == 100
    assert (tmp_path / "x/fake").stat().st_mode & 0o777 == 0o755
