"""What is judged of programs by what their observers see."""

from __future__ import annotations

import json

import pytest

from tests.unit.lab.fakes import foreign
from tests.unit.lab.verdict.trial import HASH, Trial
from torrentnet.lab.engines.types import ExecResult, NodeStatus
from torrentnet.lab.scenario.plan.expectations import (
    BecomesCheckPlan,
    BytesCheckPlan,
    ConsoleCheckPlan,
    ForgetsCheckPlan,
    HasCheckPlan,
    Interval,
    KnowsCheckPlan,
    PairsCheckPlan,
)
from torrentnet.lab.scenario.plan.plan import Role

OTHER = "cd" * 32
FILES = ("leecher-1", "console", "observer", "files", "100")
ADDRESSES = {"tracker": "198.18.0.2", "seeder-1": "198.18.0.3", "seeder-2": "198.18.0.4", "leecher-1": "198.18.0.5"}


@pytest.fixture
def trial() -> Trial:
    trial = Trial(
        foreign("tracker", Role.TRACKER),
        foreign("seeder-1", Role.SHARE),
        foreign("seeder-2", Role.SHARE),
        foreign("leecher-1", Role.GET),
        foreign("leecher-2", Role.GET),
    )
    for node in trial.context.nodes:
        trial.set_status(node, NodeStatus.RUNNING)
    return trial


def rows(*hashes: str) -> ExecResult:
    return ExecResult(0, "".join(json.dumps({"path": f"tmp/{one[:2]}", "sha256": one}) + "\n" for one in hashes), "")


# -- has -------------------------------------------------------------------------------------------


def test_any_file_with_the_right_hash_is_the_file(trial: Trial) -> None:
    pending = trial.expect(HasCheckPlan, file="a.txt", within=20.0)
    assert trial.evaluate(pending, 1.0) is None
    trial.print_event(2.0, "leecher-1", f"completed file=a.txt bytes=100 ms=5 sha256={HASH} sources=''")
    trial.engine.answers[FILES] = rows(OTHER, HASH)
    found = trial.decide(pending, 2.1)
    assert (found.passed, found.measured) == (True, f"complete at 2.0 s as tmp/ab, SHA-256 {HASH[:12]}...")
    assert found.inspect == "look leecher-1 observer files 100"


def test_a_file_that_has_vanished_or_changed_is_not_the_file(trial: Trial) -> None:
    trial.engine.answers[FILES] = rows(OTHER)
    found = trial.decide(trial.expect(HasCheckPlan, file="a.txt", at=3.0), 3.0)
    assert not found.passed
    assert found.measured.endswith(f"tmp/cd has SHA-256 {OTHER[:12]}..., the source's is {HASH[:12]}...")
    trial.engine.answers[FILES] = rows()
    assert "no file has its size" in trial.decide(trial.expect(HasCheckPlan, file="a.txt", at=3.0), 3.0).measured


def test_what_the_program_prints_completes_nothing(trial: Trial) -> None:
    trial.engine.answers[FILES] = rows()
    trial.print_event(2.0, "leecher-1", f'said text="2026-11-23T12:29:11.123Z completed file=a.txt sha256={HASH}"')
    assert not trial.decide(trial.expect(HasCheckPlan, file="a.txt", within=3.0), 9.0).passed


def test_the_observers_word_counts_for_a_program_that_has_ended(trial: Trial) -> None:
    trial.print_event(2.0, "leecher-1", f"completed file=a.txt sha256={HASH}")
    trial.set_status("leecher-1", NodeStatus.EXITED, 0)
    found = trial.decide(trial.expect(HasCheckPlan, file="a.txt", within=20.0), 2.1)
    assert (found.passed, found.measured) == (True, f"complete at 2.0 s, SHA-256 {HASH[:12]}..., before its end")


@pytest.mark.parametrize("answer", [ExecResult(3, "", "error: nobody answers"), ExecResult(0, "no JSON\n", "")])
def test_an_unreadable_list_of_files_decides_nothing(trial: Trial, answer: ExecResult) -> None:
    trial.engine.answers[FILES] = answer
    assert not trial.decide(trial.expect(HasCheckPlan, file="a.txt", at=3.0), 3.0).judged


