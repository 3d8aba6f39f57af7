"""Calibration of the shaper against a real kernel.

Datagrams meet the impairments that were requested.

Sender and receiver run on one machine and share CLOCK_MONOTONIC: a datagram carries the time at which it was sent. A
busy machine may wake the receiver late, so the tests check the median of the delays.
"""

from __future__ import annotations

import math
import shlex
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.engines import DOCKER, Kind, on
from tests.integration.local_nodes import LocalNodes
from tests.integration.network_nodes import DockerNodes, Nodes
from tests.integration.network_programs import TCP_SINK, TCP_SOURCE
from torrentnet.shaper import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.alone

RECEIVER = "node-1"
PORT = 9000
SURE = 3.3
"""Standard deviations on both sides that hold 99.9 % of a normal distribution."""
DEADLINE_S = 60.0

RECEIVE = """
# Receives datagrams until each of COUNT senders has sent "over"; prints numbers and delays in ms by sender's address.
import json, socket, struct, sys, time
port, senders = int(sys.argv[1]), int(sys.argv[2])
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
sink.bind(("", port))
sink.settimeout(20)
print("ready", flush=True)
found, over = {}, set()
while len(over) < senders:
    data, (host, _) = sink.recvfrom(2048)
    now = time.monotonic_ns()
    if data == b"over":
        over.add(host)
        continue
    sent, number = struct.unpack_from("!qq", data)
    found.setdefault(host, []).append((number, (now - sent) / 1e6))
names, values = [line.split() for line in open("/proc/net/snmp") if line.startswith("Udp:")]
errors = int(values[names.index("InCsumErrors")])
print(json.dumps({"found": found, "errors": errors}))
"""

SEND = """
# Sends COUNT numbered datagrams of SIZE bytes to HOST PORT, INTERVAL s apart, then "over" often enough.
import socket, struct, sys, time
host, port, count, size, interval = sys.argv[1], *map(float, sys.argv[2:])
source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
there = host, int(port)  # not connected, so that the receiver's end is no error here
fill = bytes(int(size) - 16)
began = time.monotonic()
for number in range(int(count)):
    if (rest := began + number * interval - time.monotonic()) > 0:
        time.sleep(rest)
    source.sendto(struct.pack("!qq", time.monotonic_ns(), number) + fill, there)
time.sleep(0.3)
for _ in range(40):
    source.sendto(b"over", there)
    time.sleep(0.01)
print("{}")
"""

STOP = """
# Tries to stop the shaper; prints the exit status and the error.
import contextlib, io, json
from torrentnet.shaper.__main__ import main
with contextlib.redirect_stderr(io.StringIO()) as error:
    status = main(["stop"])
print(json.dumps([status, error.getvalue()]))
"""


@pytest.fixture(scope="module")
def nodes(engine: Kind) -> Iterator[Nodes]:
    kind = DockerNodes if engine is DOCKER else LocalNodes
    with kind(3) as made:
        probed = made.root(RECEIVER, rules.PROBE, "")
        if probed.status:
            pytest.skip(f"delay in user space: {probed.stderr.strip()}")
        yield made


@pytest.fixture
def shaper(nodes: Nodes) -> Iterator[Shaper]:
    """Start the shaper of the receiving node.

    After the test the shaper is stopped and its rules are removed.
    """
    made = Shaper(nodes)
    yield made
    made.end()


