"""Calibration of the network controller against a real kernel.

Packets meet the qualities that were requested.

A rate counts bytes on the Ethernet (IP packet and 14 bytes of header), so content that arrived by TCP is scaled by the
full packet: with the segment size s that the connection has, s + 66 bytes on the wire for every s of content (14 of
Ethernet, 20 of IP, 20 of TCP, 12 of time stamps after RFC 7323).
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import pytest

from tests.integration.engines import DOCKER, Kind, on
from tests.integration.local_nodes import LocalNodes
from tests.integration.network_nodes import Agent, DockerNodes, Nodes
from tests.integration.network_programs import ECHO, EVERYBODY, PING, TCP_SINK, TCP_SOURCE, UDP_SINK, UDP_SOURCE
from torrentnet.lab.network.controller import NetworkController
from torrentnet.lab.network.counters import Counters
from torrentnet.lab.network.desired_state import NetworkState
from torrentnet.lab.network.netns_exec import NetnsExec
from torrentnet.lab.network.probe import Capabilities, probe
from torrentnet.lab.network.userspace import UserspaceShaper
from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities, Pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torrentnet.lab.engines.types import BatchExec

pytestmark = pytest.mark.alone

COUNT = 10
SECONDS = 4.0
"""How long a rate is measured."""
WARM_UP = 1.0
HEADERS = 66
TOLERANCE = 0.05
PACKETS = 10_000
"""How many packets are sent to measure a loss."""
PINGS = 15
SURE = 2.576
"""Standard deviations on both sides that hold 99 % of a normal distribution."""
DEADLINE_S = 3.0
"""For one script in one node, or in many by one command; a tenth of it is usual."""

P = ParamSpec("P")
R = TypeVar("R")

LIST_OURS = """
iptables-save | grep TORRENTNET
tc qdisc show | grep -e htb -e bfifo -e netem
grep torrentnet-shaper /proc/self/net/unix
exit 0
"""


@pytest.fixture(scope="module")
def nodes(engine: Kind) -> Iterator[Nodes]:
    kind = DockerNodes if engine is DOCKER else LocalNodes
    with kind(COUNT) as made:
        yield made


@pytest.fixture(scope="module")
def capabilities(nodes: Nodes) -> Capabilities:
    return probe(nodes.root, "node-1", UserspaceShaper(seed=7))


def within_deadline(run: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function that runs scripts; a slow call fails the test.

    Each call must return within the deadline.
    """

    def timed(*args: P.args, **kwargs: P.kwargs) -> R:
        began = time.monotonic()
        result = run(*args, **kwargs)
        assert time.monotonic() - began < DEADLINE_S
        return result

    return timed


@contextlib.contextmanager
def controlled(
    nodes: Nodes, capabilities: Capabilities, batch_exec: BatchExec | None = None
) -> Iterator[NetworkController]:
    netns_exec = NetnsExec(
        within_deadline(nodes.root), lambda: None if batch_exec is None else within_deadline(batch_exec)
    )
    netns_exec.prepare_batch()
    with contextlib.closing(netns_exec):
        yield NetworkController(nodes.addresses, netns_exec, capabilities.split)


@pytest.fixture(scope="module")
def controller(nodes: Nodes, capabilities: Capabilities) -> Iterator[NetworkController]:
    with controlled(nodes, capabilities, nodes.batch_exec) as network:
        for node in nodes.addresses:
            assert network.node_started(node) is None
        yield network


@pytest.fixture
def network(controller: NetworkController, nodes: Nodes) -> Iterator[NetworkController]:
    """Yield a network without any fault.

    After the test its faults are removed, and no rule may be left.
    """
    yield controller
    assert [done.problem for done in controller.apply(NetworkState()) if done.problem] == []
    deadline = time.monotonic() + DEADLINE_S
    nothing = dict.fromkeys(nodes.addresses, "")
    # A stopped shaper releases waiting packets when they are due, and ends then.
    while (left := {node: nodes.show(node, LIST_OURS) for node in nodes.addresses}) != nothing:
        assert time.monotonic() < deadline, left


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[tuple[str, str, str, str]]]:
    """Rows (what, asked, measured, difference) that are shown after the tests."""
    rows: list[tuple[str, str, str, str]] = []
    yield rows
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print()
        for what, asked, measured, off in [("calibration", "asked", "measured", ""), *rows]:
            print(f"  {what:<46}{asked:>14}{measured:>16}  {off}".rstrip())


