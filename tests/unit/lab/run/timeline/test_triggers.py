"""Events with ``when``: each happens once, when its trigger fires; one that never happens is reported."""

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

JOIN_TIMEOUT = 30.0
ROLES = {"tracker": Role.TRACKER, "seeder-1": Role.SHARE, "seeder-2": Role.SHARE, "leecher-1": Role.GET}


class Told:
    """A lab state, to which a test adds lines and states, a second apart."""

    def __init__(self) -> None:
        self.lab_state = LabState(ROLES)
        self.time = EPOCH

    def say(self, node: str, line: str) -> None:
        self.time += 1
        self.lab_state.add_line(LogLine(node, self.time, f"{format_timestamp(self.time)} {line}"))

    def is_now(self, node: str, status: NodeStatus) -> None:
        self.time += 1
        self.lab_state.add_state(StateChange(node, self.time, NodeState(status)))


@pytest.fixture
def told() -> Told:
    return Told()


def has(share: float, *nodes: str) -> HasTrigger:
    return HasTrigger(text="has", nodes=nodes or ("leecher-1",), file="a.txt", share=share)


def test_has_checks_the_pieces_of_every_node(told: Told) -> None:
    assert not is_fulfilled(has(0.5), told.lab_state, ROLES)
    told.say("leecher-1", "progress file=a.txt have=4 pieces=9")
    assert not is_fulfilled(has(0.5), told.lab_state, ROLES)
    told.say("leecher-1", "progress file=a.txt have=5 pieces=9")
    assert is_fulfilled(has(0.5), told.lab_state, ROLES)
    assert not is_fulfilled(has(0.5, "leecher-1", "seeder-1"), told.lab_state, ROLES)
    told.say("seeder-1", "published file=a.txt size=900 pieces=9")
    assert is_fulfilled(has(0.5, "leecher-1", "seeder-1"), told.lab_state, ROLES)
    told.say("leecher-1", "completed file=a.txt bytes=900")
    assert is_fulfilled(has(1.0), told.lab_state, ROLES)


def test_has_is_fulfilled_by_exactly_its_share(told: Told) -> None:
    told.say("leecher-1", "progress file=a.txt have=7 pieces=100")
    assert is_fulfilled(has(0.07), told.lab_state, ROLES)


@pytest.mark.parametrize(
    ("node", "line"), [("tracker", "listening"), ("seeder-1", "published pieces=3"), ("leecher-1", "listening")]
)
def test_up_counts_from_the_last_start(told: Told, node: str, line: str) -> None:
    up = UpTrigger(text="is up", nodes=(node,))
    told.is_now(node, NodeStatus.RUNNING)
    assert not is_fulfilled(up, told.lab_state, ROLES)
    told.say(node, line)
    assert is_fulfilled(up, told.lab_state, ROLES)
    told.is_now(node, NodeStatus.EXITED)
    assert not is_fulfilled(up, told.lab_state, ROLES)
    told.is_now(node, NodeStatus.RUNNING)
    assert not is_fulfilled(up, told.lab_state, ROLES)
    told.say(node, line)
    assert is_fulfilled(up, told.lab_state, ROLES)


def test_a_node_that_never_started_is_not_down(told: Told) -> None:
    down = DownTrigger(text="is down", nodes=("seeder-1",))
    assert not is_fulfilled(down, told.lab_state, ROLES)
    told.is_now("seeder-1", NodeStatus.RUNNING)
    told.is_now("seeder-1", NodeStatus.EXITED)
    assert is_fulfilled(down, told.lab_state, ROLES)


def test_seed_needs_a_running_node_that_reports_it(told: Told) -> None:
    seed = SeedTrigger(text="is seed", nodes=("leecher-1",))
    told.is_now("leecher-1", NodeStatus.RUNNING)
    told.say("leecher-1", "state state=get")
    assert not is_fulfilled(seed, told.lab_state, ROLES)
    told.say("leecher-1", "state state=seed")
    assert is_fulfilled(seed, told.lab_state, ROLES)
    told.is_now("leecher-1", NodeStatus.PAUSED)
    assert not is_fulfilled(seed, told.lab_state, ROLES)


# -- in a timeline ---------------------------------------------------------------------------------


def when(index: int, kind: type[EventPlan], node: str, trigger: Trigger, **more: Any) -> EventPlan:
    return event(index, 0.0, kind, node, when=trigger, **more)