def test_a_seed_is_what_the_observer_calls_one(trial: Trial) -> None:
    trial.print_event(2.0, "leecher-1", "state state=seed file=a.txt")
    assert trial.decide(trial.expect(BecomesCheckPlan, state="seed", within=20.0), 2.1).measured == "seed at 2.0 s"


# -- forgets ---------------------------------------------------------------------------------------


def answer(trial: Trial, at: float, to: str, *nodes: str) -> None:
    fields = f"from=198.18.0.2:6771 to={ADDRESSES.get(to, '198.18.0.6')}:6900 nodes={','.join(nodes)}"
    trial.print_event(at, "tracker", f"sighted {fields} bytes=9 direction=out")


def ask(trial: Trial, at: float, who: str) -> None:
    fields = f"from={ADDRESSES.get(who, '198.18.0.6')}:6900 to=198.18.0.2:6771 nodes= bytes=9 direction=out"
    trial.print_event(at, who, f"sighted {fields} file=true")


def forgets(trial: Trial, at: float):  # type: ignore[no-untyped-def]
    trial.timeline.times[0] = 10.0
    pending = trial.expect(ForgetsCheckPlan, "tracker", peers=("seeder-1",), within=20.0, after=0)
    return trial.decide(pending, at)


def test_one_whole_answer_without_a_peer_shows_that_it_is_forgotten(trial: Trial) -> None:
    answer(trial, 5.0, "leecher-1", "seeder-1", "seeder-2")
    answer(trial, 15.0, "leecher-2", "seeder-1", "seeder-2")
    answer(trial, 25.0, "leecher-2", "seeder-2")
    found = forgets(trial, 26.0)
    assert found.passed
    assert found.measured == "seeder-1 not listed any more 15.0 s after kill seeder-1"


def test_a_peer_that_is_still_listed_is_not_forgotten(trial: Trial) -> None:
    answer(trial, 15.0, "leecher-2", "seeder-1", "seeder-2")
    found = forgets(trial, 31.0)
    assert (found.passed, found.judged, found.measured) == (False, True, "seeder-1 was still listed at 15.0 s")


def test_nobody_knows_where_nobody_asks(trial: Trial) -> None:
    answer(trial, 5.0, "leecher-1", "seeder-1", "seeder-2")
    found = forgets(trial, 31.0)
    assert (found.passed, found.judged) == (False, False)
    assert found.measured == ("could not be checked: not known of seeder-1: nobody has asked the tracker for a file")


def test_a_tracker_that_lists_some_peers_at_random_must_answer_often(trial: Trial) -> None:
    for at in (5.0, 6.0):
        answer(trial, at, "leecher-1", f"seeder-{at - 4:.0f}")
    answer(trial, 15.0, "leecher-2", "leecher-1")
    few = forgets(trial, 31.0)
    assert (few.judged, few.measured) == (
        False,
        "could not be checked: not known of seeder-1: only 1 answer without seeder-1, 8 are needed",
    )
    for at in range(16, 23):
        answer(trial, float(at), "leecher-2", "leecher-1")
    assert forgets(trial, 29.0).passed


def test_an_empty_answer_shows_that_the_only_peer_is_forgotten(trial: Trial) -> None:
    answer(trial, 5.0, "leecher-1", "seeder-1")
    ask(trial, 15.0, "leecher-2")
    answer(trial, 15.1, "leecher-2")
    assert forgets(trial, 18.0).passed


def test_what_confirms_a_report_is_no_empty_list(trial: Trial) -> None:
    ask(trial, 1.0, "leecher-1")
    answer(trial, 5.0, "leecher-1", "seeder-1")
    for at in range(12, 25):
        ask(trial, float(at), "leecher-1")
        answer(trial, at + 0.1, "leecher-1")
    assert not forgets(trial, 31.0).judged


def test_a_question_may_follow_an_empty_answer(trial: Trial) -> None:
    answer(trial, 5.0, "leecher-1", "seeder-1")
    ask(trial, 15.0, "leecher-2")
    answer(trial, 15.1, "leecher-2")
    answer(trial, 15.2, "leecher-2", "seeder-1")
    assert forgets(trial, 31.0).measured == "seeder-1 was still listed at 15.2 s"


