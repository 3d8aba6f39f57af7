"""Grading: a class in real labs, what is kept, and what is left."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.integration.engines import DOCKER, Kind
from tests.integration.helpers import Running, torrentnet, wait
from tests.submissions.catalogue import ALL

if TYPE_CHECKING:
    from pathlib import Path

RUBRIC = """\
name: small
about: A tracker and peers, ten points.
reference: reference
experiments:
  download:
    time_limit: 45s
    files: {letter.txt: {size: 1KiB, content: text}}
    nodes:
      tracker: {tracker: {}}
      seed: {share: letter.txt}
      leecher: {get: letter.txt, count: 2, start: 1s}
criteria:
  starts:
    title: starts
    points: 2
    experiment: download
    expect: {node: [tracker, seed], state: running, at: 1s}
  gets:
    title: gets the file
    points: 4
    experiment: download
    needs: starts
    credit: share
    expect: {node: leecher, has: letter.txt, within: 40s}
  knows:
    title: knows who has it
    points: 4
    experiment: download
    needs: starts
    expect: {node: tracker, console: file_logs nowhere.txt, empty: false, at: 12s}
"""

pytestmark = pytest.mark.parametrize("engine", [DOCKER], ids=lambda kind: kind.id, indirect=True)


@pytest.fixture
def rubric(tmp_path: Path) -> str:
    ALL["plain"].write(tmp_path / "reference")
    path = tmp_path / "small.yaml"
    path.write_text(RUBRIC)
    return str(path)


def test_a_class_is_graded_once_and_each_loses_its_own_points(home: Path, rubric: str, tmp_path: Path) -> None:
    submissions = {"mutant": ALL["silent_about_unknown_files"], "plain": ALL["plain"]}
    for name, submission in submissions.items():
        submission.write(tmp_path / "class" / name)
    (tmp_path / "class" / "empty").mkdir()
    (tmp_path / "class" / "archive.zip").write_bytes(b"PK\x03\x04 half an archive")
    names = sorted(str(path) for path in (tmp_path / "class").iterdir())
    words = ("grade", rubric, *names, "--out", str(tmp_path / "marks"), "--engine", "docker")
    answer = torrentnet(home, *words, "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    rows = {row["name"]: row for row in json.loads(answer.stdout)["submissions"]}
    assert {name: row["points"] for name, row in rows.items()} == {"archive": 0, "empty": 0, "mutant": 6, "plain": 10}
    assert rows["mutant"]["marks"]["knows"]["state"] == "none"
    assert "there are no files in it" in rows["empty"]["error"]
    page = (tmp_path / "marks" / "mutant" / "index.html").read_text("utf-8")
    assert "What tracker printed" in page
    assert "<td>seed</td><td>leecher-" in page
    assert "tracker:6771  " in page
    again = torrentnet(home, *words, "--require", "8")
    assert again.returncode == 1, again.stdout + again.stderr
    assert "4 of 4 submissions are graded already" in again.stdout
    assert "reference" not in again.stdout


def test_an_interrupt_keeps_what_is_graded_and_no_lab(home: Path, engine: Kind, rubric: str, tmp_path: Path) -> None:
    ALL["plain"].write(tmp_path / "ada")
    words = ("grade", rubric, str(tmp_path / "ada"), "--out", str(tmp_path / "marks"), "--engine", "docker")
    with Running(home, *words) as grading:
        # The submission's own labs are on other threads than the reference's.
        grading.wait_line("the reference has all points")
        assert wait(lambda: bool(engine.left_over(home)))
        grading.signal(signal.SIGINT)
        assert grading.wait() == 130, grading.text
        assert "the same command goes on from there" in grading.text
    assert wait(lambda: not engine.left_over(home))
