"""Network faults, commands and their end, in a timeline on an engine that only records calls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.fakes import FakeClock, FakeEngine, SameThread, event, leecher, make_plan, seeder
from torrentnet.lab.engines.types import ExecResult, NodeState, NodeStatus, NothingChangedError
from torrentnet.lab.errors import EngineError
from torrentnet.lab.network.probe import FACTS, Capabilities, choose_capabilities
from torrentnet.lab.run.timeline.network_faults import NetworkFaults
from torrentnet.lab.run.timeline.timeline import Timeline
from torrentnet.lab.scenario.plan.events import (
    CommandPlan,
    ConsolePlan,
    EventPlan,
    HealPlan,
    PartitionPlan,
    PausePlan,
    RestartPlan,
    RunPlan,
)
from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.lab.home import ActiveFault
    from torrentnet.lab.run.timeline.schedule import AppliedEvent

JOIN_TIMEOUT = 30.0
NODES = ("tracker", "seeder-1", "leecher-1")
COUNTED = """\
== rules
[{packets}:{bytes}] -A TORRENTNET -s 198.18.0.3/32 -j DROP
== classes
== end
"""


def offer() -> Capabilities:
    """Return the capabilities of a machine without netem."""
    return choose_capabilities({fact: "no such kind" if fact.startswith("netem") else "" for fact in FACTS}, None)


def patch(*pairs: tuple[str, str], text: str = "partition", **qualities: float) -> LinkOverride:
    """Return an override of some links: a cut, or other qualities."""
    asked = LinkQualities(**qualities) if qualities else LinkQualities(cut=True)  # type: ignore[arg-type]
    return LinkOverride(frozenset(pairs), asked, text)


def lay(index: int, at: float, what: LinkOverride, lasts: float | None = None) -> EventPlan:
    """Return an event that applies an override."""
    nodes = tuple(node for node in NODES if any(node in pair for pair in what.pairs))
    return event(index, at, PartitionPlan, *nodes, lasts=lasts, override=what, text=what.text)


def heal(index: int, at: float, *indices: int) -> EventPlan:
    """Return an event that ends others."""
    return event(index, at, HealPlan, *NODES, ends=indices, text="heal")


class World:
    """A lab of three nodes, of which the leecher starts at 2 s."""

    def __init__(self) -> None:
        self.engine = FakeEngine("tracker", "seeder-1", created=("leecher-1",))
        self.active: list[list[ActiveFault]] = []
        self.faults = NetworkFaults(self.engine, offer, on_change=self.active.append)
        self.engine.observe(self.faults)
        for node in ("tracker", "seeder-1"):
            self.faults.node_started(node)
        self.told: list[AppliedEvent] = []
        self.clock = FakeClock()

    def play(self, *events: EventPlan) -> Timeline:
        plan = make_plan(nodes=(seeder(), leecher(start=2.0)), events=events)
        timeline = Timeline(
            plan,
            self.engine,
            self.clock,  # type: ignore[arg-type]
            self.told.append,
            faults=self.faults,
            executors=(SameThread(), SameThread()),
        )
        timeline.start()
        timeline._thread.join(JOIN_TIMEOUT)
        assert timeline.finished
        return timeline

    def rules(self, node: str) -> list[str]:
        """Return the rules that each script sets in a node's chain."""
        return [
            " / ".join(line for line in script.splitlines() if line.startswith("-A ") or line == "-X TORRENTNET")
            for name, script in self.engine.scripts
            if name == node
        ]


@pytest.fixture
def world() -> Iterator[World]:
    it = World()
    yield it
    it.faults.close()


CUT = "-A TORRENTNET -s 198.18.0.{}/32 -j DROP"


def test_a_partition_is_set_at_the_receivers_and_ends(world: World) -> None:
    cut = patch(("tracker", "seeder-1"), ("seeder-1", "tracker"))
    world.play(lay(0, 3.0, cut, lasts=1.5))
    assert world.rules("tracker") == [CUT.format(3), "-X TORRENTNET"]
    assert world.rules("seeder-1") == [CUT.format(2), "-X TORRENTNET"]
    assert [(one.text, one.began, one.index) for one in world.told[1:]] == [
        ("partition", 3.0, 0),
        ("end of partition", 4.5, None),
    ]
    assert world.told[1].set_in == ("tracker", "seeder-1")
    assert [[fault.text for fault in active] for active in world.active] == [["partition"], []]