def override(qualities: LinkQualities, *pairs: Pair) -> LinkOverride:
    return LinkOverride(frozenset(pairs), qualities, "a test")


def apply_overrides(network: NetworkController, *overrides: LinkOverride) -> None:
    """Make these overrides, and no others, the state of the network."""
    state = NetworkState()
    for wanted in overrides:
        state, _ = state.add(wanted)
    assert [row.problem for row in network.apply(state) if row.problem] == []


def wire_rates(nodes: Nodes, pairs: Mapping[Pair, float], port: int = 7100) -> dict[Pair, float]:
    """Measure TCP at full speed over all these pairs at the same time.

    Return the rates on the wire, in bits per second.
    """
    sinks: dict[Pair, tuple[int, Agent]] = {}
    for number, pair in enumerate(pairs):
        sinks[pair] = (port + number, nodes.agent(pair[1], TCP_SINK, port + number, WARM_UP, SECONDS))
    assert all(sink.line() == "ready" for _, sink in sinks.values())
    for (source, destination), (number, _) in sinks.items():
        nodes.agent(source, TCP_SOURCE, nodes.addresses[destination], number)
    rates = {}
    for pair, (_, sink) in sinks.items():
        found = sink.answer()
        rates[pair] = found["bytes"] * 8 * (found["segment"] + HEADERS) / found["segment"] / found["seconds"]
    return rates


def check_rates(rates: Mapping[Pair, float], asked: Mapping[Pair, float]) -> float:
    """Return the largest relative error of the rates.

    The test fails where an error exceeds the tolerance.
    """
    off = {pair: rates[pair] / asked[pair] - 1 for pair in asked}
    assert {pair: f"{share:+.1%}" for pair, share in off.items() if abs(share) > TOLERANCE} == {}
    return max(off.values(), key=abs)


def lost_packets(nodes: Nodes, pair: Pair, port: int) -> int:
    sink = nodes.agent(pair[1], UDP_SINK, port)
    assert sink.line() == "ready"
    source = nodes.agent(pair[0], UDP_SOURCE, nodes.addresses[pair[1]], port, PACKETS)
    passed = int(sink.answer()["passed"])
    source.answer()
    return PACKETS - passed


def is_likely(lost: int, share: float) -> bool:
    """Return whether this number of lost packets is likely.

    A likely number is in the middle 99 % of the binomial distribution.
    """
    return abs(lost - PACKETS * share) <= SURE * math.sqrt(PACKETS * share * (1 - share)) + 0.5


def test_rate_of_one_fast_link(
    network: NetworkController, nodes: Nodes, table: list[tuple[str, str, str, str]]
) -> None:
    pair = ("node-1", "node-2")
    apply_overrides(network, override(LinkQualities(rate=100e6), pair))
    rates = wire_rates(nodes, {pair: 100e6})
    off = check_rates(rates, {pair: 100e6})
    table.append(("rate, one link", "100 Mbit/s", f"{rates[pair] / 1e6:.2f} Mbit/s", f"{off:+.2%}"))


def test_rates_to_two_destinations_and_losses(
    network: NetworkController, nodes: Nodes, table: list[tuple[str, str, str, str]]
) -> None:
    """One node sends at a different rate to each of two destinations.

    Meanwhile other nodes measure losses.
    """
    rates = {("node-1", "node-2"): 5e6, ("node-1", "node-3"): 20e6}
    losses = {("node-4", "node-5"): 0.01, ("node-6", "node-7"): 0.05, ("node-8", "node-9"): 0.30}
    apply_overrides(
        network,
        *(override(LinkQualities(rate=rate), pair) for pair, rate in rates.items()),
        *(override(LinkQualities(loss=share), pair) for pair, share in losses.items()),
    )

    def lose(pair: Pair, share: float) -> None:
        before = network.measure(pair)
        lost = lost_packets(nodes, pair, 7300)
        counted = network.measure(pair)[pair].since(before[pair])
        if not is_likely(lost, share):
            # By chance alone one measurement in a hundred is outside, and two in a row one in ten thousand.
            lost = lost_packets(nodes, pair, 7301)
        assert is_likely(lost, share), f"{lost} of {PACKETS} lost, asked for {share:.0%}"
        table.append((f"loss, {PACKETS} UDP packets", f"{share:.0%}", f"{lost / PACKETS:.2%}", f"{lost} packets"))
        assert counted.arrived >= PACKETS
        assert counted.lost / counted.arrived == pytest.approx(lost / PACKETS, abs=0.02)

    with ThreadPoolExecutor(1 + len(losses)) as pool:
        measured = pool.submit(wire_rates, nodes, rates)
        list(pool.map(lose, losses, losses.values()))
        found = measured.result()
    check_rates(found, rates)
    for pair, rate in rates.items():
        off = found[pair] / rate - 1
        table.append(
            ("rate, one sender, two links", f"{rate / 1e6:g} Mbit/s", f"{found[pair] / 1e6:.2f} Mbit/s", f"{off:+.2%}")
        )


