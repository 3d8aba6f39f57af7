"""Timeline events with ``when``: each happens once, when its trigger fires.

An event that never happens is reported.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.lab.fakes import EPOCH, FakeClock, FakeEngine, SameThread, event, leecher, make_plan, seeder
from torrentnet.lab.engines.types import LogLine, NodeState, NodeStatus, StateChange
from torrentnet.lab.run.lab_state import LabState
from torrentnet.lab.run.timeline.timeline import Timeline
from torrentnet.lab.run.timeline.triggers import is_fulfilled
from torrentnet.lab.scenario.plan.events import (
    AfterTrigger,
    DownTrigger,
    EventPlan,
    HasTrigger,
    KillPlan,
    PausePlan,
    RestartPlan,
    SeedTrigger,
    StartPlan,
    Trigger,
    UpTrigger,
)
from torrentnet.lab.scenario.plan.plan import Role
from torrentnet.runtime.events import format_timestamp

if TYPE_CHECKING:
    from torrentnet.lab.run.timeline.schedule import AppliedEvent
    from torrentnet.lab.scenario.plan.events import NodeTrigger

JOIN_TIMEOUT = 30.0
ROLES = {"tracker": Role.TRACKER, "seeder-1": Role.SHARE, "seeder-2": Role.SHARE, "leecher-1": Role.GET}


class StatefulNodes:
    """A lab state, to which a test adds lines and states, a second apart."""

    def __init__(self) -> None:
        self.lab_state = LabState(ROLES)
        self.time = EPOCH

    def say(self, node: str, line: str) -> None:
        self.time += 1
        self.lab_state.add_line(LogLine(node, self.time, f"{format_timestamp(self.time)} {line}"))

    def set_status(self, node: str, status: NodeStatus) -> None:
        self.time += 1
        self.lab_state.add_state(StateChange(node, self.time, NodeState(status)))

    def fulfil(self, trigger: NodeTrigger) -> bool:
        return is_fulfilled(trigger, self.lab_state, ROLES)


@pytest.fixture
def nodes() -> StatefulNodes:
    return StatefulNodes()


def has(share: float, *nodes: str) -> HasTrigger:
    return HasTrigger(text="has", nodes=nodes or ("leecher-1",), file="a.txt", share=share)


def test_has_checks_the_pieces_of_every_node(nodes: StatefulNodes) -> None:
    assert not nodes.fulfil(has(0.5))
    nodes.say("leecher-1", "progress file=a.txt have=4 pieces=9")
    assert not nodes.fulfil(has(0.5))
    nodes.say("leecher-1", "progress file=a.txt have=5 pieces=9")
    assert nodes.fulfil(has(0.5))
    assert not nodes.fulfil(has(0.5, "leecher-1", "seeder-1"))
    nodes.say("seeder-1", "published file=a.txt size=900 pieces=9")
    assert nodes.fulfil(has(0.5, "leecher-1", "seeder-1"))
    nodes.say("leecher-1", "completed file=a.txt bytes=900")
    assert nodes.fulfil(has(1.0))


def test_has_is_fulfilled_by_exactly_its_share(nodes: StatefulNodes) -> None:
    nodes.say("leecher-1", "progress file=a.txt have=7 pieces=100")
    assert nodes.fulfil(has(0.07))


@pytest.mark.parametrize(
    ("node", "line"), [("tracker", "listening"), ("seeder-1", "published pieces=3"), ("leecher-1", "listening")]
)
def test_up_counts_from_the_last_start(nodes: StatefulNodes, node: str, line: str) -> None:
    up = UpTrigger(text="is up", nodes=(node,))
    nodes.set_status(node, NodeStatus.RUNNING)
    assert not nodes.fulfil(up)
    nodes.say(node, line)
    assert nodes.fulfil(up)
    nodes.set_status(node, NodeStatus.EXITED)
    assert not nodes.fulfil(up)
    nodes.set_status(node, NodeStatus.RUNNING)
    assert not nodes.fulfil(up)
    nodes.say(node, line)
    assert nodes.fulfil(up)


def test_a_node_that_never_started_is_not_down(nodes: StatefulNodes) -> None:
    down = DownTrigger(text="is down", nodes=("seeder-1",))
    assert not nodes.fulfil(down)
    nodes.set_status("seeder-1", NodeStatus.RUNNING)
    nodes.set_status("seeder-1", NodeStatus.EXITED)
    assert nodes.fulfil(down)


def test_seed_needs_a_running_node_that_reports_it(nodes: StatefulNodes) -> None:
    seed = SeedTrigger(text="is seed", nodes=("leecher-1",))
    nodes.set_status("leecher-1", NodeStatus.RUNNING)
    nodes.say("leecher-1", "state state=get")
    assert not nodes.fulfil(seed)
    nodes.say("leecher-1", "state state=seed")
    assert nodes.fulfil(seed)
    nodes.set_status("leecher-1", NodeStatus.PAUSED)
    assert not nodes.fulfil(seed)


# -- in a timeline ---------------------------------------------------------------------------------


def when(index: int, kind: type[EventPlan], node: str, trigger: Trigger, **more: Any) -> EventPlan:
    return event(index, 0.0, kind, node, when=trigger, **more)


def after(index: int, delay: float = 0.0) -> AfterTrigger:
    return AfterTrigger(text=f"after {index}", event=index, delay=delay)


class Played:
    """A timeline in its own thread, with its records."""

    def __init__(self, nodes: StatefulNodes, *events: EventPlan) -> None:
        self.engine = FakeEngine("tracker", "seeder-1", "seeder-2", "leecher-1")
        self.records: list[AppliedEvent] = []
        self.clock = FakeClock()
        peers = (seeder("seeder-1"), seeder("seeder-2"), replace(leecher(), role=Role.SHARE))
        self.timeline = Timeline(
            make_plan(nodes=peers, events=events),
            self.engine,
            self.clock,  # type: ignore[arg-type]
            self.records.append,
            lab_state=nodes.lab_state,
            executors=(SameThread(), SameThread()),
        )
        self.timeline.start()

    def end(self) -> None:
        self.timeline._thread.join(JOIN_TIMEOUT)
        assert self.timeline.finished

    @property
    def began(self) -> list[tuple[str, float]]:
        return [(one.text, one.began) for one in self.records]


def test_an_event_happens_once_when_its_trigger_fires(nodes: StatefulNodes) -> None:
    played = Played(nodes, when(0, KillPlan, "seeder-1", replace(has(0.5), delay=1.5)))
    nodes.say("leecher-1", "progress file=a.txt have=4 pieces=10")
    assert played.records == []
    assert not played.timeline.finished
    nodes.say("leecher-1", "progress file=a.txt have=5 pieces=10")
    nodes.say("leecher-1", "progress file=a.txt have=6 pieces=10")
    played.end()
    assert played.began == [("kill seeder-1", 1.5)]
    assert played.records[0].planned == 1.5


def test_a_condition_that_is_true_at_the_start_fires_at_once(nodes: StatefulNodes) -> None:
    nodes.say("leecher-1", "progress file=a.txt have=5 pieces=10")
    played = Played(nodes, when(0, KillPlan, "seeder-1", has(0.5)))
    played.end()
    assert played.began == [("kill seeder-1", 0.0)]


def test_after_counts_from_the_beginning_of_each_event(nodes: StatefulNodes) -> None:
    played = Played(
        nodes,
        event(0, 4.0, KillPlan, "seeder-1"),
        when(1, RestartPlan, "seeder-1", after(0, 2.0)),
        when(2, KillPlan, "seeder-2", after(1, 1.0)),
    )
    played.end()
    assert played.began == [("kill seeder-1", 4.0), ("restart seeder-1", 6.0), ("kill seeder-2", 7.0)]


def test_an_event_after_a_failed_one_never_happens(nodes: StatefulNodes) -> None:
    played = Played(
        nodes,
        event(0, 1.0, StartPlan, "seeder-1"),
        when(1, KillPlan, "seeder-1", after(0)),
        when(2, KillPlan, "seeder-2", after(1)),
    )
    played.end()
    assert [one.error.partition(" did not happen: ")[2] for one in played.records[1:]] == [
        "`after 0` cannot become true, because `start seeder-1` failed",
        "`after 1` cannot become true, because `kill seeder-1` failed",
    ]
    assert played.timeline.failed(2)
    assert played.engine.done == []


def test_an_unfulfilled_trigger_is_reported_at_the_end(nodes: StatefulNodes) -> None:
    played = Played(nodes, when(0, RestartPlan, "seeder-1", has(0.5)))
    assert played.timeline.will_start("seeder-1")
    played.timeline.stop()
    played.timeline.record_unapplied()
    assert [one.error for one in played.records] == ["restart seeder-1 did not happen: `has` did not become true"]
    assert "time_limit" in played.records[0].hint
    assert not played.timeline.will_start("seeder-1")
    nodes.say("leecher-1", "progress file=a.txt have=9 pieces=10")
    assert played.engine.done == []


def test_an_event_does_not_happen_after_its_own_end(nodes: StatefulNodes) -> None:
    played = Played(nodes, when(0, PausePlan, "seeder-1", has(0.5), until=6.0))
    played.end()
    assert [one.error for one in played.records] == [
        "pause seeder-1 did not happen: `has` was not true before the event's end"
    ]


def test_until_is_a_time_of_the_run(nodes: StatefulNodes) -> None:
    nodes.say("leecher-1", "progress file=a.txt have=5 pieces=10")
    played = Played(nodes, when(0, PausePlan, "seeder-1", replace(has(0.5), delay=2.0), until=6.0))
    played.end()
    assert played.began == [("pause seeder-1", 2.0), ("resume seeder-1", 6.0)]
