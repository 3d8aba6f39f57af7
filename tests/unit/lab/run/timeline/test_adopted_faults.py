"""A later process knows the network of a lab that was left up, and changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.network.test_persisted_rules import SCENARIO, Restarted
from tests.unit.lab.run.timeline.test_network_faults import without_netem
from torrentnet.lab.api import Lab
from torrentnet.lab.engines.types import Mode, NothingChangedError
from torrentnet.lab.errors import LabError
from torrentnet.lab.home import read_faults
from torrentnet.lab.network import capabilities, persisted_rules
from torrentnet.lab.run.timeline.adopted_faults import adopt_faults
from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities

if TYPE_CHECKING:
    from pathlib import Path

CUT = LinkOverride(frozenset({("leecher", "tracker"), ("tracker", "leecher")}), LinkQualities(cut=True), "partition x")


@pytest.fixture
def left_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Restarted, str]:
    """A lab that is left up with a partition between the tracker and seeder-1."""
    monkeypatch.setattr(capabilities, "find_capabilities", lambda engine, seed: without_netem())
    (tmp_path / "x.yaml").write_text(SCENARIO, encoding="utf-8")
    engine = Restarted()
    with Lab(load_plan(tmp_path / "x.yaml"), engine, mode=Mode.UP, home=tmp_path, runs=tmp_path / "runs") as lab:
        lab.start("leecher")
        lab.partition("tracker", "seeder-1")
        lab.keep()
    engine.scripts.clear()
    return engine, lab.project


def texts(home: Path, project: str) -> list[str]:
    return [fault.text for fault in read_faults(home, project)]


def test_to_adopt_changes_nothing(tmp_path: Path, left_up: tuple[Restarted, str]) -> None:
    engine, project = left_up
    faults = adopt_faults(tmp_path, project, engine)
    assert [fault.text for fault in faults.active()] == texts(tmp_path, project)
    assert texts(tmp_path, project)[1:] == ["partition tracker | seeder-1"]
    assert not engine.scripts


def test_a_heal_removes_what_an_earlier_process_has_cut(tmp_path: Path, left_up: tuple[Restarted, str]) -> None:
    engine, project = left_up
    faults = adopt_faults(tmp_path, project, engine)
    cut = faults.active()[-1]
    faults.remove(cut.number)
    assert sorted(node for node, _ in engine.scripts) == ["seeder-1", "tracker"]
    assert len(texts(tmp_path, project)) == 1
    # The next process knows that, too, and the links of the scenario stay.
    engine.scripts.clear()
    again = adopt_faults(tmp_path, project, engine)
    assert not again.remove(cut.number)
    assert not engine.scripts


def test_a_fault_of_a_later_process_is_kept_for_restarted_nodes(tmp_path: Path, left_up: tuple[Restarted, str]) -> None:
    engine, project = left_up
    faults = adopt_faults(tmp_path, project, engine)
    number = faults.apply(CUT).number
    assert number == 3
    with pytest.raises(NothingChangedError):
        adopt_faults(tmp_path, project, engine).apply(CUT)
    engine.restart_by_hand("leecher")
    engine.scripts.clear()
    assert persisted_rules.restore_rules(tmp_path, project, engine, ["leecher"]) == {"leecher": ""}
    ((node, script),) = engine.scripts
    assert node == "leecher"
    assert "DROP" in script


def test_the_state_of_an_older_version_is_refused(tmp_path: Path, left_up: tuple[Restarted, str]) -> None:
    engine, project = left_up
    path = next(tmp_path.rglob("faults.json"))
    path.write_text('[{"text": "isolate a", "since": 1.0, "link": false}]', encoding="utf-8")
    with pytest.raises(LabError, match="an older version of torrentnet has brought this lab up"):
        adopt_faults(tmp_path, project, engine)
