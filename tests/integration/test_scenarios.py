"""Every scenario of the product holds, and leaves nothing behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.integration.helpers import ROOT, torrentnet
from torrentnet.lab.scenario import list_scenarios

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [name for name, _, _ in list_scenarios(ROOT / "scenarios")]


def test_the_tour_is_complete() -> None:
    assert {"three_seeders", "killed_seed", "keepalive", "tracker_restart", "many_leechers"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_scenario(name: str, home: Path) -> None:
    answer = torrentnet(home, "run", name)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{name}: PASSED" in answer.stdout
    assert answer.stderr == ""
    record = home / "runs" / name / "latest"
    result = json.loads((record / "result.json").read_text(encoding="utf-8"))
    assert result["verdict"] == "pass"
    assert result["expectations"]
    assert all(one["error"] is None and one["applied"] >= one["planned"] for one in result["timeline"])
    suite = ET.parse(record / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == (str(len(result["expectations"])), "0")
    nodes = {node["name"] for node in result["nodes"]}
    assert {path.stem for path in (record / "logs").iterdir()} == nodes
    events = [json.loads(line) for line in (record / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert nodes <= {event["node"] for event in events}
    assert (record / "compose.yaml").is_file()
