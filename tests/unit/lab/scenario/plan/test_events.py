from __future__ import annotations

import pytest

from tests.unit.lab.fakes import event
from torrentnet.lab.scenario.plan.events import ConsolePlan, KillPlan, LastingPlan, PausePlan, RunPlan


@pytest.mark.parametrize(
    ("lasts", "until", "end"), [(3.0, None, 8.0), (None, 20.0, 20.0), (None, None, None)], ids=["for", "until", "rest"]
)
def test_a_lasting_event_has_an_end(lasts: float | None, until: float | None, end: float | None) -> None:
    pause = event(0, 4.0, PausePlan, "seeder-1", lasts=lasts, until=until)
    assert isinstance(pause, LastingPlan)
    assert pause.end(5.0) == end


def test_a_command_is_split_as_its_program_expects() -> None:
    run = event(0, 1.0, RunPlan, "tracker", command="echo 'a b' | cat")
    console = event(0, 1.0, ConsolePlan, "tracker", command="file_logs 'a b'")
    assert isinstance(run, RunPlan)
    assert isinstance(console, ConsolePlan)
    assert run.argv == ["sh", "-c", "echo 'a b' | cat"]
    assert console.argv == ["console", "file_logs", "a b"]


def test_events_of_two_verbs_differ() -> None:
    assert KillPlan.verb == "kill"
    assert event(0, 1.0, KillPlan, "tracker") == event(0, 1.0, KillPlan, "tracker")
    assert event(0, 1.0, KillPlan, "tracker", text="") != event(0, 1.0, PausePlan, "tracker", text="")