def after(index: int, delay: float = 0.0) -> AfterTrigger:
    return AfterTrigger(text=f"after {index}", event=index, delay=delay)


class Played:
    """A timeline in its own thread, with its records."""

    def __init__(self, told: Told, *events: EventPlan) -> None:
        self.engine = FakeEngine("tracker", "seeder-1", "seeder-2", "leecher-1")
        self.told: list[AppliedEvent] = []
        self.clock = FakeClock()
        nodes = (seeder("seeder-1"), seeder("seeder-2"), replace(leecher(), role=Role.SHARE))
        self.timeline = Timeline(
            make_plan(nodes=nodes, events=events),
            self.engine,
            self.clock,  # type: ignore[arg-type]
            self.told.append,
            lab_state=told.lab_state,
            executors=(SameThread(), SameThread()),
        )
        self.timeline.start()

    def end(self) -> None:
        self.timeline._thread.join(JOIN_TIMEOUT)
        assert self.timeline.finished

    @property
    def began(self) -> list[tuple[str, float]]:
        return [(one.text, one.began) for one in self.told]


def test_an_event_happens_once_when_its_trigger_fires(told: Told) -> None:
    played = Played(told, when(0, KillPlan, "seeder-1", replace(has(0.5), delay=1.5)))
    told.say("leecher-1", "progress file=a.txt have=4 pieces=10")
    assert played.told == []
    assert not played.timeline.finished
    told.say("leecher-1", "progress file=a.txt have=5 pieces=10")
    told.say("leecher-1", "progress file=a.txt have=6 pieces=10")
    played.end()
    assert played.began == [("kill seeder-1", 1.5)]
    assert played.told[0].planned == 1.5


def test_a_condition_that_is_true_at_the_start_fires_at_once(told: Told) -> None:
    told.say("leecher-1", "progress file=a.txt have=5 pieces=10")
    played = Played(told, when(0, KillPlan, "seeder-1", has(0.5)))
    played.end()
    assert played.began == [("kill seeder-1", 0.0)]


def test_after_counts_from_the_beginning_of_each_event(told: Told) -> None:
    played = Played(
        told,
        event(0, 4.0, KillPlan, "seeder-1"),
        when(1, RestartPlan, "seeder-1", after(0, 2.0)),
        when(2, KillPlan, "seeder-2", after(1, 1.0)),
    )
    played.end()
    assert played.began == [("kill seeder-1", 4.0), ("restart seeder-1", 6.0), ("kill seeder-2", 7.0)]


def test_an_event_after_a_failed_one_never_happens(told: Told) -> None:
    played = Played(
        told,
        event(0, 1.0, StartPlan, "seeder-1"),
        when(1, KillPlan, "seeder-1", after(0)),
        when(2, KillPlan, "seeder-2", after(1)),
    )
    played.end()
    assert [one.error.partition(" did not happen: ")[2] for one in played.told[1:]] == [
        "`after 0` cannot become true, because `start seeder-1` failed",
        "`after 1` cannot become true, because `kill seeder-1` failed",
    ]
    assert played.timeline.failed(2)
    assert played.engine.done == []


def test_an_unfulfilled_trigger_is_reported_at_the_end(told: Told) -> None:
    played = Played(told, when(0, RestartPlan, "seeder-1", has(0.5)))
    assert played.timeline.will_start("seeder-1")
    played.timeline.stop()
    played.timeline.record_unapplied()
    assert [one.error for one in played.told] == ["restart seeder-1 did not happen: `has` did not become true"]
    assert "time_limit" in played.told[0].hint
    assert not played.timeline.will_start("seeder-1")
    told.say("leecher-1", "progress file=a.txt have=9 pieces=10")
    assert played.engine.done == []


def test_an_event_does_not_happen_after_its_own_end(told: Told) -> None:
    played = Played(told, when(0, PausePlan, "seeder-1", has(0.5), until=6.0))
    played.end()
    assert [one.error for one in played.told] == [
        "pause seeder-1 did not happen: `has` was not true before the event's end"
    ]


def test_until_is_a_time_of_the_run(told: Told) -> None:
    told.say("leecher-1", "progress file=a.txt have=5 pieces=10")
    played = Played(told, when(0, PausePlan, "seeder-1", replace(has(0.5), delay=2.0), until=6.0))
    played.end()
    assert played.began == [("pause seeder-1", 2.0), ("resume seeder-1", 6.0)]
