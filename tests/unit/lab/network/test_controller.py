"""Which nodes run which scripts, with nodes that record them."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.engines.types import ExecResult
from torrentnet.lab.errors import EngineError
from torrentnet.lab.network import filter_rules
from torrentnet.lab.network.controller import NetworkController
from torrentnet.lab.network.counters import Counters
from torrentnet.lab.network.desired_state import NetworkState
from torrentnet.lab.network.impairment import CapabilitySplit
from torrentnet.lab.network.netns_exec import NetnsExec
from torrentnet.lab.network.render import OPEN_GATE
from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities, Pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torrentnet.lab.engines.types import BatchExec
    from torrentnet.lab.network.netns_exec import NodeExec

NODES = {f"node-{number}": f"198.18.0.{number + 1}" for number in range(1, 6)}
COUNTED = "== rules\n[7:700] -A TORRENTNET -s 198.18.0.2/32 -j DROP\n== classes\n[]\n== end\n"
AB = ("node-1", "node-2")


class FakeNodes:
    """Runs no script, but records each and returns the next of the prepared answers."""

    def __init__(self) -> None:
        self.scripts: list[tuple[str, str]] = []
        self.answers: dict[str, list[ExecResult | EngineError]] = {}
        self.batches: list[list[str]] = []
        self.batch_fails = False

    def run(self, node: str, argv: Sequence[str], stdin: str) -> ExecResult:
        assert list(argv) == ["sh", "-s"]
        self.scripts.append((node, stdin))
        answer = self.answers[node].pop(0) if self.answers.get(node) else ExecResult(0, COUNTED, "")
        if isinstance(answer, EngineError):
            raise answer
        return answer

    def batch_exec(self, scripts: Mapping[str, str]) -> Mapping[str, ExecResult]:
        self.batches.append(list(scripts))
        if self.batch_fails:
            raise EngineError("no helper")
        return {node: self.run(node, ["sh", "-s"], script) for node, script in scripts.items()}

    def changed(self) -> list[str]:
        nodes = sorted(node for node, _ in self.scripts)
        self.scripts.clear()
        return nodes


@contextlib.contextmanager
def controlled(
    run: NodeExec, batch_exec: BatchExec | None = None, *, gate: bool = False
) -> Iterator[NetworkController]:
    """A controller of all nodes, which have started unless there is a gate."""
    netns_exec = NetnsExec(run, lambda: batch_exec)
    netns_exec.prepare_batch()
    with contextlib.closing(netns_exec):
        network = NetworkController(NODES, netns_exec, CapabilitySplit(), gate=gate)
        for node in () if gate else NODES:
            assert network.node_started(node) is None
        yield network


@pytest.fixture
def fake() -> FakeNodes:
    return FakeNodes()


@pytest.fixture
def network(fake: FakeNodes) -> Iterator[NetworkController]:
    with controlled(fake.run) as made:
        yield made


def cut(*pairs: Pair) -> NetworkState:
    return NetworkState().add(LinkOverride(frozenset(pairs), LinkQualities(cut=True), "a test"))[0]


def test_only_nodes_whose_settings_change_run_a_script(network: NetworkController, fake: FakeNodes) -> None:
    assert fake.changed() == []
    assert [done.node for done in network.apply(cut(AB))] == ["node-2"]
    assert network.apply(cut(AB)) == ()
    assert [done.node for done in network.apply(cut(AB, ("node-2", "node-1")))] == ["node-1"]
    assert fake.changed() == ["node-1", "node-2"]
    assert [done.node for done in network.apply(NetworkState())] == ["node-1", "node-2"]


def test_a_restarted_node_gets_everything_again(network: NetworkController, fake: FakeNodes) -> None:
    network.apply(cut(AB))
    first = fake.scripts[-1]
    done = network.node_started("node-2")
    assert done is not None and not done.problem
    assert fake.scripts[-1] == first


def test_an_unreachable_node_is_set_once_it_is_reachable(network: NetworkController, fake: FakeNodes) -> None:
    network.node_unreachable("node-2")
    assert network.apply(cut(AB)) == ()
    assert fake.changed() == []
    done = network.node_reachable("node-2")
    assert done is not None
    assert fake.changed() == ["node-2"]
    network.node_unreachable("node-2")
    assert network.node_reachable("node-2") is None
    assert fake.changed() == []


def test_rules_of_an_earlier_lab_are_removed_first(network: NetworkController, fake: FakeNodes) -> None:
    network.node_unreachable("node-3")
    done = network.node_started("node-3", fresh=False)
    assert done is not None
    assert filter_rules.FORCE_REMOVE in fake.scripts[-1][1]


def test_a_change_that_fails_is_repeated_from_scratch(network: NetworkController, fake: FakeNodes) -> None:
    network.apply(cut(AB))
    fake.answers["node-2"] = [ExecResult(1, COUNTED, "iptables-restore: line 3 failed")]
    (done,) = network.apply(cut(AB, ("node-3", "node-2")))
    assert not done.problem
    assert filter_rules.FORCE_REMOVE not in fake.scripts[-2][1] and filter_rules.FORCE_REMOVE in fake.scripts[-1][1]


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (
            [ExecResult(4, "", "no interface has the address 198.18.0.3\n")] * 2,
            "the network of node-2 could not be set (status 4): no interface has the address 198.18.0.3",
        ),
        ([ExecResult(137, "", "")] * 2, "the network of node-2 could not be set (status 137): it printed nothing"),
        ([EngineError("node-2 is gone")], "node-2 is gone"),
    ],
)
def test_a_problem_is_reported_and_tried_again_next_time(
    answers: list[ExecResult | EngineError], problem: str, network: NetworkController, fake: FakeNodes
) -> None:
    fake.answers["node-2"] = list(answers)
    (done,) = network.apply(cut(AB))
    assert done.problem == problem
    (done,) = network.apply(cut(AB))
    assert not done.problem
    assert filter_rules.FORCE_REMOVE in fake.scripts[-1][1]


def test_counts_outlive_their_rules(network: NetworkController, fake: FakeNodes) -> None:
    network.apply(cut(AB))
    assert network.measure(["node-2"]) == {AB: Counters(7, 700, 7, 700)}
    network.apply(NetworkState())
    fake.changed()
    assert network.measure() == {AB: Counters(7, 700, 7, 700)}
    assert fake.changed() == [], "a node without rules runs no command"
    network.apply(cut(AB))
    assert network.measure() == {AB: Counters(14, 1400, 14, 1400)}
    network.node_unreachable("node-2")
    assert network.measure() == {AB: Counters(7, 700, 7, 700)}


def test_a_pair_with_an_unknown_node_changes_nothing(network: NetworkController, fake: FakeNodes) -> None:
    with pytest.raises(KeyError):
        network.apply(cut(("node-1", "node-9")))
    assert fake.changed() == []


EVERYBODY = cut(*((node, "node-5" if node != "node-5" else "node-1") for node in NODES), AB, ("node-1", "node-3"))


def test_many_nodes_share_a_command_and_few_do_not(fake: FakeNodes) -> None:
    with controlled(fake.run, fake.batch_exec) as network:
        assert [done.node for done in network.apply(EVERYBODY)] == ["node-1", "node-2", "node-3", "node-5"]
        assert fake.batches == [["node-1", "node-2", "node-3", "node-5"]]
        network.measure()
        network.apply(cut(AB))
        assert len(fake.batches) == 3
        network.apply(NetworkState())
        assert len(fake.batches) == 3


def test_without_batch_exec_each_node_has_a_command(fake: FakeNodes) -> None:
    fake.batch_fails = True
    with controlled(fake.run, fake.batch_exec) as network:
        assert [done.problem for done in network.apply(EVERYBODY)] == [""] * 4
        assert fake.changed() == ["node-1", "node-2", "node-3", "node-5"]
        network.apply(NetworkState())
        assert len(fake.batches) == 1


def test_a_change_during_another_waits_for_it() -> None:
    """At the end the last change is in force, whichever thread was the last to run."""
    begun, go_on = threading.Event(), threading.Event()
    scripts: list[str] = []

    def run(node: str, argv: Sequence[str], stdin: str) -> ExecResult:
        scripts.append(stdin)
        if len(scripts) == 1:
            begun.set()
            assert go_on.wait(60)
        return ExecResult(0, "", "")

    with controlled(run) as network:
        first = threading.Thread(target=network.apply, args=(cut(AB),))
        first.start()
        assert begun.wait(60)
        second = threading.Thread(target=network.apply, args=(NetworkState(),))
        second.start()
        go_on.set()
        first.join(60)
        second.join(60)
        assert [("-A TORRENTNET" in script, "-X TORRENTNET" in script) for script in scripts] == [
            (True, False),
            (False, True),
        ]


def test_the_gate_opens_after_the_rules_once_per_start(fake: FakeNodes) -> None:
    with controlled(fake.run, gate=True) as network:
        network.apply(cut(AB))
        assert fake.scripts == []
        for node in ("node-2", "node-3"):
            assert network.node_started(node) is not None
        (_, with_rules), (_, without) = fake.scripts
        assert with_rules.index("iptables-restore") < with_rules.index(OPEN_GATE)
        assert with_rules.endswith(OPEN_GATE)
        assert without == OPEN_GATE
        fake.scripts.clear()
        network.apply(NetworkState())
        assert [(node, OPEN_GATE in script) for node, script in fake.scripts] == [("node-2", False)]
        fake.scripts.clear()
        network.node_unreachable("node-3")
        network.node_started("node-3")
        assert fake.scripts == [("node-3", OPEN_GATE)]


def test_the_gate_stays_closed_where_rules_fail(fake: FakeNodes) -> None:
    fake.answers["node-2"] = [ExecResult(1, "", "no"), ExecResult(1, "", "no")]
    with controlled(fake.run, gate=True) as network:
        network.apply(cut(AB))
        row = network.node_started("node-2")
        assert row is not None
        assert row.problem
        fake.scripts.clear()
        row = network.node_reachable("node-2")
        assert row is not None
        assert not row.problem
        assert fake.scripts[-1][1].endswith(OPEN_GATE)


def test_persisted_scripts_open_the_gate_too(fake: FakeNodes) -> None:
    with controlled(fake.run, gate=True) as network:
        network.apply(cut(AB))
        assert all(script.endswith(OPEN_GATE) for script in network.scripts().values())
