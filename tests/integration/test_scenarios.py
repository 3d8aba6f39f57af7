"""Every scenario of the product, on every engine.

Each scenario passes and leaves nothing behind, and its result is described in the same way by all engines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from tests.integration.engines import DOCKER, LOCAL, LOOPBACK, Kind, each, need, need_programs, why_missing
from tests.integration.helpers import ROOT, Running
from torrentnet.lab.network import capabilities
from torrentnet.lab.scenario.load import list_scenarios, load_plan
from torrentnet.lab.scenario.plan.expectations import BytesCheckPlan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = [name for name, _, _ in list_scenarios(ROOT / "scenarios")]
PATHS = {path.stem: path for path in (ROOT / "scenarios").glob("*.yaml")}
OURS = [name for name in NAMES if not load_plan(PATHS[name]).foreign_programs]
"""Scenarios without other people's programs, which only Docker's image has."""
REFUSALS = (
    "this engine does not support ",
    "this engine cannot count the bytes of a node",
    "the engine `local` runs our own programs only",
)


class Played:
    """A scenario's run on one engine."""

    def __init__(self, name: str, engine: Kind, home: Path) -> None:
        self.name = name
        self.engine = engine
        self.home = home
        self.lab = Running(home, "run", name, env=engine.settings, apart=True)

    @cached_property
    def status(self) -> int:
        """The exit status, once there is one."""
        return self.lab.wait()

    @cached_property
    def record(self) -> Path:
        """The run's directory."""
        return self.home / "runs" / self.name / "latest"

    @cached_property
    def result(self) -> dict[str, Any]:
        """What is in ``result.json``."""
        assert self.status == 0, self.lab.text + self.lab.errors
        result: dict[str, Any] = json.loads((self.record / "result.json").read_text(encoding="utf-8"))
        return result


Play = Callable[[str, Kind], Played]
LINE_WITH_TIME = re.compile(r" *[0-9]+\.[0-9] s  ")
"""The first one comes when all nodes are up."""


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory, runtime: Path) -> Iterator[Play]:
    """A scenario's run on an engine, which the first who asks begins."""
    runs: dict[tuple[str, Kind], Played] = {}

    def play(name: str, kind: Kind) -> Played:
        if (name, kind) not in runs:
            # Labs mostly wait, so that the engines run a scenario at the same time; but Docker's needs the processors
            # when it starts.
            for engine in (DOCKER, LOCAL, LOOPBACK) if name in OURS else (kind,):
                if not why_missing(engine):
                    runs[name, engine] = Played(name, engine, tmp_path_factory.mktemp(f"{name}-{engine}"))
                    if engine is DOCKER:
                        runs[name, engine].lab.wait_match(LINE_WITH_TIME)
        return runs[name, kind]

    yield play
    for run in runs.values():
        with run.lab as lab:
            # One that nobody has waited for.
            lab.interrupt()


SCENARIO = pytest.mark.parametrize("name", NAMES)


def test_the_tour_is_complete() -> None:
    assert {"three_seeders", "killed_seed", "keepalive", "tracker_restart", "many_leechers"} <= set(NAMES)


@SCENARIO
@each
def test_scenario(name: str, kind: Kind, played: Play) -> None:
    need(kind)
    plan = load_plan(PATHS[name])
    if plan.foreign_programs and kind is DOCKER:
        need_programs()
    run = played(name, kind)
    wants = (
        bool(capabilities.required_qualities(plan))
        or any("disk" in node.limits.explicit for node in plan.nodes)
        or any(isinstance(expected, BytesCheckPlan) for expected in plan.expectations)
    )
    if (wants and not kind.isolates) or (plan.foreign_programs and kind is not DOCKER):
        # Before any node is made, and by name.
        assert run.status == 3, run.lab.text + run.lab.errors
        assert any(refusal in run.lab.text for refusal in REFUSALS), run.lab.text
    else:
        check_record(run)
    assert run.lab.errors == ""
    assert not kind.left_over(run.home)


def check_record(run: Played) -> None:
    """Whether everything that a run has to leave in its record is there and fits."""
    result, record = run.result, run.record
    assert f"{run.name}: PASSED" in run.lab.text
    assert result["verdict"] == "passed"
    assert result["expectations"]
    assert all(one["error"] is None and one["applied"] >= one["planned"] for one in result["timeline"])
    assert result["environment"]["engine"].lower().startswith(run.engine.name)
    suite = ET.parse(record / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == (str(len(result["expectations"])), "0")
    nodes = {node["name"] for node in result["nodes"]}
    assert {path.stem for path in (record / "logs").iterdir()} == nodes
    events = [json.loads(line) for line in (record / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert nodes <= {event["node"] for event in events}
    if run.engine is DOCKER:
        assert (record / "compose.yaml").is_file()
    else:
        kept = json.loads((record / "nodes.json").read_text(encoding="utf-8"))
        assert {node["name"] for node in kept["nodes"]} == nodes


@pytest.mark.parametrize("name", OURS)
def test_both_engines_have_the_same_result(name: str, played: Play) -> None:
    need(LOCAL)
    need(DOCKER)
    told = [_independent(played(name, kind).result) for kind in (DOCKER, LOCAL)]
    assert told[0] == told[1]


def _independent(result: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a result that is the same in every run on any engine.

    That part depends neither on the moment at which something happened, nor on where it ran.
    """
    return {
        "has": sorted(result),
        "verdict": result["verdict"],
        "scenario": result["scenario"],
        "seed": result["seed"],
        "parameters": result["parameters"],
        "files": result["files"],
        "nodes": sorted((node["name"], node["role"]) for node in result["nodes"]),
        "timeline": sorted(
            (one["event"] is None, one["event"] or 0, one["text"], sorted(one["nodes"]), one["error"])
            for one in result["timeline"]
        ),
        "expectations": [(one["text"], one["level"], one["passed"]) for one in result["expectations"]],
        "environment": sorted(result["environment"]),
    }
