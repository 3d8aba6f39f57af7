"""What must hold always, and when the judge is ready."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.unit.lab.fakes import expectation, make_plan
from tests.unit.lab.verdict.trial import BAD, Trial, peers
from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.errors import EngineError
from torrentnet.lab.scenario.plan import (
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


def test_it_holds_when_its_time_is_over(trial: Trial) -> None:
    trial.engine.answers[PEERS] = peers("seeder-1")
    question = trial.question(KnowsCheckPlan, "tracker", count=Interval(1), always=2.0)
    for step in range(20):
        assert trial.ask(question, step / 10) is None
    answer = trial.answer(question, 2.0)
    assert answer.passed
    assert answer.measured == "1 peer (seeder-1), at 2.0 s; held for 2.0 s, looked at 5 times"
    assert len(trial.engine.asked) == 5


def test_it_fails_at_once(trial: Trial) -> None:
    trial.engine.answers[PEERS] = peers("seeder-1")
    question = trial.question(KnowsCheckPlan, "tracker", count=Interval(1), always=10.0)
    assert trial.ask(question, 0.0) is None
    trial.engine.answers[PEERS] = peers()
    answer = trial.answer(question, 1.5)
    assert (answer.passed, answer.time) == (False, 1.5)
    assert answer.measured == "0 peers, expected at least 1, at 1.5 s; it had held for 1.5 s"


def test_it_begins_at_its_time(trial: Trial) -> None:
    question = trial.question(StateCheckPlan, "seeder-1", state="running", at=5.0, always=2.0)
    trial.live("seeder-1", NodeStatus.PAUSED)
    assert trial.ask(question, 4.9) is None
    trial.live("seeder-1", NodeStatus.RUNNING)
    assert trial.ask(question, 5.0) is None
    answer = trial.answer(question, 7.0)
    assert answer.passed


def test_it_begins_with_its_event(trial: Trial) -> None:
    question = trial.question(StateCheckPlan, "seeder-1", state="exited", after=0, always=2.0)
    assert trial.ask(question, 1.0) is None
    assert not question.open_ended
    trial.live("seeder-1", NodeStatus.EXITED, 137)
    trial.timeline.times[0] = 3.0
    assert trial.ask(question, 3.0) is None
    trial.live("seeder-1", NodeStatus.RUNNING)
    answer = trial.answer(question, 4.0)
    assert answer.measured == "running at 4.0 s; it had held for 1.0 s"


def test_a_line_that_must_never_come(trial: Trial) -> None:
    question = trial.question(LogCheckPlan, pattern=BAD, count=Interval(most=0), always=math.inf)
    assert trial.ask(question, 1.0) is None
    assert question.open_ended
    trial.say(2.0, "leecher-1", "bad_piece peer=seeder-1 piece=3")
    answer = trial.answer(question, 2.0)
    assert not answer.passed


def test_to_the_end_of_the_run(trial: Trial) -> None:
    question = trial.question(StateCheckPlan, "seeder-1", state="running", always=math.inf)
    assert not question.open_ended
    for at in (1.0, 2.0, 3.0):
        assert trial.ask(question, at) is None
    assert question.open_ended
    trial.clock.time = 4.0
    question.finish()
    assert question.answer is not None
    assert question.answer.passed
    assert question.answer.measured == "running at 4.0 s; held for 4.0 s, looked at 4 times"


def test_the_last_look_counts(trial: Trial) -> None:
    question = trial.question(StateCheckPlan, "seeder-1", state="running", always=math.inf)
    assert trial.ask(question, 1.0) is None
    trial.live("seeder-1", NodeStatus.PAUSED)
    question.finish()
    assert question.answer is not None
    assert (question.answer.passed, question.answer.measured) == (False, "paused at 1.0 s")


def test_a_node_that_is_down_does_not_hold(trial: Trial) -> None:
    trial.engine.answers[PEERS] = peers("seeder-1")
    question = trial.question(KnowsCheckPlan, "tracker", count=Interval(1), always=9.0)
    assert trial.ask(question, 0.0) is None
    trial.live("tracker", NodeStatus.EXITED, 137)
    answer = trial.answer(question, 1.0)
    assert (answer.passed, answer.measured) == (False, "tracker is not running; it had held for 1.0 s")


def test_an_engine_that_fails_once_decides_nothing(trial: Trial) -> None:
    trial.engine.answers[PEERS] = peers("seeder-1")
    question = trial.question(KnowsCheckPlan, "tracker", count=Interval(1), always=2.0)
    trial.engine.failing = "the daemon is busy"
    assert trial.ask(question, 0.0) is None
    trial.engine.failing = ""
    assert trial.ask(question, 1.0) is None
    answer = trial.answer(question, 2.0)
    assert answer.passed
    trial.engine.failing = "the daemon has gone away"
    question = trial.question(KnowsCheckPlan, "tracker", count=Interval(1), always=20.0)
    for at in (3.0, 4.0, 5.0):
        assert trial.ask(question, at) is None
    with pytest.raises(EngineError, match="the daemon has gone away"):
        trial.ask(question, 6.0)


# ── the judge ────────────────────────────────────────────────────────────────────────────────────────────────


class Over:
    """A timeline that is over."""

    broken = None
    over = True

    def began(self, index: int) -> float | None:
        return None

    def never(self, index: int) -> bool:
        return False

    def revives(self, node: str) -> bool:
        return False


class Going:
    """A clock that goes a tenth of a second further whenever somebody looks at it."""

    def __init__(self, trial: Trial) -> None:
        self.epoch = trial.clock.epoch
        self.time = 0.0

    def now(self) -> float:
        self.time += 0.1
        return self.time

    def of(self, epoch: float) -> float:
        return epoch - self.epoch


def test_what_holds_to_the_end_does_not_make_the_run_longer(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    clock = Going(trial)
    stage = replace(trial.stage, clock=cast("Any", clock))
    plan = make_plan(
        expectations=(
            expectation(StateCheckPlan, "seeder-1", state="running", always=math.inf),
            expectation(LogCheckPlan, "leecher-1", pattern=BAD, count=Interval(most=0), within=30.0),
            expectation(StateCheckPlan, "leecher-1", state="running", at=2.0),
        )
    )
    monkeypatch.setattr(trial.board, "wait_change", lambda version, timeout: version)
    judgements = judge(plan, stage, cast("Timeline", Over()))
    assert [judged.passed for judged in judgements] == [True, True, True]
    assert 2.0 < clock.time < 10.0


def test_at_the_time_limit_what_held_has_held_and_what_is_open_has_failed(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    clock = Going(trial)
    stage = replace(trial.stage, clock=cast("Any", clock), time_limit=5.0)
    plan = make_plan(
        time_limit=5.0,
        expectations=(
            expectation(StateCheckPlan, "seeder-1", state="running", always=math.inf),
            expectation(StateCheckPlan, "seeder-1", state="running", always=60.0),
            expectation(BecomesCheckPlan, "leecher-1", state="seed", within=60.0),
        ),
    )
    monkeypatch.setattr(trial.board, "wait_change", lambda version, timeout: version)
    judgements = judge(plan, stage, cast("Timeline", Over()))
    assert [judged.passed for judged in judgements] == [True, False, False]
    assert judgements[1].telling.measured.endswith("; the time limit of 5 s is over")
