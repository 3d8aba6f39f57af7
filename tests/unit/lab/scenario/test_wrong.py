"""Every error message of a scenario file.

Each is a pair of a wrong file and the messages about it.

A new pair: put ``NAME.yaml`` into ``wrong/``, run this file with ``TORRENTNET_GOLDEN=write``, and read ``NAME.txt`` as
the person who wrote the file would.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.lab import golden
from torrentnet.lab.errors import ScenarioError
from torrentnet.lab.scenario.load import load_plan

WRONG = Path(__file__).parent / "wrong"
NAMES = sorted(path.stem for path in WRONG.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_file_has_these_errors(name: str) -> None:
    source = WRONG / f"{name}.yaml"
    with pytest.raises(ScenarioError) as caught:
        load_plan(source, shown_as=source.name)
    golden.check(f"{name}.txt", f"{caught.value}\n", WRONG)
    assert caught.value.exit_code == 2


def test_every_golden_text_has_its_scenario() -> None:
    assert {path.stem for path in WRONG.glob("*.txt")} == set(NAMES)
    assert len(NAMES) >= 120


@pytest.mark.parametrize("name", NAMES)
def test_errors_are_sorted_and_point_into_the_file(name: str) -> None:
    source = WRONG / f"{name}.yaml"
    with pytest.raises(ScenarioError) as caught:
        load_plan(source)
    places = [(problem.line, problem.column) for problem in caught.value.problems]
    lines = source.read_bytes().decode("utf-8", "replace").split("\n")
    assert places == sorted(places)
    for line, column in places:
        assert 1 <= line <= len(lines)
        assert 1 <= column <= len(lines[line - 1]) + 1