def test_an_uplink_is_shared_and_one_destination_gets_it_all(
    network: NetworkController, nodes: Nodes, table: list[tuple[str, str, str, str]]
) -> None:
    uplink = 20e6
    others = [node for node in nodes.addresses if node != "node-1"]
    apply_overrides(network, override(LinkQualities(uplink=uplink), *(("node-1", other) for other in others)))
    alone = wire_rates(nodes, {("node-1", "node-2"): uplink})
    off = check_rates(alone, {("node-1", "node-2"): uplink})
    table.append(("uplink, one destination", "20 Mbit/s", f"{sum(alone.values()) / 1e6:.2f} Mbit/s", f"{off:+.2%}"))
    found = wire_rates(nodes, {("node-1", other): uplink / 4 for other in others[:4]}, 7200)
    off = sum(found.values()) / uplink - 1
    # Congestion control shares unevenly for a while, but the sum must neither exceed the uplink nor leave it idle.
    assert abs(off) <= TOLERANCE
    assert min(found.values()) > 0.75 * uplink / 4
    table.append(("uplink, four at once", "20 Mbit/s", f"{sum(found.values()) / 1e6:.2f} Mbit/s", f"{off:+.2%}"))
    apply_overrides(network, override(LinkQualities(uplink=uplink / 2), *(("node-1", other) for other in others)))
    check_rates(wire_rates(nodes, {("node-1", "node-2"): 0.0}, 7210), {("node-1", "node-2"): uplink / 2})


@pytest.mark.parametrize("rates", [(5e6, 20e6), (100e6,)], ids=["5 and 20 Mbit/s", "100 Mbit/s"])
def test_rates_of_ten_nodes_at_once(
    rates: tuple[float, ...], network: NetworkController, nodes: Nodes, table: list[tuple[str, str, str, str]]
) -> None:
    """A ring in which every node sends and receives at the same time."""
    names = list(nodes.addresses)
    ring = {(names[i], names[(i + 1) % COUNT]): rates[i % len(rates)] for i in range(COUNT)}
    apply_overrides(network, *(override(LinkQualities(rate=rate), pair) for pair, rate in ring.items()))
    found = wire_rates(nodes, ring)
    check_rates(found, ring)
    for rate in rates:
        part = [found[pair] for pair, wanted in ring.items() if wanted == rate]
        off = max((value / rate - 1 for value in part), key=abs)
        table.append(
            (
                f"rate, {len(part)} of {COUNT} links at once (mean; worst)",
                f"{rate / 1e6:g} Mbit/s",
                f"{sum(part) / len(part) / 1e6:.2f} Mbit/s",
                f"{off:+.2%}",
            )
        )


def exchange(nodes: Nodes, names: tuple[str, ...], count: int = 200) -> dict[str, Any]:
    """Exchange packets and connections between all nodes.

    Each node sends ``count`` packets to each other node and tries to connect. Return what each node saw.
    """
    addresses = json.dumps({name: nodes.addresses[name] for name in names})
    agents = {name: nodes.agent(name, EVERYBODY, name, count, addresses) for name in names}
    assert all(agent.line() == "ready" for agent in agents.values())
    for agent in agents.values():
        agent.tell("go")
    assert all(agent.line() == "done" for agent in agents.values())
    for agent in agents.values():
        agent.tell("end")
    return {name: agent.answer() for name, agent in agents.items()}


THREE = ("node-1", "node-2", "node-3")
ALL_PAIRS = {(a, b) for a in THREE for b in THREE if a != b}


