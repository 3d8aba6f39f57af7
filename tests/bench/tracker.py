"""The tracker beside opentracker: announces a second, look-ups, memory for each peer.

Both run in containers on a bridge of their own and are pinned to one processor, the load generator (``load.c``) to
another. They are measured in turns. A second measure stands beside the rate: answers for each second of processor time
that the server used, which says the same on a machine that others keep busy too.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import pictures
from tests.bench.cgroup import own_memory
from tests.bench.load import Patience
from tests.bench.rig import MEMORY, Rig
from tests.bench.section import Answer, CannotMeasure, Context, Table
from tests.bench.spread import Spread, big, ratios
from torrentnet.lab.engines.docker import image
from torrentnet.lab.state import root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address

    from tests.bench.rig import Box

NAME = "tracker"
TITLE = "Tracker: announces, look-ups, memory"
OURS, THEIRS = "torrentnet", "opentracker"
PORT = 6771
WANT, WINDOW = 50, 64
SOURCES = 16
"""Addresses that the simulated peers come from."""
SERVER_CPU, LOAD_CPU = "0", "1"
SWARMS = ((1, 2_000), (100, 20_000))
"""Swarms, and peers in all of them together."""
SECONDS, QUICK_SECONDS = 2.0, 1.0
PEERS, QUICK_PEERS = 1_000_000, 100_000
"""For the memory."""
READY_S = 20.0
FILL_S = 400.0
"""For filling a tracker on a machine that is busy with other things; on a quiet one it takes 10 to 25 s."""
ASK_EVERY_S = 0.25
WAIT_S, QUICK_WAIT_S, WAIT_EACH_S = 20.0, 3.0, 4.0
"""For quiet moments of the machine: in all, and before one turn."""
SETTLE_S, QUIET_S = 20.0, 0.3
NOTE = (
    "Medians of {runs} runs in turns, with least and most; one processor for the server, another for the load; "
    f"{WINDOW} requests under way, num_want {WANT}, peers from {SOURCES} addresses. Each answer's action, transaction "
    "id and size was checked: {bad} of {all} were wrong, lost or errors. CPU: answers for each second of processor "
    "time that the server's container used."
)


@dataclass
class Rates:
    """What the runs of one thing gave."""

    a_second: list[float] = field(default_factory=list)
    a_cpu_second: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    answered: int = 0
    bad: int = 0

    def row(self) -> tuple[str, str, str]:
        """Cells: rate, rate for each CPU second, the slowest hundredth."""
        rate, cpu = Spread.of(self.a_second), Spread.of(self.a_cpu_second)
        return _rate(rate), _rate(cpu), f"{Spread.of(self.p99_ms).median:.1f} ms"


def run(context: Context) -> Answer:
    """Measure. Raises :class:`CannotMeasure` without gcc, and where there is one processor only."""
    binary = build_load(context.workdir)
    with Rig(context.say) as rig:
        # First, so that a build is not among the measurements.
        node, clients = rig.node_image(), image.ensure(rig.client, root(), context.say, image.CLIENTS)
        tables: list[Table] = []
        plots: list[Path] = []
        raw: dict[str, Any] = {}
        patience = Patience(QUICK_WAIT_S if context.quick else WAIT_S, WAIT_EACH_S)
        with _bench(rig, node, clients, binary, patience) as bench:
            announces = _announces(bench, context)
            tables.append(_announce_table(announces, context))
            plots.append(_plot(announces, context))
            lookups = _lookups(bench, context)
            tables.append(_lookup_table(lookups, context))
            raw |= {"announces": _raw(announces), "lookups": _raw(lookups)}
        memory = _memory(rig, node, clients, binary, context)
        tables.append(_memory_table(memory, context))
        raw["memory"] = memory
    return Answer(tuple(tables), tuple(plots), raw, NOTES)


def build_load(directory: Path) -> bytes:
    """The load generator as a program that needs no library. Raises CannotMeasure without a compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise CannotMeasure("the load generator is built with gcc, which is not here: apt-get install gcc libc6-dev")
    program = directory / "load"
    source = Path(__file__).with_name("load.c")
    made = subprocess.run(
        [compiler, "-O2", "-static", "-o", str(program), str(source)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise CannotMeasure(f"the load generator cannot be built: {made.stderr.strip()}")
    return program.read_bytes()


def whitelist(swarms: int) -> bytes:
    """The info-hashes of the load generator's swarms, as opentracker reads them; it must agree with ``load.c``."""
    lines = []
    for swarm in range(swarms):
        middle = bytes([0xB5]) * 12
        lines.append(((swarm * 2654435761 & 0xFFFFFFFF).to_bytes(4, "big") + middle + swarm.to_bytes(4, "big")).hex())
    return "".join(f"{line}\n" for line in lines).encode()


@dataclass
class _Bench:
    """Both trackers and the load, running."""

    rig: Rig
    node: str
    ours: Box
    theirs: Box
    load: Box
    first: IPv4Address
    patience: Patience

    def shoot(self, box: Box, **options: object) -> dict[str, Any]:
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
        """Wait until our tracker has written what the peers' coming left it to write, or does not come to an end."""
        deadline = time.monotonic() + SETTLE_S
        used = self.ours.usage().cpu_s
        while time.monotonic() < deadline:
            time.sleep(QUIET_S)
            before, used = used, self.ours.usage().cpu_s
            if used - before < QUIET_S / 100:
                return

    def measure(self, box: Box, rates: Rates, **options: object) -> None:
        """One measured run, of peers that have announced themselves before."""
        before = box.usage().cpu_s
        shot = self.shoot(box, fill=0, **options)
        used = box.usage().cpu_s - before
        rates.a_second.append(shot["per_second"])
        rates.a_cpu_second.append(shot["answered"] / used)
        rates.p99_ms.append(shot["p99_ms"])
        rates.answered += shot["answered"]
        rates.bad += shot["lost"] + shot["wrong"] + shot["errors"]


def _start_theirs(rig: Rig, clients: str, swarms: int, name: str = "opentracker", cpuset: str = SERVER_CPU) -> Box:
    address = rig.address()
    conf = f"listen.udp {address}:{PORT}\naccess.whitelist /data/whitelist\ntracker.user nobody\n"
    return rig.start(
        name,
        ["opentracker", "-f", "/data/opentracker.conf"],
        image_name=clients,
        address=address,
        cpuset=cpuset,
        files={"opentracker.conf": conf.encode(), "whitelist": whitelist(swarms)},
    )


def _start_ours(rig: Rig, node: str, *options: str, name: str = "tracker") -> Box:
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
    return box


def _start_load(rig: Rig, node: str, binary: bytes, sources: int) -> tuple[Box, IPv4Address]:
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
def _bench(rig: Rig, node: str, clients: str, binary: bytes, patience: Patience) -> Iterator[_Bench]:
    rig.memory(node, 1 << 20)
    load, first = _start_load(rig, node, binary, SOURCES)
    ours = _start_ours(rig, node, "--console", f"{MEMORY}/console")
    theirs = _start_theirs(rig, clients, max(swarms for swarms, _ in SWARMS))
    try:
        yield _Bench(rig, node, ours, theirs, load, first, patience)
    finally:
        for box in (load, ours, theirs):
            box.remove()


def _announces(bench: _Bench, context: Context) -> dict[str, dict[str, Rates]]:
    """Rates of both programs, for each number of swarms, and with the log being read."""
    seconds = QUICK_SECONDS if context.quick else SECONDS
    found: dict[str, dict[str, Rates]] = {}
    for swarms, peers in SWARMS:
        title = f"{swarms} {'swarm' if swarms == 1 else 'swarms'} of {peers // swarms:,}"
        context.say(f"announces, {title}")
        rates = found[title] = {OURS: Rates(), THEIRS: Rates()}
        shape = {"swarms": swarms, "peers": peers}
        for box in (bench.ours, bench.theirs):
            bench.shoot(box, kind="fill", **shape)
        bench.settle()
        for _ in range(context.runs):
            bench.patience.wait()
            bench.measure(bench.ours, rates[OURS], seconds=seconds, **shape)
            bench.measure(bench.theirs, rates[THEIRS], seconds=seconds, **shape)
    if not context.quick:
        title = "the first, while the request log is read"
        context.say(f"announces, {title}")
        rates = found[title] = {OURS: Rates(), THEIRS: Rates()}
        shape = {"swarms": SWARMS[0][0], "peers": SWARMS[0][1]}
        bench.shoot(bench.ours, kind="request", named=1, seconds=0.5, **shape)
        bench.settle()
        for _ in range(context.runs):
            bench.patience.wait()
            with _asking(bench):
                bench.measure(bench.ours, rates[OURS], seconds=seconds, named=1, **shape)
            bench.measure(bench.theirs, rates[THEIRS], seconds=seconds, **shape)
    return found


@contextmanager
def _asking(bench: _Bench) -> Iterator[None]:
    """Somebody types ``request logs`` over and over, in a container on the load's processor."""
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


def _lookups(bench: _Bench, context: Context) -> dict[str, dict[str, Rates]]:
    """Rates of look-ups of ours; opentracker has none, so its announces stand beside them."""
    seconds = QUICK_SECONDS
    found: dict[str, dict[str, Rates]] = {}
    for swarms, peers in SWARMS[:1] if context.quick else SWARMS:
        shape = {"swarms": swarms, "peers": peers}
        bench.shoot(bench.ours, kind="fill", named=1, **shape)
        bench.shoot(bench.theirs, kind="fill", **shape)
        bench.settle()
        files = "1 file" if swarms == 1 else f"{swarms} files"
        for kind, what in (("lookup", "look-ups again"), ("request", "new look-ups, and outcomes")):
            title = f"{what}, {files}"
            context.say(title)
            rates = found[title] = {OURS: Rates(), THEIRS: Rates()}
            for _ in range(context.runs):
                bench.patience.wait()
                bench.measure(bench.ours, rates[OURS], kind=kind, named=1, seconds=seconds, **shape)
                bench.measure(bench.theirs, rates[THEIRS], seconds=seconds, **shape)
    return found


def _memory(rig: Rig, node: str, clients: str, binary: bytes, context: Context) -> dict[str, float]:
    """Bytes a peer, by what they are of."""
    peers = QUICK_PEERS if context.quick else PEERS
    script = Path(__file__).with_name("fill.py").read_bytes()
    found: dict[str, float] = {}
    box = rig.start("memory", ["sleep", "infinity"], image_name=node, cpuset=SERVER_CPU, files={"fill.py": script})
    cases = (
        ("standard clients, 1 swarm", 1, 0),
        ("standard clients, 100 swarms", 100, 0),
        ("own peers, 1 swarm", 1, 1),
    )
    for title, swarms, named in cases:
        context.say(f"memory: {peers:,} {title}")
        answer = json.loads(box.run("python3", "/data/fill.py", str(peers), str(swarms), str(named), timeout=FILL_S))
        found[f"{OURS}, {title}"] = answer["bytes"]
    box.remove()
    for swarms in (1, 100):
        title = "1 swarm" if swarms == 1 else f"{swarms} swarms"
        context.say(f"memory: {peers:,} peers at {THEIRS}, {title}")
        server = _start_theirs(rig, clients, swarms, name=f"opentracker-{swarms}")
        load, first = _start_load(rig, node, binary, 2 * SOURCES)
        bench = _Bench(rig, node, server, server, load, first, Patience(0.0, 0.0))
        bench.shoot(server, kind="fill", swarms=1, peers=1, most_seconds=10, seconds=0)
        before = own_memory([server.pid])
        bench.shoot(server, kind="fill", swarms=swarms, peers=peers, sources=2 * SOURCES, seconds=0)
        found[f"{THEIRS}, {title}"] = (own_memory([server.pid]) - before) / peers
        load.remove()
        server.remove()
    return found


def _announce_table(found: dict[str, dict[str, Rates]], context: Context) -> Table:
    rows = []
    for title, rates in found.items():
        ours, theirs = rates[OURS], rates[THEIRS]
        for program, one in rates.items():
            rows.append((title, program, *one.row(), "", ""))
        rows[-2] = (
            *rows[-2][:5],
            _ratio(ours.a_second, theirs.a_second),
            _ratio(ours.a_cpu_second, theirs.a_cpu_second),
        )
    columns = ("swarms", "program", "announces/s", "per CPU second", "p99", "ratio", "ratio, CPU")
    return Table("Announces a second", columns, tuple(rows), _note(found, context))


def _lookup_table(found: dict[str, dict[str, Rates]], context: Context) -> Table:
    rows = tuple(
        (
            title,
            *rates[OURS].row(),
            _rate(Spread.of(rates[THEIRS].a_second)),
            _ratio(rates[OURS].a_second, rates[THEIRS].a_second),
            _ratio(rates[OURS].a_cpu_second, rates[THEIRS].a_cpu_second),
        )
        for title, rates in found.items()
    )
    columns = ("what", "requests/s", "per CPU second", "p99", "opentracker's announces/s", "ratio", "ratio, CPU")
    return Table("Look-ups a second", columns, rows, _note(found, context))


def _memory_table(found: dict[str, float], context: Context) -> Table:
    peers = QUICK_PEERS if context.quick else PEERS
    rows = tuple((title, f"{count:.0f}") for title, count in found.items())
    note = (
        f"Growth of the process's own memory (RssAnon) by {peers:,} peers, every other one a seed. Ours: in the "
        "tracker's core, which real packets filled; opentracker: filled by the load generator. One run each."
    )
    return Table("Memory for each peer (bytes)", ("peers", "bytes a peer"), rows, note)


def _plot(found: dict[str, dict[str, Rates]], context: Context) -> Path:
    values = {program: [rates[program].a_second for rates in found.values()] for program in (OURS, THEIRS)}
    return pictures.bars(context.pictures, "announces", "announces a second", list(found), values)


def _note(found: dict[str, dict[str, Rates]], context: Context) -> str:
    every = [one for rates in found.values() for one in rates.values()]
    answered, bad = sum(one.answered for one in every), sum(one.bad for one in every)
    return NOTE.format(runs=context.runs, bad=bad, all=f"{answered + bad:,}")


def _rate(spread: Spread) -> str:
    return f"{big(spread.median)} ({big(spread.least)}-{big(spread.most)})"


def _ratio(ours: list[float], theirs: list[float]) -> str:
    return ratios(ours, theirs).show(2)


def _raw(found: dict[str, dict[str, Rates]]) -> dict[str, Any]:
    return {title: {program: vars(one) for program, one in rates.items()} for title, rates in found.items()}


NOTES = """\
**What is timed.** The load generator (`tests/bench/load.c`) plays the peers: it connects from each of its
addresses, announces every peer once, waits until the tracker has written its log, and then goes round the peers
with periodic announces, as many under way as the table says. Our tracker runs as in a lab, with its log lines, its
journal, its console, and every connection id checked. The rates are of answers that came and were right. Where
others keep the machine busy, a rate says little; the ratios are run by run, and "per CPU second" counts only time
that the server had.

**Look-ups again** are those of a peer that asks under its request's number for another page, or whether there is a
seed at last. **New look-ups** begin a row of the request log each, and every second request is the outcome that
ends it: two event lines and four rows in the journal's database. No other tracker knows these two requests.

**Where the time goes.** A periodic announce (py-spy, of the time that the loop works): `sendmmsg` 43 %, `recvmmsg`
12 %, the answer itself 31 % (a third of that is the sample of the swarm), taking the fields apart and copying the
answer 8 %, the rest is the loop. So more than half is the kernel's. A new look-up: half of it is the event lines
and the records, a quarter the journal's thread.

**What made it fast.** `recvmmsg` and `sendmmsg` through `ctypes`, up to 32 datagrams a call, all fields of a batch
by one `struct`; connection ids that were good a moment ago are looked up, not hashed anew; the members of a swarm
stay joined in compact form and a contiguous run of them is the sample; peers are rows of arrays, so nothing is made
for a periodic announce but its answer, and the garbage collector has nothing to look through.

**What did not help.** 64 datagrams a call (the first waits for the last) and 8 (more calls); handing the kernel
pointers to the answers in place of copying them (`ctypes` takes longer for a pointer than `memcpy` for 320 bytes);
a prepared tail of the answer for each swarm, joined to the rest (`struct` packs all five numbers in the same time).

**Memory.** A standard client is a row of 81 bytes in arrays and an entry of its swarm's dictionary. An own peer has
its name besides, and its peer id where it is a seed, because who looks up must not be sent to itself. In memory the
journal keeps a row for each peer too, which takes as much again; with `--state` it is on the disk. opentracker
keeps eight bytes for a peer: no peer id, no name, and the time to ten minutes.
"""