def test_connections_decide_where_datagrams_cannot_be_read(trial: Trial) -> None:
    trial.print_event(12.0, "leecher-1", "dialled address=198.18.0.3:6900")
    assert forgets(trial, 31.0).measured == "seeder-1 was still listed at 12.0 s"
    for at in range(13, 21):
        trial.print_event(at, "leecher-2", "dialled address=198.18.0.4:6900")
    assert forgets(trial, 29.0).passed


# -- knows -----------------------------------------------------------------------------------------


def test_a_tracker_knows_the_peers_that_it_lists(trial: Trial) -> None:
    pending = trial.expect(KnowsCheckPlan, "tracker", count=Interval(2, 2), within=20.0)
    assert trial.evaluate(pending, 1.0) is None
    answer(trial, 2.0, "leecher-1", "seeder-1", "seeder-2")
    assert trial.decide(pending, 3.0).measured == "lists 2 peers (seeder-1, seeder-2), at 2.0 s"


def test_a_tracker_that_nobody_asks_does_not_end_always(trial: Trial) -> None:
    pending = trial.expect(KnowsCheckPlan, "tracker", count=Interval(1), always=5.0)
    assert all(trial.evaluate(pending, float(at)) is None for at in range(5))
    assert not trial.decide(pending, 6.0).judged


# -- bytes, pairs, console -------------------------------------------------------------------------


def test_bytes_of_an_image_without_tools(trial: Trial) -> None:
    line = "  eth0: 500 1 0 0 0 0 0 0 70 1 0 0 0 0 0 0\n"
    trial.engine.answers["leecher-1", "console", "observer", "interfaces"] = ExecResult(0, line, "")
    found = trial.decide(trial.expect(BytesCheckPlan, sent=Interval(1), within=20.0), 2.0)
    assert found.measured == "sent 70 bytes, at 2.0 s"


def test_who_sent_whom_how_much(trial: Trial) -> None:
    trial.print_event(1.0, "leecher-1", "pair peer=198.18.0.3 received=60 sent=9")
    trial.print_event(1.0, "leecher-1", "pair peer=198.18.0.4 received=50 sent=9")
    seeds = ("seeder-1", "seeder-2")
    both = trial.expect(PairsCheckPlan, peers=seeds, count=Interval(2), received=Interval(110), within=9.0)
    measured = "received 110 bytes; received from 2 peers (seeder-1, seeder-2), at 2.0 s"
    assert trial.decide(both, 2.0).measured == measured
    found = trial.decide(trial.expect(PairsCheckPlan, peers=seeds, sent=Interval(most=10), within=9.0), 2.0)
    assert (found.passed, found.measured) == (False, "sent 18 bytes, expected at most 10 bytes, at 2.0 s")
    # A question and a refusal are no content.
    trial.print_event(1.0, "leecher-2", "pair peer=198.18.0.3 received=20 sent=9")
    none = trial.expect(PairsCheckPlan, "leecher-2", peers=seeds, count=Interval(1), within=9.0)
    assert not trial.decide(none, 10.0).passed


def test_a_program_must_answer_where_output_is_expected(trial: Trial) -> None:
    trial.engine.answers["leecher-1", "console", "request", "logs"] = ExecResult(0, " \n", "")
    found = trial.decide(trial.expect(ConsoleCheckPlan, command="request logs", empty=False, at=1.0), 1.0)
    assert (found.passed, found.measured) == (False, "there is no output in:  ")


def test_what_the_observer_cannot_see_is_not_judged(trial: Trial) -> None:
    trial.engine.answers["leecher-1", "console", "observer", "replay", "x", "seeder-1"] = ExecResult(3, "", "encrypted")
    command = "observer replay x seeder-1"
    found = trial.decide(trial.expect(ConsoleCheckPlan, command=command, lacks=("y",), at=1.0), 1.0)
    assert (found.judged, found.measured) == (False, "could not be checked: cannot be observed: encrypted")