def test_scripts_exist_for_nodes_with_rules_in_force(world: World) -> None:
    assert world.faults.scripts() == {}
    world.faults.install_links([patch(("tracker", "seeder-1"), ("tracker", "leecher-1"))])
    # Also of a node that has not started yet, and of nobody of whom nothing is asked.
    assert set(world.faults.scripts()) == {"seeder-1", "leecher-1"}
    assert CUT.format(2) in world.faults.scripts()["leecher-1"]
    assert world.faults.starts("leecher-1") == 0
    world.play(lay(0, 3.0, patch(("seeder-1", "tracker")), lasts=1.0))
    assert set(world.faults.scripts()) == {"seeder-1", "leecher-1"}
    assert world.faults.starts("leecher-1") == 1


def test_a_node_that_starts_later_gets_what_is_in_force(world: World) -> None:
    timeline = world.play(lay(0, 1.0, patch(("seeder-1", "leecher-1"))))
    assert world.told[0].set_in == ()
    assert world.told[0].error == ""
    assert world.rules("leecher-1") == [CUT.format(3)]
    world.engine.restart("leecher-1")
    assert world.rules("leecher-1") == [CUT.format(3)] * 2
    timeline.undo_all()
    assert world.rules("leecher-1")[-1] == "-X TORRENTNET"


def test_links_are_set_before_the_first_node_and_stay() -> None:
    engine = FakeEngine(created=NODES)
    faults = NetworkFaults(engine, offer)
    faults.install_links([patch(("seeder-1", "tracker"), loss=0.25, text="to tracker: loss 25%")])
    engine.observe(faults)
    engine.start("tracker")
    assert "--probability 0.25" in engine.scripts[0][1]
    assert [(fault.text, fault.link) for fault in faults.active()] == [("to tracker: loss 25%", True)]
    faults.close()


def test_an_override_that_changes_no_link_is_an_error(world: World) -> None:
    cut = patch(("tracker", "seeder-1"), text="isolate")
    timeline = world.play(lay(0, 3.0, cut), lay(1, 4.0, replace(cut, text="again")))
    assert [one.error for one in world.told] == ["", "", "again changed nothing: every link was like that already"]
    assert "proves nothing" in world.told[-1].hint
    assert timeline.failed(1)


def test_the_latest_override_wins_until_it_is_removed(world: World) -> None:
    world.play(
        lay(0, 3.0, patch(("tracker", "seeder-1"), loss=0.1)),
        lay(1, 4.0, patch(("tracker", "seeder-1"), loss=0.5), lasts=1.0),
    )
    shares = [rule.partition("--probability ")[2].split()[0] for rule in world.rules("seeder-1")]
    assert shares == ["0.1", "0.5", "0.1"]


def test_rules_that_cannot_be_set_fail_the_event(world: World) -> None:
    world.engine.rooted["seeder-1"] = ExecResult(2, "", "iptables-restore: line 3 failed")
    world.play(lay(0, 3.0, patch(("tracker", "seeder-1"), ("seeder-1", "tracker"))))
    assert world.told[-1].set_in == ("tracker",)
    assert world.told[-1].error == (
        "partition is not in force everywhere: the network of seeder-1 could not be set (status 2): "
        "iptables-restore: line 3 failed"
    )


def test_a_node_that_has_ended_needs_no_rules(world: World) -> None:
    world.engine.states["seeder-1"] = NodeState(NodeStatus.EXITED, 1)
    world.play(lay(0, 3.0, patch(("tracker", "seeder-1"), ("seeder-1", "tracker"))))
    assert (world.told[-1].set_in, world.told[-1].error) == (("tracker",), "")


@pytest.mark.parametrize(("packets", "text"), [(5, "partition: 5 packets stopped"), (0, "partition: no packet met it")])
def test_counts_are_reported_when_a_fault_ends(world: World, packets: int, text: str) -> None:
    world.engine.rooted["tracker"] = ExecResult(0, COUNTED.format(packets=packets, bytes=packets * 60), "")
    timeline = world.play(lay(0, 3.0, patch(("seeder-1", "tracker"))))
    timeline.undo_all()
    assert world.told[-1].line() == f"end of {text}"
    event_of_its_own = next(one for one in timeline.applied if one.index == 0)
    assert event_of_its_own.row()["measured"] == {
        "text": text.partition(": ")[2],
        "arrived": packets,
        "lost": packets,
        "lost_bytes": packets * 60,
    }


