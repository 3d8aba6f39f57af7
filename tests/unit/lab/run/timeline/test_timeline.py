"""When events happen, and their records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.fakes import FakeClock, FakeEngine, SameThread, event, leecher, make_plan, seeder
from torrentnet.lab.engines.types import LogLine, NodeStatus
from torrentnet.lab.run.lab_state import LabState
from torrentnet.lab.run.timeline.timeline import Timeline
from torrentnet.lab.scenario.plan.events import KillPlan, PausePlan, RestartPlan, StartPlan, StopPlan

if TYPE_CHECKING:
    from torrentnet.lab.run.timeline.schedule import AppliedEvent
    from torrentnet.lab.scenario.plan.events import EventPlan
    from torrentnet.lab.scenario.plan.plan import Plan

JOIN_TIMEOUT = 30.0


def play(
    plan: Plan, engine: FakeEngine, lab_state: LabState | None = None
) -> tuple[Timeline, list[AppliedEvent], FakeClock]:
    """Run a whole timeline."""
    records: list[AppliedEvent] = []
    clock = FakeClock()
    timeline = Timeline(
        plan,
        engine,
        clock,  # type: ignore[arg-type]
        records.append,
        lab_state=lab_state,
        executors=(SameThread(), SameThread()),
    )
    timeline.start()
    timeline._thread.join(JOIN_TIMEOUT)
    assert timeline.finished
    return timeline, records, clock


def test_late_nodes_start_and_events_happen_at_their_time() -> None:
    plan = make_plan(
        nodes=(seeder("seeder-1"), seeder("seeder-2", start=3.0), leecher("leecher-1", start=1.0)),
        events=(event(0, 5.0, KillPlan, "seeder-1"), event(1, 2.0, StopPlan, "leecher-1")),
    )
    engine = FakeEngine("tracker", "seeder-1", created=("seeder-2", "leecher-1"))
    timeline, records, _ = play(plan, engine)
    assert engine.done == ["start leecher-1", "stop leecher-1", "start seeder-2", "kill seeder-1"]
    assert [(one.planned, one.began, one.index) for one in records] == [
        (1.0, 1.0, None),
        (2.0, 2.0, 1),
        (3.0, 3.0, None),
        (5.0, 5.0, 0),
    ]
    assert (timeline.began_at(0), timeline.began_at(1)) == (5.0, 2.0)
    assert timeline.engine_error is None


def test_a_pause_is_undone_after_its_time() -> None:
    plan = make_plan(nodes=(seeder(),), events=(event(0, 1.0, PausePlan, "seeder-1", lasts=2.5),))
    engine = FakeEngine("tracker", "seeder-1")
    _, records, clock = play(plan, engine)
    assert engine.done == ["pause seeder-1", "resume seeder-1"]
    assert [(one.text, one.began) for one in records] == [("pause seeder-1", 1.0), ("resume seeder-1", 3.5)]
    assert clock.now() == 3.5


def test_the_end_of_a_killed_nodes_pause_is_no_failure() -> None:
    plan = make_plan(
        nodes=(seeder(),),
        events=(event(0, 1.0, PausePlan, "seeder-1", lasts=3.0), event(1, 2.0, KillPlan, "seeder-1")),
    )
    engine = FakeEngine("tracker", "seeder-1")
    timeline, records, _ = play(plan, engine)
    assert engine.done == ["pause seeder-1", "kill seeder-1"]
    assert not [one for one in records if one.error]
    assert timeline.engine_error is None


def test_a_pause_without_an_end_is_undone_with_the_run() -> None:
    plan = make_plan(nodes=(seeder(),), events=(event(0, 1.0, PausePlan, "seeder-1"),))
    engine = FakeEngine("tracker", "seeder-1")
    timeline, _, _ = play(plan, engine)
    assert engine.states["seeder-1"].status is NodeStatus.PAUSED
    timeline.undo_all()
    timeline.undo_all()
    assert engine.done == ["pause seeder-1", "resume seeder-1"]


def test_an_event_without_effect_is_an_error_with_a_reason() -> None:
    plan = make_plan(
        nodes=(seeder("seeder-1"), seeder("seeder-2")),
        events=(event(0, 1.0, KillPlan, "seeder-1"), event(1, 2.0, KillPlan, "seeder-1", "seeder-2")),
    )
    engine = FakeEngine("tracker", "seeder-1", "seeder-2")
    timeline, records, _ = play(plan, engine)
    assert records[1].error == "kill seeder-1 changed nothing: the node is exited (137)"
    assert "proves nothing" in records[1].hint
    # The other node is hit all the same.
    assert engine.states["seeder-2"].status is NodeStatus.EXITED
    assert timeline.began_at(1) is None
    assert timeline.failed(1)


def test_a_restart_stops_nodes_that_run_and_starts_all() -> None:
    plan = make_plan(
        nodes=(seeder(),),
        events=(
            event(0, 1.0, RestartPlan, "seeder-1"),
            event(1, 2.0, KillPlan, "seeder-1"),
            event(2, 3.0, RestartPlan, "seeder-1"),
        ),
    )
    engine = FakeEngine("tracker", "seeder-1")
    play(plan, engine)
    assert engine.done == ["stop seeder-1", "start seeder-1", "kill seeder-1", "start seeder-1"]


def test_a_pending_start_will_start_its_node() -> None:
    plan = make_plan(nodes=(seeder(),), events=(event(0, 9.0, RestartPlan, "seeder-1"),))
    timeline = Timeline(plan, FakeEngine("seeder-1"), FakeClock(), print)  # type: ignore[arg-type]
    assert timeline.will_start("seeder-1")
    assert not timeline.will_start("tracker")
    timeline.stop()
    assert not timeline.will_start("seeder-1")


def test_an_engine_failure_is_the_timelines_error() -> None:
    plan = make_plan(nodes=(seeder(),), events=(event(0, 1.0, KillPlan, "seeder-1"),))
    engine = FakeEngine("tracker", "seeder-1")
    engine.failing = "the daemon has gone away"
    timeline, records, _ = play(plan, engine)
    assert str(timeline.engine_error) == "the daemon has gone away"
    assert records == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_simultaneous_events_keep_the_order_of_the_file(order: tuple[int, int]) -> None:
    verbs = [StopPlan, StartPlan]
    events = tuple(event(index, 1.0, verbs[which], "seeder-1") for index, which in enumerate(order))
    engine = FakeEngine("tracker", "seeder-1")
    _, records, _ = play(make_plan(nodes=(seeder(),), events=events), engine)
    assert [one.verb for one in records] == [verbs[which].verb for which in order]
    assert [bool(one.error) for one in records] == ([False, False] if order == (0, 1) else [True, False])


def source_of_leecher(kind: type[EventPlan], at: float = 1.0, **more: float) -> EventPlan:
    """Return an event that hits the seeder from which the leecher downloads."""
    seeders = ("seeder-1", "seeder-2")
    choices = tuple(event(0, at, kind, one, **more) for one in seeders)
    text = f"{kind.verb} source of leecher-1"
    return event(0, at, kind, *seeders, text=text, source_of="leecher-1", choices=choices, **more)


def test_an_event_hits_the_node_that_is_the_source_when_it_happens() -> None:
    plan = make_plan(
        nodes=(seeder("seeder-1"), seeder("seeder-2"), leecher(start=0.1)),
        events=(source_of_leecher(PausePlan, lasts=2.0),),
    )
    engine = FakeEngine("tracker", "seeder-1", "seeder-2", created=("leecher-1",))
    lab_state = LabState(engine.states)
    picked = "2026-11-23T12:29:11.123Z picked peer=seeder-2 address=198.18.0.9:6881 among=2"
    lab_state.add_line(LogLine("leecher-1", 1.0, picked))
    _, records, _ = play(plan, engine, lab_state)
    assert engine.done == ["start leecher-1", "pause seeder-2", "resume seeder-2"]
    assert [(one.text, one.nodes) for one in records[1:]] == [
        ("pause source of leecher-1 (seeder-2)", ("seeder-2",)),
        ("resume seeder-2", ("seeder-2",)),
    ]


def test_an_event_without_a_known_source_changes_nothing() -> None:
    plan = make_plan(
        nodes=(seeder("seeder-1"), seeder("seeder-2"), leecher(start=0.1)), events=(source_of_leecher(KillPlan),)
    )
    engine = FakeEngine("tracker", "seeder-1", "seeder-2", created=("leecher-1",))
    timeline, (_, record), _ = play(plan, engine, LabState(engine.states))
    assert record.error == "kill source of leecher-1 changed nothing: no source of leecher-1 is known"
    assert record.hint == "let the event wait until the node downloads, as in `when: leecher-1 has 20% of myfile.txt`"
    assert timeline.failed(0)
