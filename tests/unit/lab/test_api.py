"""``torrentnet.lab.open``: the lab that it returns, and what is left afterwards."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import torrentnet.lab
from tests.unit.lab.stub import SCENARIO, StubEngine
from torrentnet.lab.errors import EngineError, NotJudgedError, ScenarioError, UsageError
from torrentnet.lab.home import find_current_lab, read_running_lab
from torrentnet.lab.paths import files_root
from torrentnet.lab.run.node_verbs import WaitTimeoutError
from torrentnet.lab.run.view import LabView

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORRENTNET_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    path = tmp_path / "x.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


def test_a_lab_lives_for_a_block(scenario: Path) -> None:
    engine = StubEngine()
    with torrentnet.lab.open(scenario, engine=engine) as lab:
        assert engine.done == ["start tracker", "start seeder-1", "start seeder-2"]
        assert lab.console("tracker", "peers").output == "console peers in tracker"
        lab.kill("seeder-1")
        # The lab knows which one is going on: `torrentnet status` finds it from elsewhere.
        found = find_current_lab(lab.home)
        assert found is not None
        assert found.project == lab.project
    assert engine.done[-2:] == ["destroy", "close"]
    assert find_current_lab(lab.home) is None
    assert [path.name for path in lab.home.iterdir()] == ["runs"]


def test_waiting_for_what_no_program_prints_is_a_usage_error(scenario: Path) -> None:
    with torrentnet.lab.open(scenario, engine=StubEngine()) as lab:
        with pytest.raises(UsageError, match="unknown event `forgoten`"):
            lab.wait_event("tracker", "forgoten", timeout=0.0)
        with pytest.raises(UsageError, match="`seeder-1` never prints `bad_piece`"):
            lab.wait_event("seeder-1", "bad_piece", timeout=0.0)
        with pytest.raises(UsageError, match="`forgotten` has no field `pere`"):
            lab.wait_event("tracker", "forgotten", pere="seeder-1", timeout=0.0)
        with pytest.raises(WaitTimeoutError):
            lab.wait_event("tracker", "forgotten", peer="seeder-1", timeout=0.0)


@pytest.mark.parametrize(
    ("expect", "verdict", "status"),
    [("", "not judged", 3), ("expect: []\n", "not judged", 3), ("expect: none\n", "passed", 0)],
)
def test_a_run_without_expectations_says_whether_it_passes(
    scenario: Path, expect: str, verdict: str, status: int
) -> None:
    text = (
        "files: {myfile.txt: {size: 1MiB}}\nnodes:\n  tracker: {tracker: {}}\n  seeder: {share: myfile.txt, count: 2}\n"
    )
    scenario.write_text(text + expect, encoding="utf-8")
    with torrentnet.lab.open(scenario, engine=StubEngine()) as lab:
        outcome = lab.play()
    assert (outcome.verdict, outcome.exit_code) == (verdict, status)
    assert ("no `expect`" in outcome.error) == (status == 3)


def test_settings_set_the_scenarios_parameters(scenario: Path) -> None:
    with torrentnet.lab.open(str(scenario), engine=StubEngine(), settings={"seeders": 3}) as lab:
        assert lab.select("seeder") == ("seeder-1", "seeder-2", "seeder-3")
        assert lab.plan.parameters == (("seeders", "3"),)
    with (
        pytest.raises(ScenarioError, match="leechers"),
        torrentnet.lab.open(scenario, engine=StubEngine(), settings={"leechers": 3}),
    ):
        pass


@pytest.mark.parametrize("keep", [True, lambda: True])
def test_a_kept_lab_stays_up(scenario: Path, keep: bool) -> None:
    engine = StubEngine()
    with torrentnet.lab.open(scenario, engine=engine, keep=keep) as lab:
        pass
    assert "destroy" not in engine.done
    assert engine.done[-1] == "close"
    up = read_running_lab(lab.home)
    assert up is not None
    assert (up.project, up.engine) == (lab.project, "fake")


def test_a_lab_is_removed_when_keep_returns_false(scenario: Path) -> None:
    engine = StubEngine()
    with torrentnet.lab.open(scenario, engine=engine, keep=lambda: False) as lab:
        pass
    assert engine.done[-2:] == ["destroy", "close"]
    assert [path.name for path in lab.home.iterdir()] == ["runs"]


def test_a_block_that_fails_leaves_nothing(scenario: Path) -> None:
    engine = StubEngine()
    with pytest.raises(ZeroDivisionError), torrentnet.lab.open(scenario, engine=engine) as lab:
        _ = 1 / 0
    assert engine.done[-2:] == ["destroy", "close"]
    assert [path.name for path in lab.home.iterdir()] == ["runs"]


def test_nothing_is_written_where_there_is_no_engine(scenario: Path) -> None:
    class Missing(StubEngine):
        def check(self) -> None:
            raise EngineError("nobody answers")

    engine = Missing()
    with pytest.raises(EngineError), torrentnet.lab.open(scenario, engine=engine):
        pass
    assert engine.done == ["close"]
    assert not list((scenario.parent / "home").iterdir())


def test_an_unknown_scenario_is_an_error() -> None:
    with pytest.raises(UsageError, match="there is no scenario `three_seders`"), torrentnet.lab.open("three_seders"):
        pass


def test_importing_the_package_loads_no_libraries() -> None:
    code = (
        "import sys, torrentnet.lab, torrentnet.lab.pytest_plugin; "
        "print([name for name in ('docker', 'rich', 'yaml', 'pydantic') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=files_root(), capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
    with pytest.raises(AttributeError, match="has no attribute 'opne'"):
        _ = torrentnet.lab.opne  # type: ignore[attr-defined]


@pytest.mark.parametrize("step", ["unwatch", "destroy", "observe", "close"])
def test_no_failing_step_of_the_clean_up_keeps_another(
    scenario: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    engine = StubEngine()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def use() -> None:
        with torrentnet.lab.open(scenario, engine=engine):
            monkeypatch.setattr(engine, step, fail)

    with pytest.raises(OSError, match="No space"):
        use()
    assert [name for name in ("destroy", "close") if name != step and name not in engine.done] == []
    assert [path.name for path in (scenario.parent / "home").iterdir()] == ["runs"]


def test_a_view_that_fails_keeps_no_lab(scenario: Path) -> None:
    class Broken(LabView):
        def stop(self) -> None:
            raise BrokenPipeError

    engine = StubEngine()
    with torrentnet.lab.open(scenario, engine=engine, view=Broken()):
        pass
    assert engine.done[-2:] == ["destroy", "close"]


def test_a_lost_stream_ends_the_run_not_judged(scenario: Path) -> None:
    engine = StubEngine()
    labs = []

    def use() -> None:
        with torrentnet.lab.open(scenario, engine=engine) as lab:
            labs.append(lab)
            engine.on_lost("the log of tracker broke off", "")
            lab.play()

    with pytest.raises(NotJudgedError, match="the log of tracker broke off"):
        use()
    assert engine.done[-2:] == ["destroy", "close"]
    outcome = labs[0].outcome
    assert outcome is not None
    assert (outcome.verdict, outcome.exit_code) == ("not judged", 3)
    result = json.loads((labs[0].directory / "result.json").read_text(encoding="utf-8"))
    assert (result["verdict"], result["error"]) == ("not judged", "the log of tracker broke off")


def test_a_record_that_was_removed_is_written_again(scenario: Path) -> None:
    scenario.write_text(scenario.read_text(encoding="utf-8") + "expect: none\n", encoding="utf-8")
    with torrentnet.lab.open(scenario, engine=StubEngine()) as lab:
        shutil.rmtree(lab.home / "runs")
        outcome = lab.play()
    assert outcome.verdict == "passed"
    assert (lab.directory / "result.json").exists()
    assert "listening" in (lab.directory / "logs/tracker.log").read_text(encoding="utf-8")


def test_a_record_that_cannot_be_written_is_not_judged(scenario: Path) -> None:
    scenario.write_text(scenario.read_text(encoding="utf-8") + "expect: none\n", encoding="utf-8")
    with torrentnet.lab.open(scenario, engine=StubEngine()) as lab:
        (lab.directory / "result.json").mkdir()
        with pytest.raises(NotJudgedError, match="Is a dir"):
            lab.play()
    assert lab.outcome is not None
    assert lab.outcome.verdict == "not judged"


EXPECTS_OF_TWO = """\
expect:
  - {node: seeder-1, log: {event: published}}
  - {node: leecher, log: {event: bad_piece}, times: 0, always: rest}
