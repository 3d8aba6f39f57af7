"""The live page on real nodes.

What was clicked is repeated by the saved scenario, and a lab that is up goes on with what earlier pages did.
"""

from __future__ import annotations

import contextlib
import json
import threading
from typing import TYPE_CHECKING

import pytest

from tests.integration.engines import LOCAL, on
from torrentnet.lab.api import Lab
from torrentnet.lab.engines.types import Mode, NodeStatus
from torrentnet.lab.errors import LabError
from torrentnet.lab.home import read_faults, read_running_lab, take_down_running_lab
from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.ui.own_lab import OwnLab
from torrentnet.lab.ui.page_options import PageOptions
from torrentnet.lab.ui.session import LiveSession
from torrentnet.lab.ui.standing_lab import ANOTHER_PAGE, StandingLab
from torrentnet.lab.ui.verb_request import VerbRequest
from torrentnet.lab.verdict.outcome import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engines import Kind
    from torrentnet.lab.home import RunningLab
    from torrentnet.lab.verdict.outcome import Outcome

SCENARIO = """\
time_limit: 8s
files: {a.bin: {size: 1MiB}}
nodes:
  tracker: {tracker: {keepalive: 200ms, timeout: 600ms}}
  seeder: {share: a.bin, upload: 4mbit, piece_length: 64KiB}
  leecher: {get: a.bin, give_up: 1s}
expect:
  - {node: seeder, state: exited, within: 6s}
  - {node: tracker, knows: 1, within: 6s}
  - {node: leecher, has: a.bin, within: 5s}
"""


@contextlib.contextmanager
def page() -> Iterator[LiveSession]:
    """Serve a page whose address nobody needs."""
    with LiveSession(PageOptions(port=0), lambda _: None) as session:
        yield session


def verdicts(outcome: Outcome) -> list[tuple[str, bool]]:
    """Return how each expectation ended."""
    return [(one.plan.text, one.passed) for one in outcome.expectations]


def play_and_click(lab: Lab, watched: OwnLab) -> Outcome:
    """Play a scenario, and kill the seed on the page meanwhile.

    It is killed as soon as the leecher has two pieces.
    """
    answers = []

    def click() -> None:
        lab.wait_until(lambda: lab.nodes.snapshot("leecher").have >= 2, what="the leecher has pieces")
        answers.append(watched.act(VerbRequest("kill", ("seeder",))))

    clicker = threading.Thread(target=click)
    clicker.start()
    outcome = lab.play()
    clicker.join()
    assert [answer.ok for answer in answers] == [True]
    return outcome


@on(LOCAL)
def test_saved_scenario_repeats_what_was_clicked(home: Path, engine: Kind, tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    with page() as session:
        lab = Lab(load_plan(path), engine.make(), home=home)
        watched = OwnLab(lab, session)
        with lab:
            outcome = play_and_click(lab, watched)
        saved = watched.scenario()
    assert outcome.verdict is Verdict.FAILED
    assert [passed for _, passed in verdicts(outcome)] == [True, True, False]
    assert outcome.touched
    again = tmp_path / "saved.yaml"
    again.write_text(saved, encoding="utf-8")
    with Lab(load_plan(again), engine.make(), home=home) as repeated:
        second = repeated.play()
    assert second.verdict is outcome.verdict
    assert verdicts(second) == verdicts(outcome)
    assert second.touched == ()


@on(LOCAL)
def test_later_pages_go_on_with_what_earlier_ones_did(home: Path, engine: Kind, tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_text(SCENARIO.partition("expect:")[0] + "expect: none\n", encoding="utf-8")
    with Lab(load_plan(path), engine.make(), mode=Mode.UP, home=home) as lab:
        lab.play()
        lab.keep()
    running = read_running_lab(home)
    assert running is not None
    try:
        cut = VerbRequest("partition", sides=(("tracker",), ("seeder", "leecher")), name="cut")
        with standing(running, home) as first:
            answer = first.act(cut)
            assert answer.text.startswith("partition tracker | seeder, leecher: in force in 3 nodes")
            assert first.act(VerbRequest("kill", ("leecher",))).ok
            with page() as other, pytest.raises(LabError, match=ANOTHER_PAGE):
                StandingLab(running, home, other)
        assert [fault.text for fault in read_faults(home, running.project)] == ["partition tracker | seeder, leecher"]
        with standing(running, home) as second:
            assert second.engine.state("leecher").status is NodeStatus.EXITED
            assert second.act(VerbRequest("start", ("leecher",))).ok
            assert second.act(VerbRequest("heal", name="cut")).text.startswith("end of partition")
            second.wait_until(lambda: second.nodes.snapshot("leecher").doing != "", what="the leecher runs")
            saved = second.scenario()
        assert read_faults(home, running.project) == []
        for item in ("partition: [[tracker], [seeder, leecher]]", "kill: leecher", "start: leecher"):
            assert saved.count(item) == 1
        assert "does not load" not in saved
        rows = [json.loads(line) for line in (lab.directory / "events.jsonl").read_text().splitlines()]
        done = [row["fields"]["kind"] for row in rows if row["event"] == "applied"]
        assert done[-4:] == ["partition", "kill", "start", "heal"]
        lines = [(row["time"], row["node"], row["event"], json.dumps(row.get("fields"))) for row in rows]
        assert len(lines) == len(set(lines)), "nothing is recorded twice"
    finally:
        take_down_running_lab(home, engine.name, lambda _: None)


@contextlib.contextmanager
def standing(running: RunningLab, home: Path) -> Iterator[StandingLab]:
    """Open the page of a lab that is up."""
    with page() as session, contextlib.closing(StandingLab(running, home, session)) as lab:
        yield lab
