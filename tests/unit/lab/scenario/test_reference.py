"""The examples of docs/scenarios.md.

Every YAML block loads, and the wrong block has the errors that the page shows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.scenario.scenario_files import ROOT, load
from torrentnet.lab.errors import ScenarioError
from torrentnet.lab.scenario.language.messages import model_keys
from torrentnet.lab.scenario.language.models.expectations import CHECK_MODELS
from torrentnet.lab.scenario.language.models.scenario import NODE_MODELS, ScenarioModel
from torrentnet.lab.scenario.language.models.timeline import EVENT_MODELS

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

TEXT = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
WHOLE, *PARTS = [text for language, kind, text in BLOCKS if language == "yaml" and not kind]


def sections(text: str) -> dict[str, str]:
    """Split a scenario's text by its top-level keys."""
    found = re.split(r"^(\w+):", text, flags=re.MULTILINE)
    return {key: f"{key}:{value}" for key, value in zip(found[1::2], found[2::2], strict=True)}


def test_the_first_example_is_a_whole_scenario(tmp_path: Path) -> None:
    plan = load(tmp_path, WHOLE)
    assert plan.nodes
    assert plan.events
    assert plan.expectations


@pytest.mark.parametrize("part", PARTS)
def test_the_other_examples_are_parts_of_a_scenario(part: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("the source of the example's file")
    labs = tmp_path / "labs"
    labs.mkdir()
    for name in ("mine/tracker.py", "mine/peer.py", "echo/echo.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    whole = sections(WHOLE)
    if "nodes" in sections(part):
        del whole["timeline"], whole["links"]
    if "nodes" in sections(part) or "timeline" in sections(part):
        del whole["expect"]
    load(labs, "".join((whole | sections(part)).values()))


def test_the_wrong_example_has_the_errors_shown(tmp_path: Path) -> None:
    (wrong,) = [text for _, kind, text in BLOCKS if kind == "wrong"]
    (answer,) = [text for language, _, text in BLOCKS if language == "text"]
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, wrong, "wrong")
    assert f"{caught.value}\n".replace(f"{tmp_path}/", "") == answer


def test_the_reference_contains_every_key() -> None:
    models: list[type[BaseModel]] = [
        ScenarioModel,
        *NODE_MODELS.values(),
        *EVENT_MODELS.values(),
        *CHECK_MODELS.values(),
    ]
    words = {word for model in models for word in model_keys(model)}
    assert [word for word in sorted(words) if f"`{word}" not in TEXT] == []
