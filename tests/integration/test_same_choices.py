"""The same scenario with the same seed: the same experiment on any engine.

The peers' own choices are the same, too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.engines import DOCKER, LOCAL, need
from tests.integration.helpers import torrentnet

if TYPE_CHECKING:
    from pathlib import Path

SLOW = """\
name: slow
about: So slow that every leecher has picked its source before the first of them is a source itself.
seed: 12
time_limit: 40s
files:
  myfile.txt: {size: 192KiB}
nodes:
  tracker: {tracker: {}}
  seeder: {share: myfile.txt, count: 4, upload: 512kbit}
  leecher: {get: myfile.txt, count: 4}
timeline:
  - {at: 5s, pause: 1 of seeder, for: 1s}
expect:
  - {node: leecher, has: myfile.txt, within: 30s}
  - {node: tracker, knows: 8, within: 30s}
"""


@pytest.mark.docker
def test_the_same_verdict_and_the_same_choices(tmp_path: Path) -> None:
    need(LOCAL)
    need(DOCKER)
    home = tmp_path / "home"
    scenario = home / "runs" / "slow.yaml"
    scenario.parent.mkdir(parents=True)
    scenario.write_text(SLOW, encoding="utf-8")
    told = {}
    for kind in (DOCKER, LOCAL):
        answer = torrentnet(home, "run", str(scenario), **kind.settings)
        assert answer.returncode == 0, answer.stdout
        record = home / "runs" / "slow" / "latest"
        result = json.loads((record / "result.json").read_text(encoding="utf-8"))
        events = [json.loads(line) for line in (record / "events.jsonl").read_text(encoding="utf-8").splitlines()]
        picked = [
            (event["node"], event["fields"]["peer"], event["fields"]["among"])
            for event in events
            if event.get("event") == "picked"
        ]
        told[kind] = (
            sorted(result),
            result["verdict"],
            result["seed"],
            [(one["text"], one["nodes"], one["error"]) for one in result["timeline"]],
            [one["text"] for one in result["expectations"]],
            sorted(result["environment"]),
            result["files"],
            sorted(picked),
        )
    assert told[LOCAL] == told[DOCKER]
    assert len(told[LOCAL][-1]) == 4
    assert not DOCKER.left_over(home)
    assert not LOCAL.left_over(home)
