"""``torrentnet report``: which run is meant, and where the page is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab import golden
from tests.unit.lab.cli.call import call
from tests.unit.lab.report.records import result, write_record

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a run of two scenarios, the later one of `trial`."""
    monkeypatch.setenv("TORRENTNET_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    for scenario, time in (("other", "2026-01-01T00-00-00Z"), ("trial", "2026-01-02T00-00-00Z")):
        write_record(tmp_path / "runs" / scenario / time, outcome=result() | {"scenario": scenario})
        (tmp_path / "runs" / scenario / "latest").symlink_to(time)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    return call(capsys, ["report", *argv])


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ([], "runs/trial/2026-01-02T00-00-00Z/report.html"),
        (["other"], "runs/other/2026-01-01T00-00-00Z/report.html"),
        (["scenarios/other.yaml"], "runs/other/2026-01-01T00-00-00Z/report.html"),
        (["runs/other/latest"], "runs/other/2026-01-01T00-00-00Z/report.html"),
        (["runs/other"], "runs/other/2026-01-01T00-00-00Z/report.html"),
        (["runs/other/latest/result.json"], "runs/other/2026-01-01T00-00-00Z/report.html"),
        (["other", "-o", "page.html"], "page.html"),
        (["trial", "--against", "other"], "runs/trial/2026-01-02T00-00-00Z/comparison.html"),
    ],
)
def test_a_run_is_named_in_several_ways(
    words: list[str], page: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, *words) == (0, f"report: {page}\n", "")
    assert (home / page).is_file()


def test_the_paths_are_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "other", "--json")
    record = home / "runs/other/2026-01-01T00-00-00Z"
    assert status == 0
    assert json.loads(out) == {"report": str(record / "report.html"), "record": str(record), "against": None}


@pytest.mark.parametrize(
    ("name", "words", "code"),
    [
        ("report_unknown", ["thrid"], 2),
        ("report_no_record", ["empty"], 2),
        ("report_onto_a_directory", ["other", "-o", "empty"], 2),
        ("report_against_unknown", ["other", "--against", "../nowhere"], 2),
    ],
)
def test_wrong_use_of_report_is_explained(
    name: str, words: list[str], code: int, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "empty").mkdir()
    status, out, err = run(capsys, *words)
    assert (status, out) == (code, "")
    golden.check(f"error_{name}.txt", err.replace(str(home), "HOME"))


def test_a_home_without_runs_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORRENTNET_HOME", str(tmp_path))
    status, _, err = run(capsys)
    assert status == 2
    golden.check("error_report_no_run.txt", err.replace(str(tmp_path), "HOME"))
