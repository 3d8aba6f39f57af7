"""The verdict, for a person and for programs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.unit.lab import golden
from tests.unit.lab.fakes import APPLIED_KILL, INEFFECTIVE_KILL, event, leecher, make_plan, seeder
from torrentnet.lab.report.result import headline, junit_xml, result_document, verdict_lines
from torrentnet.lab.scenario.plan.events import KillPlan
from torrentnet.lab.scenario.plan.expectations import At, HasCheckPlan, Severity, StateCheckPlan, Within
from torrentnet.lab.verdict.outcome import ExpectationResult, NodeResult, Outcome, Verdict

if TYPE_CHECKING:
    from torrentnet.lab.run.timeline.schedule import AppliedEvent

HOME = Path("/home")
HAS = HasCheckPlan(
    index=0,
    nodes=("leecher-1", "leecher-2"),
    text="leecher-1, leecher-2 have a.txt within 9s",
    where="trial.yaml:20:5",
    timing=Within(9.0),
    file="a.txt",
)
STATE = StateCheckPlan(
    index=1,
    nodes=("seeder-1",),
    text="seeder-1 is exited at 5s",
    where="trial.yaml:21:5",
    timing=At(5.0),
    state="exited",
)
PLAN = make_plan(
    nodes=(seeder(), leecher("leecher-1"), leecher("leecher-2")),
    events=(event(0, 1.0, KillPlan, "seeder-1"), event(1, 2.0, KillPlan, "seeder-1")),
    expectations=(HAS, STATE),
)
GOOD = ExpectationResult(
    HAS,
    (
        NodeResult("leecher-1", True, "complete at 1.2 s, SHA-256 abab...", 1.2, "look"),
        NodeResult("leecher-2", True, "complete at 3.4 s, SHA-256 abab...", 3.4, "look"),
    ),
)
FINE = ExpectationResult(STATE, (NodeResult("seeder-1", True, "exited (137) at 5.0 s", 5.0, "torrentnet status"),))
BAD = ExpectationResult(
    HAS,
    (
        NodeResult("leecher-1", True, "complete at 1.2 s, SHA-256 abab...", 1.2, "look"),
        NodeResult(
            "leecher-2",
            False,
            "3 of 12 pieces (25 %), from seeder-1",
            None,
            "docker compose exec leecher-2 request logs",
        ),
    ),
)


def outcome(
    verdict: Verdict, judgements: tuple[ExpectationResult, ...], timeline: tuple[AppliedEvent, ...] = (APPLIED_KILL,)
) -> Outcome:
    return Outcome(
        plan=PLAN,
        verdict=verdict,
        directory=HOME / "runs/trial/now",
        project="torrentnet-trial-abc123",
        began=1_000_000_000.0,
        seconds={"image": 0.1, "create": 0.42, "start": 1.25, "run": 5.0, "total": 6.8},
        expectations=judgements,
        timeline=timeline,
        environment={"engine": "docker 26"},
        addresses={"tracker": "198.18.0.2"},
        hashes={"a.txt": "ab" * 32},
    )


PASSED = outcome(Verdict.PASSED, (GOOD, FINE))
FAILED = outcome(Verdict.FAILED, (BAD, FINE), (APPLIED_KILL, INEFFECTIVE_KILL))


def lines(one: Outcome, hint: str = "") -> str:
    return "\n".join(verdict_lines(one, HOME, hint)) + "\n"


def test_the_verdict_of_a_passed_run() -> None:
    golden.check("verdict_passed.txt", lines(PASSED))


def test_the_verdict_of_a_failed_run() -> None:
    printed = {"leecher-2": [f"line {index}" for index in range(20)]}
    golden.check("verdict_failed.txt", lines(replace(FAILED, last_lines=printed)))


def warned() -> Outcome:
    warning = replace(
        STATE, severity=Severity.WARNING, pass_text="the seeder is dead", fail_text="the seeder has survived <the kill>"
    )
    own = replace(HAS, pass_text="everybody has it", fail_text="somebody lacks it")
    alive = ExpectationResult(warning, (NodeResult("seeder-1", False, "running at 5.0 s", 5.0, "torrentnet status"),))
    return outcome(Verdict.PASSED, (replace(GOOD, plan=own), alive))


def test_warnings_have_the_scenarios_own_sentences() -> None:
    golden.check("verdict_warned.txt", lines(warned()))
    golden.check("junit_warned.xml", junit_xml(warned()))
    rows = json.loads(json.dumps(result_document(warned())))["expectations"]
    assert [(row["level"], row["passed"], row["says"]) for row in rows] == [
        ("failure", True, "everybody has it"),
        ("warning", False, "the seeder has survived <the kill>"),
    ]


def test_a_failure_has_its_own_sentence_and_the_expectation() -> None:
    own = replace(BAD, plan=replace(HAS, fail_text="somebody lacks it"))
    shown = lines(outcome(Verdict.FAILED, (own,)))
    assert "  FAIL  somebody lacks it\n        leecher-2: 3 of 12 pieces" in shown
    assert "        expected: leecher-1, leecher-2 have a.txt within 9s\n" in shown
    assert 'message="somebody lacks it: 3 of 12' in junit_xml(outcome(Verdict.FAILED, (own,)))


def test_what_was_not_judged_is_neither_passed_nor_failed() -> None:
    lost = NodeResult("leecher-2", False, "leecher-2 printed too fast", None, "look", judged=False)
    unknown = outcome(Verdict.NOT_JUDGED, (ExpectationResult(HAS, (GOOD.nodes[0], lost)), FINE))
    golden.check("verdict_lost.txt", lines(replace(unknown, error="leecher-2 printed too fast")))
    suite = ET.fromstring(junit_xml(unknown))
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "1")
    found = suite.find("testcase/skipped")
    assert found is not None
    assert found.get("message") == "not judged: leecher-2 printed too fast"


def test_the_engines_failure_is_shown() -> None:
    broken = replace(outcome(Verdict.ERROR, (), ()), error="the daemon has gone away", seconds={"image": 0.1})
    golden.check("verdict_error.txt", lines(broken, "start it again"))


def test_a_run_without_expectations_passes() -> None:
    assert "PASSED, nothing was expected" in headline(replace(PASSED, plan=make_plan(), expectations=(), timeline=()))


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict.PASSED, 0),
        (Verdict.FAILED, 1),
        (Verdict.NOT_JUDGED, 3),
        (Verdict.ERROR, 3),
        (Verdict.INTERRUPTED, 130),
    ],
)
def test_each_verdict_has_an_exit_code(verdict: Verdict, code: int) -> None:
    assert outcome(verdict, ()).exit_code == code


def test_result_json_holds_the_whole_run() -> None:
    golden.check("result.json", json.dumps(result_document(FAILED), indent=2) + "\n")


def test_junit_xml_counts_failures() -> None:
    golden.check("junit.xml", junit_xml(FAILED))
    suite = ET.fromstring(junit_xml(FAILED))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "2", "0")


def test_junit_has_a_case_where_nothing_is_expected() -> None:
    suite = ET.fromstring(junit_xml(replace(PASSED, plan=make_plan(), expectations=(), timeline=())))
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")


def test_junit_replaces_characters_that_xml_forbids() -> None:
    wild = NodeResult("leecher-1", False, "no `\x1b[31m\x00<&>`", None, "")
    text = junit_xml(outcome(Verdict.FAILED, (ExpectationResult(HAS, (wild,)),)))
    assert "\x1b" not in text
    assert ET.fromstring(text).find(".//failure") is not None
