"""In a lab that stays up, nodes that a user starts again get their rules back."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.run.timeline.test_network_faults import without_netem
from tests.unit.lab.stub import StubEngine
from torrentnet.lab.api import Lab
from torrentnet.lab.engines.types import ExecResult, Mode, NodeState, NodeStatus, StateChange
from torrentnet.lab.errors import LabError
from torrentnet.lab.network import capabilities, persisted_rules
from torrentnet.lab.network.persisted_rules import PersistedRules
from torrentnet.lab.scenario.load import load_plan

if TYPE_CHECKING:
    from pathlib import Path

SCENARIO = """\
about: A tracker, two seeders, and a leecher behind slow links.
files: {a.txt: {size: 1KiB}}
nodes:
  tracker: {tracker: {}}
  seeder: {share: a.txt, count: 2}
  leecher: {get: a.txt}
links:
  - {from: seeder, to: leecher, loss: 1%, rate: 8mbit}
"""
NODES = ("tracker", "seeder-1", "seeder-2", "leecher")


class Restarted(StubEngine):
    """Its nodes can also be started by hand."""

    def __init__(self) -> None:
        super().__init__()
        self._lives: Counter[str] = Counter()

    def incarnation(self, node: str) -> str:
        return str(self._lives[node])

    def _do(self, verb: str, node: str, status: NodeStatus, code: int | None = None) -> None:
        if verb == "start":
            self._lives[node] += 1
        super()._do(verb, node, status, code)

    def restart_by_hand(self, node: str) -> None:
        self._lives[node] += 1
        self.states[node] = NodeState(NodeStatus.RUNNING)
        for status in (NodeStatus.EXITED, NodeStatus.RUNNING):
            if self._on_state is not None:
                self._on_state(StateChange(node, time.time(), NodeState(status)))


def left_up(home: Path, engine: Restarted, *restarted: str) -> str:
    """Return the project of a lab that is left up.

    The nodes ``restarted`` were restarted by hand before.
    """
    (home / "x.yaml").write_text(SCENARIO, encoding="utf-8")
    with Lab(load_plan(home / "x.yaml"), engine, mode=Mode.UP, home=home, runs=home / "runs") as lab:
        for node in restarted:
            engine.restart_by_hand(node)
        lab.keep()
    engine.scripts.clear()
    return lab.project


def test_a_restarted_node_gets_its_rules_back_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "find_capabilities", lambda engine, seed: without_netem())
    engine = Restarted()
    project = left_up(tmp_path, engine, "seeder-1")
    assert persisted_rules.restore_rules(tmp_path, project, engine, NODES[:3]) == {"seeder-1": ""}
    ((node, script),) = engine.scripts
    assert node == "seeder-1"
    assert "htb rate 8000000bit" in script
    # The tracker has no rules; the leecher was not among the nodes of the first call.
    for node in NODES:
        engine.restart_by_hand(node)
    assert persisted_rules.restore_rules(tmp_path, project, engine, NODES) == dict.fromkeys(NODES[1:], "")
    assert persisted_rules.restore_rules(tmp_path, project, engine, NODES) == {}


def test_a_failure_is_reported_and_tried_again(tmp_path: Path) -> None:
    engine = Restarted()
    engine.states = dict.fromkeys(NODES, NodeState(NodeStatus.RUNNING))
    persisted_rules.persist_rules(tmp_path, "x", {"leecher": PersistedRules("1", "rules\n")})
    engine.rooted["leecher"] = ExecResult(2, "", "RTNETLINK answers: Operation not permitted\n")
    for _ in range(2):
        assert persisted_rules.restore_rules(tmp_path, "x", engine, NODES) == {
            "leecher": "RTNETLINK answers: Operation not permitted"
        }
    engine.rooted.clear()
    assert persisted_rules.restore_rules(tmp_path, "x", engine, NODES) == {"leecher": ""}
    assert persisted_rules.restore_rules(tmp_path, "x", engine, NODES) == {}


def test_a_lab_without_rules_has_nothing_to_restore(tmp_path: Path) -> None:
    engine = Restarted()
    persisted_rules.persist_rules(tmp_path, "x", {})
    assert not [*tmp_path.iterdir()]
    assert persisted_rules.restore_rules(tmp_path, "x", engine, NODES) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"leecher": {}}'])
def test_damaged_rules_are_not_taken_for_none(tmp_path: Path, text: str) -> None:
    persisted_rules.persist_rules(tmp_path, "x", {"leecher": PersistedRules("1", "rules\n")})
    next(tmp_path.rglob("network.json")).write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match="the rules of the nodes' links cannot be read"):
        persisted_rules.restore_rules(tmp_path, "x", Restarted(), NODES)