@pytest.mark.parametrize(
    ("what", "cut"),
    [
        ("one way", {("node-1", "node-2")}),
        ("both ways", {("node-1", "node-3"), ("node-3", "node-1"), ("node-2", "node-3"), ("node-3", "node-2")}),
    ],
)
def test_partition(
    what: str, cut: set[Pair], network: NetworkController, nodes: Nodes, table: list[tuple[str, str, str, str]]
) -> None:
    """A partition drops packets in the cut directions only.

    Everything passes in the other directions, and no sender gets an error.
    """
    apply_overrides(network, override(LinkQualities(cut=True), *cut))
    before = network.measure(THREE)
    seen = exchange(nodes, THREE)
    counted = network.measure(THREE)
    arrived = {(a, b): seen[b]["arrived"][a] for a, b in ALL_PAIRS}
    assert arrived == {pair: 0 if pair in cut else 200 for pair in ALL_PAIRS}
    # A connection needs both directions; where one is cut the attempt times out without an error.
    reached = {(a, b): seen[a]["reached"][b] for a, b in ALL_PAIRS}
    assert reached == {(a, b): "silence" if {(a, b), (b, a)} & cut else "yes" for a, b in ALL_PAIRS}
    assert {name: seen[name]["sent"] for name in THREE} == {a: {b: 200 for b in THREE if b != a} for a in THREE}
    assert {name: seen[name]["icmp"] for name in THREE} == dict.fromkeys(THREE, 0)
    for pair in cut:
        dropped = counted[pair].since(before.get(pair, Counters()))
        assert dropped.lost == dropped.arrived >= 200
    table.append((f"cut {what}: packets through {len(cut)} of 6 ways", "0", str(sum(arrived[p] for p in cut)), ""))
    through = sum(arrived[pair] for pair in ALL_PAIRS - cut)
    table.append((f"cut {what}: packets through the others", str(200 * len(ALL_PAIRS - cut)), str(through), ""))

    network.apply(NetworkState())
    healed = exchange(nodes, THREE, 50)
    assert {(a, b): (healed[b]["arrived"][a], healed[a]["reached"][b]) for a, b in ALL_PAIRS} == dict.fromkeys(
        ALL_PAIRS, (50, "yes")
    )


def test_delay(
    network: NetworkController, nodes: Nodes, capabilities: Capabilities, table: list[tuple[str, str, str, str]]
) -> None:
    if not capabilities.delay.ok:
        pytest.skip(f"delay: {capabilities.delay.reason}")
    there, back = ("node-1", "node-2"), ("node-2", "node-1")

    def middle(port: int) -> float:
        echo = nodes.agent("node-2", ECHO, port)
        assert echo.line() == "ready"
        return float(nodes.agent("node-1", PING, nodes.addresses["node-2"], port, PINGS).answer()["middle"])

    plain = middle(7400)
    for number, delay in enumerate((0.02, 0.1), 1):
        apply_overrides(network, override(LinkQualities(delay=delay), there, back))
        found = (middle(7400 + number) - plain) / 2
        off = found - delay
        assert abs(off) <= 0.001 + 0.02 * delay
        what = f"delay, one way ({capabilities.delay.means})"
        table.append((what, f"{delay * 1e3:g} ms", f"{found * 1e3:.2f} ms", f"{off * 1e3:+.2f} ms"))


@on(DOCKER)
def test_batch_exec_equals_a_command_for_each_node(
    network: NetworkController, nodes: Nodes, capabilities: Capabilities, table: list[tuple[str, str, str, str]]
) -> None:
    """Also in a paused node, where the engine refuses to run a command."""
    names = list(nodes.addresses)
    halves = {(a, b) for a in names[:5] for b in names[5:]} | {(b, a) for a in names[:5] for b in names[5:]}
    wanted = (override(LinkQualities(cut=True), *halves), override(LinkQualities(rate=1e6, loss=0.1), *ALL_PAIRS))
    with nodes.paused("node-9"):
        apply_overrides(network, *wanted)
    together = {node: nodes.show(node, LIST_OURS) for node in names}
    counted = network.measure()
    assert counted.keys() >= halves | ALL_PAIRS
    began = time.monotonic()
    done = network.apply(NetworkState())
    table.append((f"{len(done)} nodes healed by one command", "", f"{(time.monotonic() - began) * 1e3:.0f} ms", ""))
    with controlled(nodes, capabilities) as one_by_one:
        for node in names:
            one_by_one.node_started(node)
        apply_overrides(one_by_one, *wanted)
        assert {node: nodes.show(node, LIST_OURS) for node in names} == together
        began = time.monotonic()
        done = one_by_one.apply(NetworkState())
        table.append((f"{len(done)} nodes healed one by one", "", f"{(time.monotonic() - began) * 1e3:.0f} ms", ""))
        apply_overrides(one_by_one, override(LinkQualities(loss=0.1), ("node-1", "node-2")))
        began = time.monotonic()
        assert [row.node for row in one_by_one.apply(NetworkState())] == ["node-1", "node-2"]
        table.append(("one link healed", "", f"{(time.monotonic() - began) * 1e3:.0f} ms", ""))


