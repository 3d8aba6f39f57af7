"""When an expectation passes or fails, and what it reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.lab.fakes import expectation
from tests.unit.lab.verdict.trial import BAD, HASH, PATH, Trial
from torrentnet.lab.engines.types import ExecResult, NodeStatus
from torrentnet.lab.errors import EngineError
from torrentnet.lab.scenario.plan.expectations import (
    BecomesCheckPlan,
    ConsoleCheckPlan,
    ForgetsCheckPlan,
    HasCheckPlan,
    Interval,
    LogCheckPlan,
    StateCheckPlan,
)
from torrentnet.lab.scenario.plan.plan import NodeProgram
from torrentnet.lab.verdict.outcome import ExpectationResult, NodeResult


def test_a_file_is_complete_when_reported_and_its_hash_fits(trial: Trial) -> None:
    pending = trial.expect(HasCheckPlan, file="a.txt", within=10.0)
    assert trial.evaluate(pending, 1.0) is None
    assert trial.engine.asked == []
    trial.print_event(2.5, "leecher-1", "completed file=a.txt bytes=100 ms=7 sources=seeder-1:1")
    trial.set_digest(HASH)
    result = trial.decide(pending, 3.0)
    assert result.passed
    assert result.measured == "complete at 2.5 s, SHA-256 abababababab..."
    assert result.time == pytest.approx(2.5)
    assert result.inspect == "look leecher-1 request logs"


def test_another_hash_fails(trial: Trial) -> None:
    pending = trial.expect(HasCheckPlan, file="a.txt", within=10.0)
    trial.print_event(2.5, "leecher-1", "completed file=a.txt bytes=100 ms=7 sources=seeder-1:1")
    trial.set_digest("cd" * 32)
    assert trial.evaluate(pending, 3.0) is None
    result = trial.decide(pending, 11.0)
    assert not result.passed
    assert result.measured == "SHA-256 is cdcdcdcdcdcd..., the source's is abababababab..."


def test_a_lost_output_is_queried_again(trial: Trial) -> None:
    pending = trial.expect(HasCheckPlan, file="a.txt", within=10.0)
    trial.print_event(2.5, "leecher-1", "completed file=a.txt bytes=100 ms=7 sources=seeder-1:1")
    trial.engine.answers["leecher-1", "sha256sum", "--", PATH] = ExecResult(0, "", "")
    assert trial.evaluate(pending, 3.0) is None
    trial.set_digest(HASH)
    assert trial.decide(pending, 6.0).passed


def test_an_unfinished_download_reports_its_progress(trial: Trial) -> None:
    pending = trial.expect(HasCheckPlan, file="a.txt", within=10.0)
    trial.set_status("leecher-1", NodeStatus.RUNNING)
    trial.print_event(1.0, "leecher-1", "picked peer=seeder-1 address=198.18.0.3:6881 among=1")
    trial.print_event(1.0, "leecher-1", "progress file=a.txt have=3 pieces=12 bytes=25 size=100")
    assert trial.evaluate(pending, 10.4) is None
    result = trial.decide(pending, 10.6)
    assert not result.passed
    assert result.measured == "3 of 12 pieces (25 %), from seeder-1"


def test_a_delayed_line_counts_by_its_own_time(trial: Trial) -> None:
    pending = trial.expect(BecomesCheckPlan, state="seed", within=5.0)
    assert trial.evaluate(pending, 5.1) is None
    trial.print_event(4.9, "leecher-1", "state state=seed file=a.txt")
    assert trial.decide(pending, 5.2).passed


def test_a_late_event_fails_and_its_time_is_reported(trial: Trial) -> None:
    pending = trial.expect(BecomesCheckPlan, state="seed", within=5.0)
    trial.print_event(5.3, "leecher-1", "state state=seed file=a.txt")
    result = trial.decide(pending, 5.3)
    assert not result.passed
    assert result.measured == "seed at 5.3 s: too late"


def test_a_node_that_has_ended_fails_before_the_deadline(trial: Trial) -> None:
    pending = trial.expect(HasCheckPlan, file="a.txt", within=25.0)
    trial.print_event(1.0, "leecher-1", 'failed file=a.txt reason="no seed is left"')
    trial.set_status("leecher-1", NodeStatus.EXITED, 1)
    assert trial.evaluate(pending, 2.0) is None
    result = trial.decide(pending, 3.1)
    assert not result.passed
    assert result.measured == "has no piece yet; the node ended with status 1: no seed is left"


def test_a_node_that_will_be_started_again_is_waited_for(trial: Trial) -> None:
    pending = trial.expect(HasCheckPlan, file="a.txt", within=25.0)
    trial.set_status("leecher-1", NodeStatus.EXITED, 1)
    trial.timeline.starting.add("leecher-1")
    for at in (2.0, 4.0, 8.0):
        assert trial.evaluate(pending, at) is None


def test_forgetting_counts_from_the_event(trial: Trial) -> None:
    trial.print_event(1.0, "tracker", "forgotten file=a.txt peer=seeder-1 address=198.18.0.3:6881 silent_ms=2000")
    pending = trial.expect(ForgetsCheckPlan, "tracker", peers=("seeder-1",), within=2.5, after=0)
    assert trial.evaluate(pending, 3.0) is None
    trial.timeline.times[0] = 5.0
    assert trial.evaluate(pending, 5.5) is None
    trial.print_event(7.0, "tracker", "forgotten file=a.txt peer=seeder-1 address=198.18.0.3:6881 silent_ms=2000")
    result = trial.decide(pending, 7.1)
    assert result.passed
    assert result.measured == "seeder-1 forgotten 2.0 s after kill seeder-1"


def test_a_node_that_takes_anothers_name_is_not_that_node(trial: Trial) -> None:
    pending = trial.expect(ForgetsCheckPlan, "tracker", peers=("seeder-1",), within=2.5)
    trial.print_event(1.0, "tracker", "left file=a.txt peer=seeder-1 address=198.18.0.4:6881")
    assert trial.evaluate(pending, 2.0) is None


def test_leaving_counts_as_forgotten_for_every_named_peer(trial: Trial) -> None:
    pending = trial.expect(ForgetsCheckPlan, "tracker", peers=("seeder-1", "leecher-1"), within=5.0)
    trial.print_event(1.0, "tracker", "left file=a.txt peer=seeder-1 address=198.18.0.3:6881")
    assert trial.evaluate(pending, 2.0) is None
    result = trial.decide(pending, 6.0)
    assert not result.passed
    assert result.measured == "leecher-1 is still known"


def test_another_program_is_known_by_its_address(trial: Trial) -> None:
    client = replace(trial.context.nodes["seeder-1"], program=NodeProgram.ARIA2)
    trial.context = replace(trial.context, nodes={**trial.context.nodes, "seeder-1": client})
    address = f"{trial.engine.locations['seeder-1'].address}:6881"
    pending = trial.expect(ForgetsCheckPlan, "tracker", peers=("seeder-1",), within=5.0)
    trial.print_event(1.0, "tracker", "left file=a.txt peer=aria2-1.37.0@1.2.3.4:6881 address=1.2.3.4:6881")
    assert trial.evaluate(pending, 2.0) is None
    trial.print_event(2.5, "tracker", f"left file=a.txt peer=aria2-1.37.0@{address} address={address}")
    assert trial.decide(pending, 3.0).passed


def test_an_expectation_without_its_event_fails(trial: Trial) -> None:
    pending = trial.expect(ForgetsCheckPlan, "tracker", peers=("seeder-1",), within=2.0, after=0)
    trial.timeline.without_effect.add(0)
    assert trial.decide(pending, 1.0).measured == "the event that it counts from changed nothing"


def test_console_output_contains_and_lacks_texts(trial: Trial) -> None:
    pending = trial.expect(
        ConsoleCheckPlan,
        "tracker",
        command='file_logs "a b.txt"',
        contains=("leecher-1",),
        lacks=("seeder-1",),
        within=9.0,
    )
    key = ("tracker", "console", "file_logs", "a b.txt")
    trial.engine.answers[key] = ExecResult(0, "seeder-1 all\n", "")
    assert trial.evaluate(pending, 1.0) is None
    trial.engine.answers[key] = ExecResult(0, "leecher-1 all\n", "")
    result = trial.decide(pending, 2.5)
    assert result.passed
    assert result.measured == "true at 2.5 s"
    assert result.inspect == 'look tracker file_logs "a b.txt"'


def test_the_output_of_a_failed_command_lacks_nothing(trial: Trial) -> None:
    pending = trial.expect(ConsoleCheckPlan, "tracker", command="peers --old", lacks=("seeder-1",), at=2.0)
    trial.engine.answers["tracker", "console", "peers", "--old"] = ExecResult(2, "", "unknown option\n")
    result = trial.decide(pending, 2.0)
    assert not result.passed
    assert result.measured == "ended with status 2: unknown option"


def test_wrong_console_output_is_explained(trial: Trial) -> None:
    pending = trial.expect(
        ConsoleCheckPlan, "tracker", command="peers", contains=("leecher-1",), lacks=("seeder-1",), at=2.0
    )
    trial.engine.answers["tracker", "console", "peers"] = ExecResult(0, "name\nseeder-1\n", "")
    assert trial.evaluate(pending, 1.9) is None
    assert trial.engine.asked == []
    result = trial.decide(pending, 2.0)
    assert not result.passed
    assert result.measured == "no `leecher-1`, there is `seeder-1` in: name / seeder-1"


def test_a_node_that_is_down_is_queried_again(trial: Trial) -> None:
    pending = trial.expect(ConsoleCheckPlan, "tracker", command="peers", contains=("leecher-1",), within=9.0)
    trial.set_status("tracker", NodeStatus.EXITED, 137)
    trial.timeline.starting.add("tracker")
    assert trial.evaluate(pending, 1.0) is None
    trial.set_status("tracker", NodeStatus.RUNNING)
    trial.engine.answers["tracker", "console", "peers"] = ExecResult(0, "leecher-1\n", "")
    assert trial.decide(pending, 3.0).passed


def test_repeated_engine_failures_are_an_error(trial: Trial) -> None:
    pending = trial.expect(ConsoleCheckPlan, "tracker", command="peers", contains=("x",), within=29.0)
    trial.engine.failing = "the daemon has gone away"
    for at in (1.0, 3.0, 5.0):
        assert trial.evaluate(pending, at) is None
    with pytest.raises(EngineError, match="the daemon has gone away"):
        trial.evaluate(pending, 7.0)


def test_queries_are_spaced_in_time(trial: Trial) -> None:
    pending = trial.expect(ConsoleCheckPlan, "tracker", command="peers", contains=("x",), within=29.0)
    for step in range(100):
        trial.evaluate(pending, step / 100)
    assert len(trial.engine.asked) == 4


@pytest.mark.parametrize(("state", "passed"), [("running", True), ("paused", False), ("exited", False)])
def test_a_node_state_is_the_engines(trial: Trial, state: str, passed: bool) -> None:
    pending = trial.expect(StateCheckPlan, "seeder-1", state=state, at=4.0)
    result = trial.decide(pending, 4.0)
    assert result.passed is passed
    assert result.measured == "running at 4.0 s"


def test_the_end_of_the_run_fails_what_is_undecided(trial: Trial) -> None:
    pending = trial.expect(BecomesCheckPlan, state="seed", within=25.0)
    trial.evaluate(pending, 1.0)
    pending.fail("the time limit of 20 s is over")
    assert pending.result is not None
    assert pending.result.measured == "is created; the time limit of 20 s is over"


def test_the_decisive_result_is_the_first_failed_or_the_latest(trial: Trial) -> None:
    plan = expectation(HasCheckPlan, "a", "b", "c", text="all have it", file="a.txt")
    good = [
        NodeResult("a", True, "early", 1.0, ""),
        NodeResult("b", True, "late", 3.0, ""),
        NodeResult("c", True, "so", None, ""),
    ]
    assert ExpectationResult(plan, tuple(good)).decisive.node == "b"
    bad = NodeResult("c", False, "never", None, "")
    assert ExpectationResult(plan, (*good[:2], bad)).decisive is bad
    assert not ExpectationResult(plan, (*good[:2], bad)).passed


def test_lines_that_are_late_decide_nothing(trial: Trial) -> None:
    at_most = trial.expect(LogCheckPlan, pattern=BAD, count=Interval(0, 0), within=5.0)
    becomes = trial.expect(BecomesCheckPlan, state="seed", within=5.0)
    trial.engine.late = frozenset({"leecher-1"})
    assert (trial.evaluate(at_most, 9.0), trial.evaluate(becomes, 9.0)) == (None, None)
    trial.engine.late = frozenset()
    trial.print_event(4.0, "leecher-1", "bad_piece peer=seeder-1")
    trial.print_event(4.5, "leecher-1", "state state=seed file=a.txt")
    assert not trial.decide(at_most, 10.0).passed
    assert trial.decide(becomes, 10.0).passed


def test_lines_that_are_lost_decide_nothing(trial: Trial) -> None:
    lost = trial.expect(LogCheckPlan, pattern=BAD, count=Interval(0, 0), within=5.0)
    seen = trial.expect(StateCheckPlan, state="running", within=5.0)
    trial.set_status("leecher-1", NodeStatus.RUNNING)
    trial.lab_state.lose("its log broke off", "leecher-1")
    result = trial.decide(lost, 1.0)
    assert (result.passed, result.judged, result.measured) == (False, False, "its log broke off")
    assert trial.decide(seen, 1.0).passed


def test_a_log_that_never_stays_open_is_not_judged(trial: Trial) -> None:
    pending = trial.expect(LogCheckPlan, pattern=BAD, count=Interval(0, 0), within=5.0)
    trial.engine.late = frozenset({"leecher-1"})
    result = trial.decide(pending, 30.0 + 31.0)
    assert (result.judged, result.measured) == (False, "the log of leecher-1 broke off again and again")
