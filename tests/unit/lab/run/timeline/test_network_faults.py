"""Network faults, commands and their end, in a timeline.

The engine only records calls.
"""

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


def without_netem() -> Capabilities:
    """Return the capabilities of a machine without netem."""
    return choose_capabilities({fact: "no such kind" if fact.startswith("netem") else "" for fact in FACTS}, None)


def override(*pairs: tuple[str, str], text: str = "partition", **qualities: float) -> LinkOverride:
    """Return an override of some links: a cut, or other qualities."""
    asked = LinkQualities(**qualities) if qualities else LinkQualities(cut=True)  # type: ignore[arg-type]
    return LinkOverride(frozenset(pairs), asked, text)


def fault(index: int, at: float, applied: LinkOverride, lasts: float | None = None) -> EventPlan:
    """Return an event that applies an override."""
    nodes = tuple(node for node in NODES if any(node in pair for pair in applied.pairs))
    return event(index, at, PartitionPlan, *nodes, lasts=lasts, override=applied, text=applied.text)


def heal(index: int, at: float, *indices: int) -> EventPlan:
    """Return an event that ends others."""
    return event(index, at, HealPlan, *NODES, ends=indices, text="heal")


class FaultLab:
    """A lab of three nodes, of which the leecher starts at 2 s."""

    def __init__(self) -> None:
        self.engine = FakeEngine("tracker", "seeder-1", created=("leecher-1",))
        self.active: list[list[ActiveFault]] = []
        self.faults = NetworkFaults(self.engine, without_netem, on_change=self.active.append)
        self.engine.observe(self.faults)
        for node in ("tracker", "seeder-1"):
            self.faults.node_started(node)
        self.records: list[AppliedEvent] = []
        self.clock = FakeClock()

    def play(self, *events: EventPlan) -> Timeline:
        plan = make_plan(nodes=(seeder(), leecher(start=2.0)), events=events)
        timeline = Timeline(
            plan,
            self.engine,
            self.clock,  # type: ignore[arg-type]
            self.records.append,
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
def lab() -> Iterator[FaultLab]:
    made = FaultLab()
    yield made
    made.faults.close()


CUT = "-A TORRENTNET -s 198.18.0.{}/32 -j DROP"


def test_a_partition_is_set_at_the_receivers_and_ends(lab: FaultLab) -> None:
    cut = override(("tracker", "seeder-1"), ("seeder-1", "tracker"))
    lab.play(fault(0, 3.0, cut, lasts=1.5))
    assert lab.rules("tracker") == [CUT.format(3), "-X TORRENTNET"]
    assert lab.rules("seeder-1") == [CUT.format(2), "-X TORRENTNET"]
    assert [(one.text, one.began, one.index) for one in lab.records[1:]] == [
        ("partition", 3.0, 0),
        ("end of partition", 4.5, None),
    ]
    assert lab.records[1].set_in == ("tracker", "seeder-1")
    assert [[fault.text for fault in active] for active in lab.active] == [["partition"], []]


def test_scripts_exist_for_nodes_with_rules_in_force(lab: FaultLab) -> None:
    assert lab.faults.scripts() == {}
    lab.faults.install_links([override(("tracker", "seeder-1"), ("tracker", "leecher-1"))])
    # Also for a node that has not started yet; not for a node without rules.
    assert set(lab.faults.scripts()) == {"seeder-1", "leecher-1"}
    assert CUT.format(2) in lab.faults.scripts()["leecher-1"]
    assert lab.faults.starts("leecher-1") == 0
    lab.play(fault(0, 3.0, override(("seeder-1", "tracker")), lasts=1.0))
    assert set(lab.faults.scripts()) == {"seeder-1", "leecher-1"}
    assert lab.faults.starts("leecher-1") == 1


def test_a_node_that_starts_later_gets_what_is_in_force(lab: FaultLab) -> None:
    timeline = lab.play(fault(0, 1.0, override(("seeder-1", "leecher-1"))))
    assert lab.records[0].set_in == ()
    assert lab.records[0].error == ""
    assert lab.rules("leecher-1") == [CUT.format(3)]
    lab.engine.restart("leecher-1")
    assert lab.rules("leecher-1") == [CUT.format(3)] * 2
    timeline.undo_all()
    assert lab.rules("leecher-1")[-1] == "-X TORRENTNET"


def test_links_are_set_before_the_first_node_and_stay() -> None:
    engine = FakeEngine(created=NODES)
    faults = NetworkFaults(engine, without_netem)
    faults.install_links([override(("seeder-1", "tracker"), loss=0.25, text="to tracker: loss 25%")])
    engine.observe(faults)
    engine.start("tracker")
    assert "--probability 0.25" in engine.scripts[0][1]
    assert [(fault.text, fault.link) for fault in faults.active()] == [("to tracker: loss 25%", True)]
    faults.close()


def test_an_override_that_changes_no_link_is_an_error(lab: FaultLab) -> None:
    cut = override(("tracker", "seeder-1"), text="isolate")
    timeline = lab.play(fault(0, 3.0, cut), fault(1, 4.0, replace(cut, text="again")))
    assert [one.error for one in lab.records] == ["", "", "again changed nothing: every link was like that already"]
    assert "proves nothing" in lab.records[-1].hint
    assert timeline.failed(1)


def test_the_latest_override_wins_until_it_is_removed(lab: FaultLab) -> None:
    lab.play(
        fault(0, 3.0, override(("tracker", "seeder-1"), loss=0.1)),
        fault(1, 4.0, override(("tracker", "seeder-1"), loss=0.5), lasts=1.0),
    )
    shares = [rule.partition("--probability ")[2].split()[0] for rule in lab.rules("seeder-1")]
    assert shares == ["0.1", "0.5", "0.1"]


def test_rules_that_cannot_be_set_fail_the_event(lab: FaultLab) -> None:
    lab.engine.rooted["seeder-1"] = ExecResult(2, "", "iptables-restore: line 3 failed")
    lab.play(fault(0, 3.0, override(("tracker", "seeder-1"), ("seeder-1", "tracker"))))
    assert lab.records[-1].set_in == ("tracker",)
    assert lab.records[-1].error == (
        "partition is not in force everywhere: the network of seeder-1 could not be set (status 2): "
        "iptables-restore: line 3 failed"
    )


def test_a_node_that_has_ended_needs_no_rules(lab: FaultLab) -> None:
    lab.engine.states["seeder-1"] = NodeState(NodeStatus.EXITED, 1)
    lab.play(fault(0, 3.0, override(("tracker", "seeder-1"), ("seeder-1", "tracker"))))
    assert (lab.records[-1].set_in, lab.records[-1].error) == (("tracker",), "")


def test_a_node_whose_end_is_noticed_late_needs_no_rules(lab: FaultLab, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [NodeState(NodeStatus.RUNNING)]
    state = lab.engine.state

    def late(node: str) -> NodeState:
        return seen.pop() if node == "seeder-1" and seen else state(node)

    lab.engine.states["seeder-1"] = NodeState(NodeStatus.EXITED, 1)
    monkeypatch.setattr(lab.engine, "state", late)
    lab.play(fault(0, 3.0, override(("tracker", "seeder-1"), ("seeder-1", "tracker"))))
    assert not seen
    assert (lab.records[-1].set_in, lab.records[-1].error) == (("tracker",), "")


@pytest.mark.parametrize(("packets", "text"), [(5, "partition: 5 packets stopped"), (0, "partition: no packet met it")])
def test_counts_are_reported_when_a_fault_ends(lab: FaultLab, packets: int, text: str) -> None:
    lab.engine.rooted["tracker"] = ExecResult(0, COUNTED.format(packets=packets, bytes=packets * 60), "")
    timeline = lab.play(fault(0, 3.0, override(("seeder-1", "tracker"))))
    timeline.undo_all()
    assert lab.records[-1].line() == f"end of {text}"
    event_of_its_own = next(one for one in timeline.applied if one.index == 0)
    assert event_of_its_own.row()["measured"] == {
        "text": text.partition(": ")[2],
        "arrived": packets,
        "lost": packets,
        "lost_bytes": packets * 60,
    }


def test_nodes_whose_counters_are_lost_are_named(lab: FaultLab) -> None:
    timeline = lab.play(
        fault(0, 3.0, override(("tracker", "seeder-1"))), event(1, 4.0, RestartPlan, "seeder-1"), heal(2, 5.0, 0)
    )
    assert lab.records[-1].line() == "end of partition: no packet met it; not counted in seeder-1"
    assert timeline.began_at(2) == 5.0


def test_heal_undoes_faults_and_pauses_before_their_time(lab: FaultLab) -> None:
    lab.play(
        fault(0, 3.0, override(("tracker", "seeder-1")), lasts=9.0),
        event(1, 3.5, PausePlan, "seeder-1", lasts=9.0),
        heal(2, 4.0, 0, 1),
    )
    assert lab.engine.done == ["start leecher-1", "pause seeder-1", "resume seeder-1"]
    texts = [one.text for one in lab.records[1:]]
    assert texts == ["partition", "pause seeder-1", "heal", "end of partition", "resume seeder-1"]
    assert not [one for one in lab.records if one.error]


def test_a_heal_without_effect_is_an_error(lab: FaultLab) -> None:
    lab.play(fault(0, 3.0, override(("tracker", "seeder-1")), lasts=1.0), heal(1, 5.0, 0))
    assert lab.records[-1].error == "heal changed nothing: nothing that it ends was in force"


def test_a_pause_that_ended_early_is_not_undone_again(lab: FaultLab) -> None:
    lab.play(
        event(0, 3.0, PausePlan, "seeder-1", lasts=4.0),
        event(1, 4.0, RestartPlan, "seeder-1"),
        event(2, 5.0, PausePlan, "seeder-1", lasts=5.0),
    )
    assert [(one.text, one.began) for one in lab.records[-2:]] == [("pause seeder-1", 5.0), ("resume seeder-1", 10.0)]


def test_rules_of_a_paused_node_are_set_when_it_resumes(lab: FaultLab) -> None:
    lab.play(
        event(0, 3.0, PausePlan, "seeder-1", lasts=2.0), fault(1, 4.0, override(("tracker", "seeder-1")), lasts=9.0)
    )
    assert lab.records[2].set_in == ()
    assert lab.rules("seeder-1") == [CUT.format(2), "-X TORRENTNET"]


def command(index: int, kind: type[CommandPlan], words: str, *nodes: str) -> EventPlan:
    return event(index, 3.0, kind, *nodes, command=words)


def test_the_output_of_commands_is_kept(lab: FaultLab) -> None:
    for node in ("tracker", "seeder-1"):
        lab.engine.answers[node, "sh", "-c", "echo hi; id"] = ExecResult(0, f"hi from {node}\n", "")
    lab.engine.answers["tracker", "console", "file_logs", "a b"] = ExecResult(0, "one row\n", "")
    lab.play(
        command(0, RunPlan, "echo hi; id", "tracker", "seeder-1"),
        command(1, ConsolePlan, "file_logs 'a b'", "tracker"),
    )
    assert [(one.node, one.status, one.text) for one in lab.records[1].outputs] == [
        ("tracker", 0, "hi from tracker"),
        ("seeder-1", 0, "hi from seeder-1"),
    ]
    assert [one.text for one in lab.records[2].outputs] == ["one row"]
    assert not [one for one in lab.records if one.error]


def test_a_command_that_fails_is_an_error(lab: FaultLab) -> None:
    lab.engine.answers["seeder-1", "sh", "-c", "exit 3"] = ExecResult(3, "", "first\nno such thing\n")
    lab.engine.states["tracker"] = NodeState(NodeStatus.EXITED, 0)
    lab.play(command(0, RunPlan, "exit 3", "seeder-1", "tracker"))
    assert lab.records[-1].error == (
        "`exit 3` in seeder-1 ended with status 3: no such thing; "
        "`exit 3` in tracker could not be run: tracker is not running"
    )


def test_a_fault_that_hits_nothing_is_an_error_for_verbs(lab: FaultLab) -> None:
    lab.faults.apply(override(("tracker", "seeder-1")))
    with pytest.raises(NothingChangedError, match="every link was like that already") as caught:
        lab.faults.apply(override(("tracker", "seeder-1")))
    assert caught.value.exit_code == 1


def test_a_quality_that_the_engine_lacks_is_an_error(lab: FaultLab) -> None:
    with pytest.raises(EngineError, match="this engine does not support delay: the kernel's netem: no such kind"):
        lab.faults.apply(override(("tracker", "seeder-1"), delay=0.02))
    assert lab.engine.scripts == []
