"""Each submission compiles, and shows nothing of how it was made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.submissions.__main__ import main
from tests.submissions.build import Edit
from tests.submissions.catalogue import ALL, MUTANTS, ODD, PLAIN

if TYPE_CHECKING:
    from pathlib import Path

WORDS = re.compile("torrentnet|mutant|rubric|criteri|" + "|".join(MUTANTS.keys() | ODD.keys()))


@pytest.mark.parametrize("name", ALL)
def test_a_submission_compiles_and_has_no_trace_of_its_making(name: str) -> None:
    texts = ALL[name].texts()
    assert name == "plain" or texts != PLAIN.texts()
    for path, text in texts.items():
        compile(text, path, "exec")
        assert not WORDS.search(text)


def test_a_mutant_loses_marks_and_an_odd_program_none() -> None:
    assert all(mutant.lost for mutant in MUTANTS.values())
    assert not any(odd.lost for odd in ODD.values())


def test_an_edit_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="has 0 times, and not once: no such text"):
        Edit("peer.py", "no such text", "").apply(PLAIN.texts())


def test_the_command_writes_a_folder_for_each_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "plain", "size_zero"]) == 0
    assert sorted(path.name for path in (tmp_path / "size_zero").iterdir()) == ["common.py", "peer.py", "tracker.py"]
    assert (tmp_path / "plain/peer.py").read_text() == PLAIN.texts()["peer.py"]
    assert "size_zero: answers size 0; criteria without all marks: 5" in capsys.readouterr().out
    assert main([str(tmp_path), "nobody"]) == 2
