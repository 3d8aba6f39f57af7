"""The random scenarios of `make soak`."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.soak.__main__ import VERBS as LAB_VERBS
from tests.soak.__main__ import WARM_UP, grown
from tests.soak.scenarios import VERBS, render
from torrentnet.lab.scenario.language.models.timeline import EVENT_MODELS
from torrentnet.lab.scenario.load import load_plan

if TYPE_CHECKING:
    from pathlib import Path


def test_every_verb_of_the_language_is_used() -> None:
    assert set(VERBS) == set(EVENT_MODELS)
    # `start` follows each kill and stop there.
    assert set(LAB_VERBS) == set(EVENT_MODELS) - {"start"}


@pytest.mark.parametrize("seed", range(40))
def test_random_scenarios_are_valid(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "random.yaml"
    path.write_text(render(random.Random(seed)), encoding="utf-8")
    assert load_plan(path).events


def test_growth_after_the_warm_up_is_found() -> None:
    steady = {
        "lab_kib": 50_000.0,
        "tracker_kib": 20_000.0,
        "lab_files": 20.0,
        "tracker_files": 10.0,
        "lab_threads": 9.0,
    }
    rows = [{**steady, "s": WARM_UP + number} for number in range(1, 20)]
    assert not grown(rows)
    leak = [{**row, "lab_files": 20.0 + index} for index, row in enumerate(rows)]
    assert grown(leak) == ["lab_files has grown from 22 to 36"]
