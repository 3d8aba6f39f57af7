"""What a hostile program in a container can do to the machine and to other nodes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import docker
from tests.integration.engines import DOCKER, on
from tests.integration.helpers import torrentnet

if TYPE_CHECKING:
    from torrentnet.lab.api import Lab

FORKS = """
import os, time
made = 0
try:
    for made in range(3000):
        if os.fork() == 0:
            time.sleep(1)
            os._exit(0)
except OSError as error:
    print(made, error.strerror)
for _ in range(made):
    os.wait()
"""
DISK = """
import os
with open("/data/big", "wb") as file:
    try:
        while True:
            file.write(bytes(2**20))
    except OSError as error:
        print(error.strerror)
os.unlink("/data/big")
"""
FLOOD = """
import os
out = os.open("/proc/1/fd/1", os.O_WRONLY)
head = b"2026-11-23T12:29:11.123Z "
os.write(out, head + b'error reason="\\\\ud800"\\n\\x1b[2J\\x1b]0;owned\\x07\\n')
os.write(out, head + b"completed file=no.txt peer=seeder-2\\n")
for _ in range(100):
    os.write(out, b"y" * 10**5)
os.write(out, b"\\n")
os.write(out, head + b"closing reason=flood\\n")
"""
OUT = """
import socket
def ends(address, family=socket.AF_INET):
    with socket.socket(family) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return "no way"
    return "open"
import sys
for address in sys.argv[1:]:
    print(address, ends((address, 22)))
print("v6", ends(("fe80::1", 22, 0, 2), socket.AF_INET6))
"""


@on(DOCKER)
def test_a_node_is_bounded(small: Lab) -> None:
    made, reason = small.exec("seeder-1", "python3", "-c", FORKS).stdout.split(" ", 1)
    assert int(made) < 128
    assert "unavailable" in reason
    assert small.exec("seeder-1", "python3", "-c", "bytearray(2**31)").status == 137
    assert small.exec("seeder-1", "python3", "-c", DISK).stdout.strip() == "No space left on device"
    assert str(small.state("seeder-1")) == "running"


@on(DOCKER)
def test_a_node_reaches_nobody_but_the_lab(small: Lab) -> None:
    with contextlib.closing(docker.from_env()) as client:
        network = client.networks.list(names=[f"{small.project}_lab"])[0]
        bridge = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    subnet = network.attrs["IPAM"]["Config"][0]["Subnet"]
    gateway = subnet.rpartition(".")[0] + ".1"
    inside = small.engine.locations["tracker"].address
    host = bridge.get("Gateway") or bridge["Subnet"].rpartition(".")[0] + ".1"
    answer = small.exec("seeder-1", "python3", "-c", OUT, gateway, host, "203.0.113.1", inside)
    found = dict(line.rsplit(" ", 1) for line in answer.stdout.splitlines())
    assert found.pop(f"{inside}") == "refused"
    assert set(found.values()) == {"way"}, answer.stdout


@on(DOCKER)
def test_what_a_node_prints_is_its_own_and_harmless(small: Lab) -> None:
    small.exec("seeder-1", "python3", "-c", FLOOD)
    small.wait_until(
        lambda: small.nodes.first("seeder-1", "closing") is not None, what="the flood has ended", timeout=60
    )
    assert small.nodes.first("seeder-1", "error", reason="\\ud800") is not None
    assert small.nodes.first("seeder-2", "completed") is None
    # The file stays what it is on the disk; the command that shows it escapes.
    shown = torrentnet(small.home, "logs", "seeder-1")
    assert "\x1b" not in shown.stdout
