"""Our tracker, opentracker and the load generator, each in a container.

One tracker at a time is loaded. The trackers are pinned to one processor, the load generator (``tracker_load.c``) to
another.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.programs import PROGRAMS
from bench.rig.containers import MEMORY, Rig
from bench.section import CannotMeasureError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address
    from pathlib import Path

    from bench.rig.containers import Container
    from bench.rig.idle import IdleWaiter

PORT = 6771
WANT, WINDOW = 50, 64
SOURCES = 16
"""Addresses that the simulated peers come from."""
SERVER_CPU, LOAD_CPU = "0", "1"
READY_S = 20.0
ASK_EVERY_S = 0.25
SETTLE_S, QUIET_S = 20.0, 0.3


@dataclass
class Rates:
    """What the runs of one thing gave."""

    a_second: list[float] = field(default_factory=list)
    a_cpu_second: list[float] = field(default_factory=list)
    """Answers for each second of processor time that the server's container used."""
    p99_ms: list[float] = field(default_factory=list)
    answered: int = 0
    bad: int = 0


def build_load(directory: Path) -> bytes:
    """Build the load generator as a program that needs no library.

    Raises CannotMeasureError without a compiler.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise CannotMeasureError(
            "the load generator is built with gcc, which is not here: apt-get install gcc libc6-dev"
        )
    program = directory / "load"
    source = PROGRAMS / "tracker_load.c"
    made = subprocess.run(
        [compiler, "-O2", "-static", "-o", str(program), str(source)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise CannotMeasureError(f"the load generator cannot be built: {made.stderr.strip()}")
    return program.read_bytes()


def opentracker_whitelist(swarms: int) -> bytes:
    """Return the info-hashes of the load generator's swarms for opentracker.

    The info-hashes are those of ``tracker_load.c``, in the format that opentracker reads.
    """
    lines = []
    for swarm in range(swarms):
        middle = bytes([0xB5]) * 12
        lines.append(((swarm * 2654435761 & 0xFFFFFFFF).to_bytes(4, "big") + middle + swarm.to_bytes(4, "big")).hex())
    return "".join(f"{line}\n" for line in lines).encode()


@dataclass
class TrackerRig:
    """Both trackers and the load, running."""

    rig: Rig
    node: str
    ours: Container
    theirs: Container
    load: Container
    first: IPv4Address
    patience: IdleWaiter

    def shoot(self, box: Container, **options: object) -> dict[str, Any]:
        """One run of the load generator against a tracker; gives what it printed."""
        words = {
            "host": box.ip,
            "port": PORT,
            "from": self.first,
            "sources": SOURCES,
            "want": WANT,
            "window": WINDOW,
            **options,
        }
        argv = [part for key, value in words.items() for part in (f"--{key.replace('_', '-')}", str(value))]
        answer: dict[str, Any] = json.loads(self.load.run("/data/load", *argv))
        return answer

    def settle(self) -> None:
        """Wait until our tracker has written what the registered peers left it to write.

        The wait ends after :data:`SETTLE_S` seconds even if the tracker is still writing.
        """
        deadline = time.monotonic() + SETTLE_S
        used = self.ours.usage().cpu_s
        while time.monotonic() < deadline:
            time.sleep(QUIET_S)
            before, used = used, self.ours.usage().cpu_s
            if used - before < QUIET_S / 100:
                return

    def measure(self, box: Container, rates: Rates, **options: object) -> None:
        """One measured run, of peers that have announced themselves before.

        What the load generator has to ask first (each peer's first look-up) counts for the processor time only.
        """
        before = box.usage().cpu_s
        shot = self.shoot(box, fill=0, **options)
        used = box.usage().cpu_s - before
        rates.a_second.append(shot["per_second"])
        rates.a_cpu_second.append((shot["fill_answered"] + shot["answered"]) / used)
        rates.p99_ms.append(shot["p99_ms"])
        rates.answered += shot["answered"]
        rates.bad += shot["lost"] + shot["wrong"] + shot["errors"]


def start_theirs(rig: Rig, clients: str, swarms: int, name: str = "opentracker", cpuset: str = SERVER_CPU) -> Container:
    """opentracker, for that many swarms of the load generator."""
    address = rig.address()
    conf = f"listen.udp {address}:{PORT}\naccess.whitelist /data/whitelist\ntracker.user nobody\n"
    return rig.start(
        name,
        ["opentracker", "-f", "/data/opentracker.conf"],
        image_name=clients,
        address=address,
        cpuset=cpuset,
        files={"opentracker.conf": conf.encode(), "whitelist": opentracker_whitelist(swarms)},
    )


def start_ours(rig: Rig, node: str, *options: str, name: str = "tracker") -> Container:
    """Our tracker, listening."""
    address = rig.address()
    box = rig.start(
        name,
        # Peers that keep the extension would be forgotten in the middle of a run of others.
        ["tracker.py", f"{address}:{PORT}", "--timeout", "1h", *options],
        image_name=node,
        address=address,
        cpuset=SERVER_CPU,
    )
    box.until_text(" listening ", READY_S)
    # The engine keeps what it goes on to say; to follow that, as nobody has to, would take the load's processor.
    box.end()
    return box


def start_load(rig: Rig, node: str, binary: bytes, sources: int) -> tuple[Container, IPv4Address]:
    """The load's container, with its program and its addresses."""
    addresses = [rig.address() for _ in range(sources)]
    load = rig.start(
        "load",
        ["sleep", "infinity"],
        image_name=node,
        address=addresses[0],
        cpuset=LOAD_CPU,
        files={"load": binary},
        capabilities=["NET_ADMIN"],
    )
    load.run("chmod", "755", "/data/load")
    commands = "\n".join(f"address add {address}/32 dev eth0" for address in addresses[1:])
    load.run("sh", "-c", f"echo '{commands}' | ip -batch -", user="0")
    return load, addresses[0]


@contextmanager
def tracker_rig(
    rig: Rig, node: str, clients: str, binary: bytes, patience: IdleWaiter, swarms: int
) -> Iterator[TrackerRig]:
    """All three, running; opentracker takes so many swarms of the load generator."""
    rig.memory(node, 1 << 20)
    load, first = start_load(rig, node, binary, SOURCES)
    ours = start_ours(rig, node, "--console", f"{MEMORY}/console")
    theirs = start_theirs(rig, clients, swarms)
    try:
        yield TrackerRig(rig, node, ours, theirs, load, first, patience)
    finally:
        for box in (load, ours, theirs):
            box.remove()


@contextmanager
def log_readers(bench: TrackerRig) -> Iterator[None]:
    """Type ``request logs`` repeatedly while the block of the ``with`` runs.

    The command runs in a container on the load's processor.
    """
    asker = bench.rig.start(
        "asker", ["sleep", "infinity"], image_name=bench.node, cpuset=LOAD_CPU,
        environment={"TORRENTNET_CONSOLE": f"{MEMORY}/console"},
    )  # fmt: skip
    end = threading.Event()

    def ask() -> None:
        while not end.is_set():
            asker.run("request", "logs")
            end.wait(ASK_EVERY_S)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        asker.remove()
