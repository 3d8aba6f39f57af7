"""The same scenario with the same seed: the same experiment on any engine.

The peers' own choices are the same, too.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
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
    scenario = tmp_path / "slow.yaml"
    scenario.write_text(SLOW, encoding="utf-8")
    kinds = (DOCKER, LOCAL)
    homes = {kind: tmp_path / kind.id for kind in kinds}
    with ThreadPoolExecutor(len(kinds)) as pool:
        answers = pool.map(lambda kind: torrentnet(homes[kind], "run", str(scenario), **kind.settings), kinds)
    told = {}
    for kind, answer in zip(kinds, answers, strict=True):
        assert answer.returncode == 0, answer.stdout
        record = homes[kind] / "runs" / "slow" / "latest"
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
    assert not any(kind.left_over(homes[kind]) for kind in kinds)
