"""The tracker beside opentracker.

The benchmark measures announces per second, look-ups, and memory per peer.

Both run in containers on a bridge of their own and are pinned to one processor, the load generator (``tracker_load.c``)
to another. They are measured in turns. A second measure is shown beside the rate: replies for each second of processor
time that the server used. This measure is the same on a machine that other programs keep busy.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bench import ROOT
from bench import plots as pictures
from bench.programs import PROGRAMS
from bench.rig.cgroup import anonymous_memory
from bench.rig.containers import Rig
from bench.rig.idle import IdleWaiter
from bench.section import Context, SectionResult, Table
from bench.sections.tracker_rig import (
    SERVER_CPU,
    SOURCES,
    WANT,
    WINDOW,
    Rates,
    TrackerRig,
    build_load,
    log_readers,
    start_load,
    start_theirs,
    tracker_rig,
)
from bench.spread import Spread, ratios, with_prefix
from torrentnet.lab.engines.docker import images

if TYPE_CHECKING:
    from pathlib import Path

NAME = "tracker"
TITLE = "Tracker: announces, look-ups, memory"
OURS, THEIRS = "torrentnet", "opentracker"
SWARMS = ((1, 2_000), (100, 20_000))
"""Swarms, and peers in all of them together."""
SECONDS, QUICK_SECONDS = 2.0, 1.0
PEERS, QUICK_PEERS = 1_000_000, 100_000
"""For the memory."""
FILL = "fill_tracker.py"
FILL_S = 400.0
"""For filling a tracker on a machine that is busy with other things; on a quiet one it takes 10 to 25 s."""
WAIT_S, QUICK_WAIT_S, WAIT_EACH_S = 20.0, 3.0, 4.0
"""For quiet moments of the machine: in all, and before one turn."""
NOTE = (
    "Medians of {runs} runs in turns, with least and most; one processor for the server, another for the load; "
    f"{WINDOW} requests under way, num_want {WANT}, peers from {SOURCES} addresses. Each answer's action, transaction "
    "id and size was checked: {bad} of {all} were wrong, lost or errors. CPU: answers for each second of processor "
    "time that the server's container used."
)


def run(context: Context) -> SectionResult:
    """Measure the tracker beside opentracker.

    Raises :class:`CannotMeasureError` without gcc, and if there is only one processor.
    """
    binary = build_load(context.workdir)
    with Rig(context.say) as rig:
        # First, so that a build is not among the measurements.
        node, clients = rig.node_image(), images.ensure_image(rig.client, ROOT, context.say, images.CLIENTS)
        tables: list[Table] = []
        plots: list[Path] = []
        raw: dict[str, Any] = {}
        patience = IdleWaiter(QUICK_WAIT_S if context.quick else WAIT_S, WAIT_EACH_S)
        with tracker_rig(rig, node, clients, binary, patience, max(swarms for swarms, _ in SWARMS)) as running:
            announces = _announces(running, context)
            tables.append(_announce_table(announces, context))
            plots.append(_plot(announces, context))
            lookups = _lookups(running, context)
            tables.append(_lookup_table(lookups, context))
            raw |= {"announces": _raw(announces), "lookups": _raw(lookups)}
        memory = _memory(rig, node, clients, binary, context)
        tables.append(_memory_table(memory, context))
        raw["memory"] = memory
    return SectionResult(tuple(tables), tuple(plots), raw, NOTES)


def _announces(running: TrackerRig, context: Context) -> dict[str, dict[str, Rates]]:
    """Rates of both programs, for each number of swarms, and with the log being read."""
    seconds = QUICK_SECONDS if context.quick else SECONDS
    found: dict[str, dict[str, Rates]] = {}
    for swarms, peers in SWARMS:
        title = f"{swarms} {'swarm' if swarms == 1 else 'swarms'} of {peers // swarms:,}"
        context.say(f"announces, {title}")
        rates = found[title] = {OURS: Rates(), THEIRS: Rates()}
        shape = {"swarms": swarms, "peers": peers}
        for box in (running.ours, running.theirs):
            running.shoot(box, kind="fill", **shape)
        running.settle()
        for _ in range(context.runs):
            running.patience.wait()
            running.measure(running.ours, rates[OURS], seconds=seconds, **shape)
            running.measure(running.theirs, rates[THEIRS], seconds=seconds, **shape)
    if not context.quick:
        title = "the first, while the request log is read"
        context.say(f"announces, {title}")
        rates = found[title] = {OURS: Rates(), THEIRS: Rates()}
        shape = {"swarms": SWARMS[0][0], "peers": SWARMS[0][1]}
        running.shoot(running.ours, kind="request", named=1, seconds=0.5, **shape)
        running.settle()
        for _ in range(context.runs):
            running.patience.wait()
            with log_readers(running):
                running.measure(running.ours, rates[OURS], seconds=seconds, named=1, **shape)
            running.measure(running.theirs, rates[THEIRS], seconds=seconds, **shape)
    return found


def _lookups(running: TrackerRig, context: Context) -> dict[str, dict[str, Rates]]:
    """Return our tracker's rates of look-ups beside opentracker's announces.

    opentracker has no look-ups.
    """
    seconds = QUICK_SECONDS
    found: dict[str, dict[str, Rates]] = {}
    for swarms, peers in SWARMS[:1] if context.quick else SWARMS:
        shape = {"swarms": swarms, "peers": peers}
        running.shoot(running.ours, kind="fill", named=1, **shape)
        running.shoot(running.theirs, kind="fill", **shape)
        running.settle()
        files = "1 file" if swarms == 1 else f"{swarms} files"
        for kind, what in (("lookup", "look-ups again"), ("request", "new look-ups, and outcomes")):
            title = f"{what}, {files}"
            context.say(title)
            rates = found[title] = {OURS: Rates(), THEIRS: Rates()}
            for _ in range(context.runs):
                running.patience.wait()
                running.measure(running.ours, rates[OURS], kind=kind, named=1, seconds=seconds, **shape)
                running.measure(running.theirs, rates[THEIRS], seconds=seconds, **shape)
    return found


def _memory(rig: Rig, node: str, clients: str, binary: bytes, context: Context) -> dict[str, float]:
    """Bytes a peer, by what they are of."""
    peers = QUICK_PEERS if context.quick else PEERS
    script = (PROGRAMS / FILL).read_bytes()
    found: dict[str, float] = {}
    box = rig.start(
        "memory", ["sleep", "infinity"], image_name=node, cpuset=SERVER_CPU, files={"fill_tracker.py": script}
    )
    cases = (
        ("standard clients, 1 swarm", 1, 0),
        ("standard clients, 100 swarms", 100, 0),
        ("own peers, 1 swarm", 1, 1),
    )
    for title, swarms, named in cases:
        context.say(f"memory: {peers:,} {title}")
        answer = json.loads(box.run("python3", f"/data/{FILL}", str(peers), str(swarms), str(named), timeout=FILL_S))
        found[f"{OURS}, {title}"] = answer["bytes"]
    box.remove()
    for swarms in (1, 100):
        title = "1 swarm" if swarms == 1 else f"{swarms} swarms"
        context.say(f"memory: {peers:,} peers at {THEIRS}, {title}")
        server = start_theirs(rig, clients, swarms, name=f"opentracker-{swarms}")
        load, first = start_load(rig, node, binary, 2 * SOURCES)
        running = TrackerRig(rig, node, server, server, load, first, IdleWaiter(0.0, 0.0))
        running.shoot(server, kind="fill", swarms=1, peers=1, most_seconds=10, seconds=0)
        before = anonymous_memory([server.pid])
        running.shoot(server, kind="fill", swarms=swarms, peers=peers, sources=2 * SOURCES, seconds=0)
        found[f"{THEIRS}, {title}"] = (anonymous_memory([server.pid]) - before) / peers
        load.remove()
        server.remove()
    return found


def _announce_table(found: dict[str, dict[str, Rates]], context: Context) -> Table:
    rows = []
    for title, rates in found.items():
        ours, theirs = rates[OURS], rates[THEIRS]
        for program, one in rates.items():
            rows.append((title, program, *_cells(one), "", ""))
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
            *_cells(rates[OURS]),
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


def _cells(rates: Rates) -> tuple[str, str, str]:
    """Rate, rate for each CPU second, the slowest hundredth."""
    rate, cpu = Spread.of(rates.a_second), Spread.of(rates.a_cpu_second)
    return _rate(rate), _rate(cpu), f"{Spread.of(rates.p99_ms).median:.1f} ms"


def _rate(spread: Spread) -> str:
    return f"{with_prefix(spread.median)} ({with_prefix(spread.least)}-{with_prefix(spread.most)})"


def _ratio(ours: list[float], theirs: list[float]) -> str:
    return ratios(ours, theirs).show(2)


def _raw(found: dict[str, dict[str, Rates]]) -> dict[str, Any]:
    return {title: {program: vars(one) for program, one in rates.items()} for title, rates in found.items()}


NOTES = """\
**What is timed.** The load generator (`bench/programs/tracker_load.c`) plays the peers: it connects from each of its
addresses, announces every peer once, waits until the tracker has written its log, and then goes round the peers
with periodic announces, as many under way as the table says. Our tracker runs as in a lab, with its log lines, its
journal, its console, and every connection id checked; the engine keeps its log, and nobody follows it meanwhile. The
rates are of answers that came and were right. Where others keep the machine busy, a rate says little; the ratios are
run by run, and "per CPU second" counts only time that the server had.