def test_nodes_whose_counters_are_lost_are_named(world: World) -> None:
    timeline = world.play(
        lay(0, 3.0, patch(("tracker", "seeder-1"))), event(1, 4.0, RestartPlan, "seeder-1"), heal(2, 5.0, 0)
    )
    assert world.told[-1].line() == "end of partition: no packet met it; not counted in seeder-1"
    assert timeline.began_at(2) == 5.0


def test_heal_undoes_faults_and_pauses_before_their_time(world: World) -> None:
    world.play(
        lay(0, 3.0, patch(("tracker", "seeder-1")), lasts=9.0),
        event(1, 3.5, PausePlan, "seeder-1", lasts=9.0),
        heal(2, 4.0, 0, 1),
    )
    assert world.engine.done == ["start leecher-1", "pause seeder-1", "resume seeder-1"]
    texts = [one.text for one in world.told[1:]]
    assert texts == ["partition", "pause seeder-1", "heal", "end of partition", "resume seeder-1"]
    assert not [one for one in world.told if one.error]


def test_a_heal_without_effect_is_an_error(world: World) -> None:
    world.play(lay(0, 3.0, patch(("tracker", "seeder-1")), lasts=1.0), heal(1, 5.0, 0))
    assert world.told[-1].error == "heal changed nothing: nothing that it ends was in force"


def test_a_pause_that_ended_early_is_not_undone_again(world: World) -> None:
    world.play(
        event(0, 3.0, PausePlan, "seeder-1", lasts=4.0),
        event(1, 4.0, RestartPlan, "seeder-1"),
        event(2, 5.0, PausePlan, "seeder-1", lasts=5.0),
    )
    assert [(one.text, one.began) for one in world.told[-2:]] == [("pause seeder-1", 5.0), ("resume seeder-1", 10.0)]


def test_rules_of_a_paused_node_are_set_when_it_resumes(world: World) -> None:
    world.play(event(0, 3.0, PausePlan, "seeder-1", lasts=2.0), lay(1, 4.0, patch(("tracker", "seeder-1")), lasts=9.0))
    assert world.told[2].set_in == ()
    assert world.rules("seeder-1") == [CUT.format(2), "-X TORRENTNET"]


def command(index: int, kind: type[CommandPlan], words: str, *nodes: str) -> EventPlan:
    return event(index, 3.0, kind, *nodes, command=words)


def test_the_output_of_commands_is_kept(world: World) -> None:
    for node in ("tracker", "seeder-1"):
        world.engine.answers[node, "sh", "-c", "echo hi; id"] = ExecResult(0, f"hi from {node}\n", "")
    world.engine.answers["tracker", "console", "file_logs", "a b"] = ExecResult(0, "one row\n", "")
    world.play(
        command(0, RunPlan, "echo hi; id", "tracker", "seeder-1"),
        command(1, ConsolePlan, "file_logs 'a b'", "tracker"),
    )
    assert [(one.node, one.status, one.text) for one in world.told[1].outputs] == [
        ("tracker", 0, "hi from tracker"),
        ("seeder-1", 0, "hi from seeder-1"),
    ]
    assert [one.text for one in world.told[2].outputs] == ["one row"]
    assert not [one for one in world.told if one.error]


def test_a_command_that_fails_is_an_error(world: World) -> None:
    world.engine.answers["seeder-1", "sh", "-c", "exit 3"] = ExecResult(3, "", "first\nno such thing\n")
    world.engine.states["tracker"] = NodeState(NodeStatus.EXITED, 0)
    world.play(command(0, RunPlan, "exit 3", "seeder-1", "tracker"))
    assert world.told[-1].error == (
        "`exit 3` in seeder-1 ended with status 3: no such thing; "
        "`exit 3` in tracker could not be run: tracker is not running"
    )


def test_a_fault_that_hits_nothing_is_an_error_for_verbs(world: World) -> None:
    world.faults.apply(patch(("tracker", "seeder-1")))
    with pytest.raises(NothingChangedError, match="every link was like that already") as caught:
        world.faults.apply(patch(("tracker", "seeder-1")))
    assert caught.value.exit_code == 1


def test_a_quality_that_the_engine_lacks_is_an_error(world: World) -> None:
    with pytest.raises(EngineError, match="this engine does not support delay: the kernel's netem: no such kind"):
        world.faults.apply(patch(("tracker", "seeder-1"), delay=0.02))
    assert world.engine.scripts == []
