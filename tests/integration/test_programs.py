"""A submission as nodes: every kind of expectation, judged without its help.

The program is the right one of tests/submissions with shorter times. The labs run at the same time, because they mostly
wait.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.engines import DOCKER, LOCAL, Kind, need, why_missing
from tests.integration.helpers import SCENARIOS, Running
from tests.submissions.build import Edit, Submission
from tests.submissions.catalogue import MUTANTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICK = Submission(
    "right: peers that say nothing for three seconds are forgotten",
    edits=(Edit("tracker.py", "TIMEOUT = 15 ", "TIMEOUT = 3 "), Edit("peer.py", "KEEP_ALIVE = 5 ", "KEEP_ALIVE = 1 ")),
)


@dataclass
class Run:
    """A scenario's run with a submission."""

    name: str
    kind: Kind
    home: Path
    lab: Running

    @property
    def record(self) -> Path:
        return self.home / "runs" / self.name / "latest"

    def result(self) -> dict[str, Any]:
        """Return ``result.json``, once there is one."""
        self.lab.wait()
        result: dict[str, Any] = json.loads((self.record / "result.json").read_text("utf-8"))
        return result

    def events(self, **wanted: str) -> list[dict[str, Any]]:
        """Return the recorded events with these values."""
        rows = map(json.loads, (self.record / "events.jsonl").read_text("utf-8").splitlines())
        return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Run]]:
    """Start every run of these tests; of engines that this machine has."""
    started = {}
    for name, submission, kind in (
        ("programs", QUICK, DOCKER),
        ("programs", QUICK, LOCAL),
        ("forged", MUTANTS["forger"], LOCAL),
    ):
        if why_missing(kind):
            continue
        home = tmp_path_factory.mktemp(f"{name}-{kind}")
        theirs = submission.write(home / "submission")
        words = ["run", str(SCENARIOS / f"{name}.yaml"), "--program", f"theirs={theirs}"]
        words += ["--trust"] if kind is LOCAL else []
        started[name, kind.id] = Run(name, kind, home, Running(home, *words, env=kind.settings))
    yield started
    for run in started.values():
        with run.lab as lab:
            lab.interrupt()


def the_run(runs: dict[tuple[str, str], Run], name: str, kind: Kind) -> Run:
    need(kind)
    return runs[name, kind.id]


KINDS = pytest.mark.parametrize(
    "kind", [pytest.param(DOCKER, id="docker", marks=pytest.mark.docker), pytest.param(LOCAL, id="local")]
)


@KINDS
def test_every_expectation_holds_for_a_program_that_says_nothing(kind: Kind, runs: dict[tuple[str, str], Run]) -> None:
    run = the_run(runs, "programs", kind)
    result = run.result()
    assert result["verdict"] == "passed", run.lab.text
    assert all(answer["judged"] for one in result["expectations"] for answer in one["answers"])


@KINDS
def test_a_fault_hits_the_source_that_was_picked(kind: Kind, runs: dict[tuple[str, str], Run]) -> None:
    run = the_run(runs, "programs", kind)
    killed = next(row for row in run.result()["timeline"] if row["text"].startswith("kill source of leecher"))
    (source,) = killed["nodes"]
    # The other seed has sent the rest.
    (completed,) = run.events(node="leecher", event="completed")
    sources = dict(part.split(":") for part in completed["fields"]["sources"].split(","))
    assert set(sources) == {"seeder-1", "seeder-2"}
    assert int(sources[source]) < 2 * 1024 * 1024 < sum(map(int, sources.values()))


@KINDS
def test_a_log_has_the_programs_own_words(kind: Kind, runs: dict[tuple[str, str], Run]) -> None:
    run = the_run(runs, "programs", kind)
    run.result()
    lines = (run.record / "logs/leecher.log").read_text("utf-8").splitlines()
    assert lines[-1] == "got myfile.txt, 2097152 bytes; sharing it now"


def test_a_program_that_prints_our_events_is_not_believed(runs: dict[tuple[str, str], Run]) -> None:
    run = the_run(runs, "forged", LOCAL)
    result = run.result()
    assert (result["verdict"], run.lab.wait()) == ("failed", 1), run.lab.text
    assert [one["passed"] for one in result["expectations"]] == [True, False, False, False]
    assert not run.events(node="leecher", event="completed")