**Look-ups again** are those of a peer that asks under its request's number for another page, or whether there is a
seed at last; the first look-up of each peer is not timed (it counts for "per CPU second" only, with its answers).
**New look-ups** begin a row of the request log each, and every second request is the outcome that ends it: two event
lines, two records in the journal. The engine takes each line out of a pipe, makes JSON of it and writes it to the disk,
on the same two processors, so that here the rate falls behind "per CPU second". No other tracker knows these two
requests.

**Where the time goes.** A periodic announce (py-spy, of the time that the loop works): `sendmmsg` 43 %, `recvmmsg`
12 %, the answer itself 31 % (a third of that is the sample of the swarm), taking the fields apart and copying the
answer 8 %, the rest is the loop. So more than half is the kernel's. A look-up that comes again costs as much as an
announce. A new one, or an outcome, costs about twice as much: a sixth of that for the journal, a twentieth for the
writing of event lines (each left out in turn, over loopback), the rest for packets, books and the lines' text. With a
hundred files it is more, not for the files but for the ten thousand peers that ask in turn here, where with one file a
thousand do: what is kept of each is out of the processor's nearest two megabytes when its turn comes again. With one
file and as many peers it is the same.

**What made it fast.** `recvmmsg` and `sendmmsg` through `ctypes`, up to 32 datagrams a call, all fields of a batch
by one `struct`; connection ids that were good a moment ago are looked up, not hashed anew; the members of a swarm
stay joined in compact form and a contiguous run of them is the sample; peers are rows of arrays, so nothing is made
for a periodic announce but its answer, and the garbage collector has nothing to look through. What all who look a file
up are told is put together once for as long as it is true. New look-ups and their outcomes have a short way of their
own; their event lines are put together there and handed over for all datagrams that came at once, and lines that come
fast are written every 20 ms. The journal keeps the request log in columns: what a moment does to up to 512 neighbouring
requests is one row of the database, which is appended and never changed; what became of a request is found when
somebody asks. With a row for each request and two for what it was to its file, in three indexes, it cost five times as
much. An open request is two small objects, and no heap has to be kept in order for it: nearly all become due in the
order of their coming.

**What did not help.** 64 datagrams a call (the first waits for the last) and 8 (more calls); handing the kernel
pointers to the answers in place of copying them (`ctypes` takes longer for a pointer than `memcpy` for 320 bytes);
a prepared tail of the answer for each swarm, joined to the rest (`struct` packs all five numbers in the same time);
event lines that are put together by the thread that writes them (one processor has to do it all the same); a shorter
switch interval between Python's threads; no garbage collection at all (a hundredth or two); remembering what the names
of ten thousand peers look like, with `lru_cache` or in a dictionary: to look at a plain name anew takes less time than
to wait for the memory.

**Memory.** A standard client is a row of 81 bytes in arrays and an entry of its swarm's dictionary. An own peer has
its name besides, in one buffer with all others, and, where it is a seed, a place in a table of peer ids, because who
looks up must not be sent to itself. Few peers look more costly than many: the answers kept for requests that come twice
take up to 4 MiB, however many peers there are. In memory the journal keeps a row for each peer too, which takes as much
again; with `--state` it is on the disk. opentracker keeps eight bytes for a peer: no peer id, no name, and the time to
ten minutes.
"""
