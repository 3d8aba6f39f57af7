"""The words after `make bench`, and what a killed run leaves in this directory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench.__main__ import command_of, main, parse_options, remove_work, work_name
from torrentnet.lab.engines.owner import Owner

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ([], "make bench"),
        (["--quick"], "make bench quick=1"),
        (["--only", "swarm bytes", "--write"], "make bench only=swarm,bytes write=1"),
        (["--runs", "5"], "make bench runs=5"),
    ],
)
def test_a_record_says_how_to_measure_it_again(words: list[str], command: str) -> None:
    assert command_of(parse_options(words)) == command


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--only", "byte"], "there is no part 'byte': the parts are bytes, tracker, swarm"),
        (["--runs", "0"], "runs=0: 1 to 50 make sense"),
    ],
)
def test_a_wrong_word_is_refused(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_directories_of_killed_runs_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    myself = Owner.myself()
    mine = tmp_path / work_name(myself)
    dead = tmp_path / work_name(replace(myself, boot="another-boot"))
    other = tmp_path / "2026-01-01T00-00-00Z"
    for path in (mine, dead, other):
        path.mkdir()
    remove_work(tmp_path, mine=False)
    assert (mine.exists(), dead.exists(), other.exists()) == (True, False, True)
    remove_work(tmp_path, mine=True)
    assert (mine.exists(), other.exists()) == (False, True)