"""


def test_lost_lines_of_one_node_leave_the_others_judged(scenario: Path) -> None:
    scenario.write_text(scenario.read_text(encoding="utf-8") + EXPECTS_OF_TWO, encoding="utf-8")
    engine = StubEngine()
    with torrentnet.lab.open(scenario, engine=engine) as lab:
        engine.on_lost("leecher printed too fast", "leecher")
        outcome = lab.play()
    assert (outcome.verdict, outcome.error) == ("not judged", "leecher printed too fast")
    result = json.loads((lab.directory / "result.json").read_text(encoding="utf-8"))
    assert [(one["passed"], one["judged"]) for one in result["expectations"]] == [(True, True), (False, False)]


def test_lost_lines_that_nothing_depends_on_change_no_verdict(scenario: Path) -> None:
    scenario.write_text(scenario.read_text(encoding="utf-8") + EXPECTS_OF_TWO, encoding="utf-8")
    engine = StubEngine()
    with torrentnet.lab.open(scenario, engine=engine) as lab:
        engine.on_lost("seeder-2 printed too fast", "seeder-2")
        outcome = lab.play()
    assert outcome.verdict == "passed"


def test_a_trigger_on_a_node_whose_lines_were_lost_is_not_judged(scenario: Path) -> None:
    more = "time_limit: 1s\ntimeline: [{when: leecher has a.txt, kill: seeder-1}]\nexpect: none\n"
    scenario.write_text(scenario.read_text(encoding="utf-8") + more, encoding="utf-8")
    engine = StubEngine()
    with torrentnet.lab.open(scenario, engine=engine) as lab:
        engine.on_lost("leecher printed too fast", "leecher")
        outcome = lab.play()
    assert (outcome.verdict, outcome.error) == ("not judged", "leecher printed too fast")


def test_programs_are_checked_before_anything_is_made(scenario: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="--peers nowhere: there is no such folder or archive"),
        torrentnet.lab.open(scenario, engine=StubEngine(), peers="nowhere"),
    ):
        raise AssertionError
    assert not any((tmp_path / "home").iterdir())
