"""The command ``graph``: its formats, its file, and its messages for wrong use."""

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
    monkeypatch.setenv("TORRENTNET_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def graph(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    return call(capsys, ["graph", *argv])


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ([], "%%{init: "),
        (["-f", "dot"], 'digraph "three_seeders" {'),
        (["-f", "svg"], "<svg "),
        (["-f", "json"], "{"),
        (["--json"], "{"),
    ],
)
def test_each_format_goes_to_standard_output(
    words: list[str], first: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = graph(capsys, "three_seeders", *words)
    assert (code, err) == (0, "")
    assert out.startswith(first)


@pytest.mark.parametrize(
    ("name", "first"),
    [("x.svg", "<svg "), ("x.DOT", "digraph"), ("x.json", "{"), ("x.mmd", "%%{init: "), ("x", "%%{init: ")],
)
def test_a_files_name_says_its_format(name: str, first: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert graph(capsys, "three_seeders", "-o", name) == (0, "", "")
    assert (home / name).read_text("utf-8").startswith(first)


def test_parameters_are_set(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = graph(capsys, "textbook", "--set", "leechers=3", "--json")
    assert [node["name"] for node in json.loads(out)["nodes"]] == [
        *("tracker", "seeder", "leecher-1", "leecher-2", "leecher-3")
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("graph_unknown_format", ["three_seeders", "-f", "sgv"]),
        ("graph_unknown_scenario", ["three_seders"]),
        ("graph_no_run", []),
        ("graph_no_run_of_the_scenario", ["three_seeders", "--at", "2s"]),
        ("graph_moment_without_a_unit", ["three_seeders", "--at", "3"]),
        ("graph_moment_after_the_end", ["runs/trial/one", "--at", "3s"]),
        ("graph_settings_of_a_run", ["runs/trial/one", "--set", "leechers=3"]),
    ],
)
def test_wrong_use_is_explained(name: str, words: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if "runs/trial/one" in words:
        write_record(home / "runs/trial/one", outcome=result())
    code, out, err = graph(capsys, *words)
    assert (code, out) == (2, "")
    golden.check(f"error_{name}.txt", err.replace(str(home), "HOME"))


@pytest.mark.parametrize("words", [[], ["runs/trial/one"], ["runs/trial/one/result.json"], ["trial", "--at", "1.5s"]])
def test_a_run_is_drawn(words: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_record(home / "runs/trial/one", outcome=result())
    (home / "runs/trial/latest").symlink_to("one")
    code, out, err = graph(capsys, *words)
    assert (code, err) == (0, "")
    assert ("accTitle: trial at 1.5s" if "--at" in words else "accTitle: trial") in out.splitlines()[2]
    assert ("<br/>gone" in out) == ("--at" in words)


def test_a_file_that_cannot_be_written_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "file").touch()
    code, _, err = graph(capsys, "three_seeders", "-o", "file/x.svg")
    assert code == 3
    assert err.startswith("torrentnet: ")
    assert err.count("\n") == 1
