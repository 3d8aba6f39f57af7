"""Writing the page at the end of a run: a failure is one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.lab.report.records import result, write_record
from torrentnet.lab.report.write_page import add_page, write_page

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_is_written_beside_the_record(tmp_path: Path) -> None:
    said: list[str] = []
    record = write_record(tmp_path / "runs" / "r", outcome=result())
    add_page(record, tmp_path, said.append)
    assert said == ["report: runs/r/report.html"]
    assert (record / "report.html").read_text("utf-8").startswith("<!doctype html>")


def test_a_page_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    said: list[str] = []
    record = write_record(tmp_path / "r", outcome=result())
    (record / "report.html").mkdir()
    add_page(record, tmp_path, said.append)
    (line,) = said
    assert line.startswith(f"no report was written: Is a directory: {record / 'report.html'}; the verdict stands")
    assert not list(record.glob("*.tmp"))


def test_a_comparison_does_not_take_the_place_of_the_report(tmp_path: Path) -> None:
    first, second = (write_record(tmp_path / name, outcome=result()) for name in ("a", "b"))
    assert write_page(first, against=second) == first / "comparison.html"
    assert "Compared with" in (first / "comparison.html").read_text("utf-8")