def test_a_change_of_one_link_leaves_the_others_alone(network: NetworkController, nodes: Nodes) -> None:
    steady, other = ("node-1", "node-2"), ("node-1", "node-3")
    show = "tc -s class show dev eth0 classid 746e:2"
    apply_overrides(network, override(LinkQualities(rate=50e6), steady), override(LinkQualities(rate=1e6), other))
    lost_packets(nodes, steady, 7500)
    before = nodes.show("node-1", show)
    apply_overrides(
        network, override(LinkQualities(rate=50e6), steady), override(LinkQualities(rate=2e6, loss=0.1), other)
    )
    assert nodes.show("node-1", show) == before
    counted = network.measure(steady)[steady]
    assert counted.sent >= PACKETS
    apply_overrides(network, override(LinkQualities(loss=0.5), other))
    assert network.measure(steady)[steady] == counted, "counts outlive their class"


def test_a_restarted_node_gets_its_rules_back(network: NetworkController, nodes: Nodes) -> None:
    apply_overrides(
        network,
        override(LinkQualities(rate=1e6), ("node-2", "node-1")),
        override(LinkQualities(cut=True), ("node-1", "node-2"), ("node-3", "node-2")),
    )
    before = nodes.show("node-2", LIST_OURS)
    assert before.count("DROP") == 2 and "bfifo" in before
    network.node_unreachable("node-2")
    nodes.restart("node-2")
    assert nodes.show("node-2", LIST_OURS) == ""
    done = network.node_started("node-2")
    assert done is not None and not done.problem
    assert sorted(nodes.show("node-2", LIST_OURS).splitlines()) == sorted(before.splitlines())


def test_rules_of_an_earlier_lab_are_replaced_and_removed(
    network: NetworkController, nodes: Nodes, capabilities: Capabilities
) -> None:
    pair = ("node-1", "node-2")
    apply_overrides(network, override(LinkQualities(rate=3e6, loss=0.5), *ALL_PAIRS))
    with controlled(nodes, capabilities) as other:
        state, _ = NetworkState().add(override(LinkQualities(rate=1e6, loss=0.1), pair))
        other.apply(state)
        for node in THREE:
            done = other.node_started(node, fresh=False)
            assert done is not None and not done.problem
        ours = {node: nodes.show(node, LIST_OURS) for node in THREE}
        assert ours["node-3"] == ""
        assert ours["node-2"].count("--probability 0.1") == 1 and ours["node-2"].count("-j TORRENTNET") == 1
        assert ours["node-1"].count("bfifo") == 1 and "TORRENTNET" not in ours["node-1"]


def test_a_node_that_was_tampered_with_is_set_from_scratch(network: NetworkController, nodes: Nodes) -> None:
    pair = ("node-1", "node-2")
    apply_overrides(network, override(LinkQualities(rate=1e6, loss=0.5), pair))
    nodes.show("node-2", "iptables -F INPUT; iptables -F TORRENTNET; iptables -X TORRENTNET")
    nodes.show("node-1", "tc qdisc del dev eth0 root")
    apply_overrides(network, override(LinkQualities(rate=2e6, loss=0.25), pair))
    assert "--probability 0.25" in nodes.show("node-2", LIST_OURS)
    assert "-j TORRENTNET" in nodes.show("node-2", "iptables-save")
    assert "rate 2Mbit" in nodes.show("node-1", "tc class show dev eth0")
