"""The plan as a document, for every scenario that comes along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.scenario.plan.plan_document import plan_document

SCENARIOS = Path(__file__).resolve().parents[5] / "scenarios"


def document(name: str) -> Any:
    plan = load_plan(SCENARIOS / f"{name}.yaml")
    sizes = {file.name: file.content for file in plan.files if isinstance(file.content, int)}
    return json.loads(json.dumps(plan_document(plan, sizes), allow_nan=False))


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_scenario_is_a_document(path: Path) -> None:
    found = document(path.stem)
    assert found["scenario"] == path.stem
    assert found["nodes"]
    assert all(file["pieces"] == -(-file["size"] // file["piece_length"]) for file in found["files"])
    assert [event["event"] for event in found["timeline"]] == list(range(len(found["timeline"])))


def test_faults_have_directed_pairs_and_qualities() -> None:
    (cut,) = [event for event in document("one_way_cut")["timeline"] if event["kind"] == "partition"][:1]
    assert cut["qualities"] == {"cut": True}
    assert cut["pairs"]
    assert not {tuple(pair) for pair in cut["pairs"]} & {(to, from_) for from_, to in cut["pairs"]}


def test_settings_caps_and_deadlines_are_there() -> None:
    found = document("textbook")
    assert {node["strategy"] for node in found["nodes"] if node["role"] == "get"} == {"swarm"}
    assert {node["strategy"] for node in found["nodes"] if node["role"] != "get"} == {None}
    assert all(node["settings"]["seed"].isdigit() for node in found["nodes"])
    assert any("uplink" in link["qualities"] for link in found["links"])
    assert [one["deadline"] for one in document("three_seeders")["expectations"][:4]] == [40.0, 40.0, 40.0, 4.5]
    assert document("three_seeders")["expectations"][3]["seconds"] == 2.5


@pytest.mark.parametrize(("setting", "length"), [("piece_length: 64KiB, ", 2**16), ("", 2**18)])
def test_a_piece_length_that_the_scenario_sets_wins(tmp_path: Path, setting: str, length: int) -> None:
    text = (SCENARIOS / "three_seeders.yaml").read_text("utf-8").replace("piece_length: 256KiB, ", setting)
    path = tmp_path / "three_seeders.yaml"
    path.write_text(text, "utf-8")
    found: Any = plan_document(load_plan(path), {"myfile.txt": 8 * 2**20})
    assert [(file["piece_length"], file["pieces"]) for file in found["files"]] == [(length, 2**23 // length)]