class Shaper:
    """Uses the shaper of the receiving node as a lab does."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    def apply(self, asked: Mapping[str, str]) -> None:
        """Apply impairments, as text by node; they are in force at the return."""
        queues = {self._nodes.addresses[node]: rules.queue_number(self._nodes.addresses[node]) for node in asked}
        state = "seed 1\n" + "".join(
            f"queue {queue} {words}\n" for queue, words in zip(queues.values(), asked.values(), strict=True)
        )
        self._do(f"{shlex.join(rules.APPLY)} <<END\n{state}END\n")
        self._do(f"{shlex.join(rules.RESTORE)} <<END\n{rules.input_rules(queues)}END\n")

    def status(self) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """Return the fields of the shaper's own line, and those of each node's line."""
        lines = [
            dict(word.partition("=")[::2] for word in shlex.split(line)[1:])
            for line in self._do(shlex.join(rules.STATUS)).splitlines()
        ]
        names = {str(rules.queue_number(address)): name for name, address in self._nodes.addresses.items()}
        return lines[0], {names[line["number"]]: line for line in lines[1:]}

    def exit_status(self) -> int:
        return self._nodes.root(RECEIVER, rules.STATUS, "").status

    def kill(self) -> None:
        """End the shaper as a crash would."""
        self._do(f"kill -9 {self.status()[0]['pid']}")

    def end(self) -> None:
        self._do(f"{shlex.join(rules.RESTORE)} <<END\n{rules.input_rules({})}END\n")
        self._nodes.root(RECEIVER, rules.STOP, "")
        deadline = time.monotonic() + DEADLINE_S
        while self.exit_status() != 3:
            assert time.monotonic() < deadline, "the shaper does not end"

    def _do(self, script: str) -> str:
        return self._nodes.show(RECEIVER, script)


def measure(nodes: Nodes, rates: Mapping[str, tuple[float, float]], size: int = 1472) -> tuple[Any, int]:
    """Send datagrams from each node at its rate (Mbit/s) for its seconds.

    Return the numbers and delays of the datagrams received from each node, and the number of checksum errors.
    """
    receiver = nodes.agent(RECEIVER, RECEIVE, PORT, len(rates))
    assert receiver.line() == "ready"
    senders = []
    for node, (rate, seconds) in rates.items():
        interval = (size + 28) * 8 / rate / 1e6
        there = nodes.addresses[RECEIVER]
        senders.append(nodes.agent(node, SEND, there, PORT, round(seconds / interval), size, interval))
    answer = receiver.answer()
    for sender in senders:
        sender.answer()
    by_address = {address: name for name, address in nodes.addresses.items()}
    return {by_address[host]: found for host, found in answer["found"].items()}, answer["errors"]


def delays(found: list[tuple[int, float]]) -> list[float]:
    return sorted(delay for _, delay in found)


def quantile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def allowed(delay_ms: float) -> float:
    return 1 + 0.02 * delay_ms


def test_delays_of_two_sources_at_once(nodes: Nodes, shaper: Shaper) -> None:
    shaper.apply({"node-2": "delay=20ms", "node-3": "delay=100ms"})
    found, _ = measure(nodes, {"node-2": (20, 2), "node-3": (5, 2)})
    itself, done = shaper.status()
    for node, asked, count in (("node-2", 20, 3333), ("node-3", 100, 833)):
        took = delays(found[node])
        assert len(took) == count
        assert abs(quantile(took, 0.5) - asked) <= allowed(asked)
        # A datagram must never come early, however busy the machine is.
        assert took[0] >= asked - 1
        assert done[node]["dropped"] == "0"
        assert int(done[node]["packets"]) >= count
        middle, most = quantile(took, 0.5), quantile(took, 0.99)
        late = int(done[node]["late"]) / int(done[node]["packets"])
        print(f"{node}: asked {asked} ms, median {middle:.2f}, 99 % {most:.2f}, late {late:.2%}")
    print(itself)


def test_jitter_is_uniform(nodes: Nodes, shaper: Shaper) -> None:
    shaper.apply({"node-2": "delay=20ms jitter=5ms"})
    found, _ = measure(nodes, {"node-2": (10, 2)})
    took = delays(found["node-2"])
    assert took[0] >= 14
    for share in (0.1, 0.25, 0.5, 0.75):
        assert abs(quantile(took, share) - (15 + 10 * share)) <= allowed(20)


def test_a_share_of_packets_overtakes(nodes: Nodes, shaper: Shaper) -> None:
    shaper.apply({"node-2": "delay=50ms reordering=25%"})
    found, _ = measure(nodes, {"node-2": (5, 2)})
    took = delays(found["node-2"])
    assert abs(sum(delay < 45 for delay in took) / len(took) - 0.25) < SURE * math.sqrt(0.25 * 0.75 / len(took))


def test_checksums_detect_corruption_and_copies_arrive(nodes: Nodes, shaper: Shaper) -> None:
    _, before = measure(nodes, {"node-2": (5, 0.01), "node-3": (5, 0.01)})
    shaper.apply({"node-2": "delay=5ms corruption=10%", "node-3": "delay=5ms duplication=10%"})
    found, after = measure(nodes, {"node-2": (5, 2), "node-3": (5, 2)})
    _, done = shaper.status()
    margin = SURE * math.sqrt(0.1 * 0.9 * 833)
    lost = 833 - len(found["node-2"])
    again = len(found["node-3"]) - 833
    assert abs(lost - 83.3) < margin
    assert abs(again - 83.3) < margin
    # The datagrams that say "over" are hit as well, some after the receiver's end.
    assert lost <= after - before <= int(done["node-2"]["corrupted"])
    assert int(done["node-3"]["duplicated"]) >= again
    assert sorted({number for number, _ in found["node-3"]}) == list(range(833))


def test_a_change_of_state_loses_no_packet(nodes: Nodes, shaper: Shaper) -> None:
    shaper.apply({"node-2": "delay=10ms"})
    receiver = nodes.agent(RECEIVER, RECEIVE, PORT, 1)
    assert receiver.line() == "ready"
    sender = nodes.agent("node-2", SEND, nodes.addresses[RECEIVER], PORT, 1500, 1000, 0.001)
    deadline = time.monotonic() + DEADLINE_S
    while int(shaper.status()[1]["node-2"]["packets"]) < 300:
        assert time.monotonic() < deadline
    shaper.apply({"node-2": "delay=60ms", "node-3": "delay=5ms"})
    found = next(iter(receiver.answer()["found"].values()))
    sender.answer()
    assert sorted(number for number, _ in found) == list(range(1500))
    assert abs(quantile(sorted(delay for number, delay in found if number < 200), 0.5) - 10) <= allowed(10)
    assert abs(quantile(sorted(delay for number, delay in found if number >= 1400), 0.5) - 60) <= allowed(60)


def test_tcp_keeps_its_speed(nodes: Nodes, shaper: Shaper) -> None:
    shaper.apply({"node-2": "delay=20ms"})
    sink = nodes.agent(RECEIVER, TCP_SINK, PORT, 0.5, 1.5)
    assert sink.line() == "ready"
    source = nodes.agent("node-2", TCP_SOURCE, nodes.addresses[RECEIVER], PORT)
    took = sink.answer()
    source.answer()
    assert took["bytes"] * 8 / took["seconds"] > 20e6
    assert shaper.status()[1]["node-2"]["dropped"] == "0"


def test_without_the_shaper_its_packets_are_lost(nodes: Nodes, shaper: Shaper) -> None:
    shaper.apply({"node-2": "delay=5ms"})
    shaper.kill()
    assert shaper.exit_status() == 3
    found, _ = measure(nodes, {"node-3": (5, 0.1)})
    assert "node-3" in found
    reach = f"import socket; socket.create_connection(('{nodes.addresses[RECEIVER]}', 1), timeout=0.5)"
    assert "TimeoutError" in nodes.show("node-2", f'python3 -c "{reach}" 2>&1 || true')
    shaper.apply({"node-2": "delay=5ms"})
    assert "ConnectionRefusedError" in nodes.show("node-2", f'python3 -c "{reach}" 2>&1 || true')


def test_an_invalid_state_changes_nothing(nodes: Nodes, shaper: Shaper) -> None:
    shaper.apply({"node-2": "delay=5ms"})
    result = nodes.root(RECEIVER, rules.APPLY, "queue 1 delay=5ms\nqueue 2 delay=5\n")
    assert result.status == 2
    assert (
        result.stderr.strip() == "shaper: error: line 2: delay=5: a duration has its unit (us, ms, s), as in delay=20ms"
    )
    assert shaper.status()[1].keys() == {"node-2"}


# A node of the engine local has no other user than the shaper: it is told apart by its capabilities alone.
@on(DOCKER)
def test_the_nodes_own_user_is_refused(nodes: Nodes, shaper: Shaper) -> None:
    shaper.apply({"node-2": "delay=5ms"})
    status, error = nodes.agent(RECEIVER, STOP).answer()
    assert status == 1
    assert error.strip() == "shaper: error: only root may control the shaper (docker exec --privileged -u 0)"
    assert shaper.exit_status() == 0
