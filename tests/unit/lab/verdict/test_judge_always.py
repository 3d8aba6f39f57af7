"""Expectations that must always hold, and when the judge has decided."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.unit.lab.fakes import expectation, make_plan
from tests.unit.lab.verdict.trial import BAD, Trial, peers
from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.errors import EngineError
from torrentnet.lab.scenario.plan.expectations import (
    BecomesCheckPlan,
    Interval,
    KnowsCheckPlan,
    LogCheckPlan,
    StateCheckPlan,
)
from torrentnet.lab.verdict.judge import judge

if TYPE_CHECKING:
    from torrentnet.lab.run.timeline.timeline import Timeline

PEERS = ("tracker", "console", "peers", "--json")


def test_always_passes_when_its_time_is_over(trial: Trial) -> None:
    trial.engine.answers[PEERS] = peers("seeder-1")
    pending = trial.expect(KnowsCheckPlan, "tracker", count=Interval(1), always=2.0)
    for step in range(20):
        assert trial.evaluate(pending, step / 10) is None
    result = trial.decide(pending, 2.0)
    assert result.passed
    assert result.measured == "1 peer (seeder-1), at 2.0 s; held for 2.0 s, checked 5 times"
    assert len(trial.engine.asked) == 5


def test_always_fails_at_once(trial: Trial) -> None:
    trial.engine.answers[PEERS] = peers("seeder-1")
    pending = trial.expect(KnowsCheckPlan, "tracker", count=Interval(1), always=10.0)
    assert trial.evaluate(pending, 0.0) is None
    trial.engine.answers[PEERS] = peers()
    result = trial.decide(pending, 1.5)
    assert (result.passed, result.time) == (False, 1.5)
    assert result.measured == "0 peers, expected at least 1, at 1.5 s; it had held for 1.5 s"


def test_always_begins_at_its_time(trial: Trial) -> None:
    pending = trial.expect(StateCheckPlan, "seeder-1", state="running", at=5.0, always=2.0)
    trial.set_status("seeder-1", NodeStatus.PAUSED)
    assert trial.evaluate(pending, 4.9) is None
    trial.set_status("seeder-1", NodeStatus.RUNNING)
    assert trial.evaluate(pending, 5.0) is None
    assert trial.decide(pending, 7.0).passed


def test_always_begins_with_its_event(trial: Trial) -> None:
    pending = trial.expect(StateCheckPlan, "seeder-1", state="exited", after=0, always=2.0)
    assert trial.evaluate(pending, 1.0) is None
    assert not pending.open_ended
    trial.set_status("seeder-1", NodeStatus.EXITED, 137)
    trial.timeline.times[0] = 3.0
    assert trial.evaluate(pending, 3.0) is None
    trial.set_status("seeder-1", NodeStatus.RUNNING)
    assert trial.decide(pending, 4.0).measured == "running at 4.0 s; it had held for 1.0 s"


def test_a_line_that_must_never_appear_fails_at_once(trial: Trial) -> None:
    pending = trial.expect(LogCheckPlan, pattern=BAD, count=Interval(most=0), always=math.inf)
    assert trial.evaluate(pending, 1.0) is None
    assert pending.open_ended
    trial.print_event(2.0, "leecher-1", "bad_piece peer=seeder-1 piece=3")
    assert not trial.decide(pending, 2.0).passed


def test_always_to_the_end_is_decided_by_the_end(trial: Trial) -> None:
    pending = trial.expect(StateCheckPlan, "seeder-1", state="running", always=math.inf)
    assert not pending.open_ended
    for at in (1.0, 2.0, 3.0):
        assert trial.evaluate(pending, at) is None
    assert pending.open_ended
    trial.clock.time = 4.0
    pending.finish()
    assert pending.result is not None
    assert pending.result.passed
    assert pending.result.measured == "running at 4.0 s; held for 4.0 s, checked 4 times"


def test_the_last_evaluation_counts(trial: Trial) -> None:
    pending = trial.expect(StateCheckPlan, "seeder-1", state="running", always=math.inf)
    assert trial.evaluate(pending, 1.0) is None
    trial.set_status("seeder-1", NodeStatus.PAUSED)
    pending.finish()
    assert pending.result is not None
    assert (pending.result.passed, pending.result.measured) == (False, "paused at 1.0 s")


def test_a_node_that_is_down_fails(trial: Trial) -> None:
    trial.engine.answers[PEERS] = peers("seeder-1")
    pending = trial.expect(KnowsCheckPlan, "tracker", count=Interval(1), always=9.0)
    assert trial.evaluate(pending, 0.0) is None
    trial.set_status("tracker", NodeStatus.EXITED, 137)
    result = trial.decide(pending, 1.0)
    assert (result.passed, result.measured) == (False, "tracker is not running; it had held for 1.0 s")


def test_one_engine_failure_decides_nothing(trial: Trial) -> None:
    trial.engine.answers[PEERS] = peers("seeder-1")
    pending = trial.expect(KnowsCheckPlan, "tracker", count=Interval(1), always=2.0)
    trial.engine.failing = "the daemon is busy"
    assert trial.evaluate(pending, 0.0) is None
    trial.engine.failing = ""
    assert trial.evaluate(pending, 1.0) is None
    result = trial.decide(pending, 2.0)
    assert result.passed
    trial.engine.failing = "the daemon has gone away"
    pending = trial.expect(KnowsCheckPlan, "tracker", count=Interval(1), always=20.0)
    for at in (3.0, 4.0, 5.0):
        assert trial.evaluate(pending, at) is None
    with pytest.raises(EngineError, match="the daemon has gone away"):
        trial.evaluate(pending, 6.0)


# -- the judge -------------------------------------------------------------------------------------


class Finished:
    """A timeline that has finished."""

    engine_error = None
    finished = True

    def began_at(self, index: int) -> float | None:
        return None

    def failed(self, index: int) -> bool:
        return False

    def will_start(self, node: str) -> bool:
        return False


class Ticking:
    """A clock that advances by a tenth of a second with each reading."""

    def __init__(self, trial: Trial) -> None:
        self.epoch = trial.clock.epoch
        self.time = 0.0

    def now(self) -> float:
        self.time += 0.1
        return self.time

    def of(self, epoch: float) -> float:
        return epoch - self.epoch


def test_an_expectation_to_the_end_does_not_prolong_the_run(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Ticking(trial)
    context = replace(trial.context, clock=cast("Any", clock))
    plan = make_plan(
        expectations=(
            expectation(StateCheckPlan, "seeder-1", state="running", always=math.inf),
            expectation(LogCheckPlan, "leecher-1", pattern=BAD, count=Interval(most=0), within=30.0),
            expectation(StateCheckPlan, "leecher-1", state="running", at=2.0),
        )
    )
    monkeypatch.setattr(trial.lab_state, "wait_change", lambda version, timeout: version)
    results = judge(plan, context, cast("Timeline", Finished()))
    assert [result.passed for result in results] == [True, True, True]
    assert 2.0 < clock.time < 10.0


def test_the_time_limit_fails_what_is_undecided(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Ticking(trial)
    context = replace(trial.context, clock=cast("Any", clock), time_limit=5.0)
    plan = make_plan(
        time_limit=5.0,
        expectations=(
            expectation(StateCheckPlan, "seeder-1", state="running", always=math.inf),
            expectation(StateCheckPlan, "seeder-1", state="running", always=60.0),
            expectation(BecomesCheckPlan, "leecher-1", state="seed", within=60.0),
        ),
    )
    monkeypatch.setattr(trial.lab_state, "wait_change", lambda version, timeout: version)
    results = judge(plan, context, cast("Timeline", Finished()))
    assert [result.passed for result in results] == [True, False, False]
    assert results[1].decisive.measured.endswith("; the time limit of 5 s is over")
