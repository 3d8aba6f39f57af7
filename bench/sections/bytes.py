"""The speed and the cost of a transfer from one seed to one leecher.

The bytes go from disk to disk with nothing in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.plots import bars
from bench.rig.containers import MEMORY, Rig
from bench.rig.idle import IdleWaiter
from bench.section import SectionResult, Table
from bench.sections.bytes_crowd import CROWD_SIZE, LEECHERS, CrowdResult, ShareResult, measure_crowd, measure_share
from bench.sections.bytes_pair import COMPETITORS, MIB, OURS, BytesRig, Transfer, WaitingSeeds
from bench.spread import Spread, format_mib, format_number, ratios

if TYPE_CHECKING:
    from bench.section import Context

NAME = "bytes"
TITLE = "The bytes: one seed with one leecher, and with fifty"

SIZES, QUICK_SIZES = (256 * MIB, 1024 * MIB), (256 * MIB,)
CROWD_RUNS = 3
LARGE, QUICK_LARGE = 10 * 1024 * MIB, 2 * 1024 * MIB
TMPFS = 6 << 30
WARM, QUICK_WARM = 11 << 29, 3 << 30
"""Bytes of memory, as many as will be in use at once, that are touched before anything is timed: a virtual machine's
first touch of a page is slow, and whoever is measured first would pay for it."""
WAIT_S, QUICK_WAIT_S, WAIT_EACH_S = 45.0, 6.0, 4.0


def run(context: Context) -> SectionResult:
    """See :class:`bench.section.Section`."""
    sizes = QUICK_SIZES if context.quick else SIZES
    measured: dict[int, dict[str, list[Transfer]]] = {}
    patience = IdleWaiter(QUICK_WAIT_S if context.quick else WAIT_S, WAIT_EACH_S)
    with Rig(context.say) as rig:
        field = BytesRig(rig, rig.clients_image(), TMPFS)
        warm = QUICK_WARM if context.quick else WARM
        context.say(f"touching {format_mib(warm)} of memory")
        field.files.run("sh", "-c", f"head -c {warm} /dev/zero >{MEMORY}/warm && rm {MEMORY}/warm")
        for size in sizes:
            context.say(f"seeds of {', '.join(COMPETITORS)} with {format_mib(size)}")
            pair = WaitingSeeds(field, size)
            measured[size] = _measure(context, pair, patience)
            pair.close()
        crowds = []
        for turn in range(1 if context.quick else min(CROWD_RUNS, context.runs)):
            patience.wait()
            crowds.append(measure_crowd(field, turn))
            context.say(f"{LEECHERS} leechers: {crowds[-1].seconds:.1f} s")
        patience.wait()
        large = measure_share(field, QUICK_LARGE if context.quick else LARGE)
        context.say(f"sharing {format_mib(large.size)}: {large.seconds:.1f} s")
    single = Spread.of(one.rate for one in measured[sizes[0]][OURS]).median
    tables = [_table(size, transfers) for size, transfers in measured.items()]
    tables += [_crowd_table(crowds, single, sizes[0]), _share_table(large)]
    rates = {program: [[one.rate for one in measured[size][program]] for size in sizes] for program in COMPETITORS}
    plot = bars(context.pictures, "bytes-rate", "MB/s, file to file", [format_mib(size) for size in sizes], rates)
    raw = {
        format_mib(size): {program: [one.fields() for one in runs] for program, runs in transfers.items()}
        for size, transfers in measured.items()
    }
    more = {"crowd": [one.fields() for one in crowds], "share": large.fields()}
    return SectionResult(tuple(tables), (plot,), raw | more, NOTES)


def _measure(context: Context, pair: WaitingSeeds, patience: IdleWaiter) -> dict[str, list[Transfer]]:
    transfers: dict[str, list[Transfer]] = {program: [] for program in COMPETITORS}
    for turn in range(context.runs):
        # Whoever was first is last in the next round.
        shift = turn % len(COMPETITORS)
        for program in COMPETITORS[shift:] + COMPETITORS[:shift]:
            patience.wait()
            transfers[program].append(pair.transfer(program))
        rates = ", ".join(f"{program} {runs[-1].rate:.0f}" for program, runs in transfers.items())
        context.say(f"{format_mib(pair.size)}, run {turn + 1} of {context.runs}, MB/s: {rates}")
    return transfers


def _table(size: int, transfers: dict[str, list[Transfer]]) -> Table:
    per_gib = (1 << 30) / size
    rows = []
    for program, runs in transfers.items():
        ratio = ratios([one.rate for one in transfers[OURS]], [one.rate for one in runs])
        rows.append(
            (
                program,
                Spread.of(one.rate for one in runs).show(),
                "1" if program == OURS else ratio.show(),
                format_number(Spread.of(one.first_s for one in runs).median, 2),
                Spread.of(one.seed_cpu_s * per_gib for one in runs).show(2),
                Spread.of(one.leecher_cpu_s * per_gib for one in runs).show(2),
                format_mib(max(one.seed_own for one in runs)),
                format_mib(max(one.leecher_own for one in runs)),
            )
        )
    columns = (
        "program",
        "MB/s",
        "ours over it",
        "first data after, s",
        "CPU s/GiB, seed",
        "CPU s/GiB, leecher",
        "own memory, seed",
        "own memory, leecher",
    )
    others = Spread.of(one.others for runs in transfers.values() for one in runs)
    note = f"Meanwhile others, this benchmark's own looking included, used {others.show(2)} of the machine's cores."
    return Table(f"One seed, one leecher, {format_mib(size)}", columns, tuple(rows), note)


def _crowd_table(crowds: list[CrowdResult], single: float, size: int) -> Table:
    ideal = LEECHERS * CROWD_SIZE / single / 1e6
    rows = [
        (
            str(turn),
            format_number(one.seconds),
            format_number(one.seconds / ideal),
            Spread.of(one.rates).show(),
            format_number(max(one.rates) / min(one.rates)),
            format_number(one.seed_cpu_s / (LEECHERS * CROWD_SIZE / (1 << 30))),
            format_mib(one.seed_own),
            format_mib(one.leecher_own),
        )
        for turn, one in enumerate(crowds, 1)
    ]
    columns = (
        "run",
        "all have it after, s",
        "over one after the other",
        "MB/s of each",
        "fastest over slowest",
        "CPU s/GiB, seed",
        "own memory, seed",
        "own memory, a leecher",
    )
    note = (
        f"One after the other: what {LEECHERS} times {format_mib(CROWD_SIZE)} take at the rate of one leecher with "
        f"{format_mib(size)} ({format_number(single)} MB/s). The {LEECHERS} are processes in one "
        "container; they connect to a seed that stands still, and all are timed from the moment when it goes on."
    )
    return Table(f"One seed, {LEECHERS} leechers at once, {format_mib(CROWD_SIZE)} each", columns, tuple(rows), note)


def _share_table(one: ShareResult) -> Table:
    row = (
        format_mib(one.size),
        format_number(one.seconds),
        format_number(one.size / one.seconds / 1e6),
        format_number(one.sha1sum_s),
        format_number(one.sha1sum_s / one.seconds),
        str(one.progress_events),
        format_mib(one.own),
    )
    columns = ("size", "a seed after, s", "MB/s", "sha1sum, s", "sha1sum over ours", "progress events", "own memory")
    return Table("Sharing a large file", columns, (row,), "A sparse file; the container's start is included.")


NOTES = """\
What is timed: from the moment when a running leecher is told of its seed until the file is verified and written.
For ours that is from its event `picked` to its event `completed`; the plain program prints its own times;
libtorrent's driver takes them around `add_torrent` (which names the seed's address) and `torrent_finished_alert`;
aria2 is handed the .torrent over its remote control, and its hook for a complete download takes the time. aria2 has
to find its seed through a tracker (ours) and looks at its peers once a second: the column "first data after" says
how much of its time that is. Seed and leecher are two containers on one bridge, neither pinned nor limited; files
are on a tmpfs that both see; every file that was received is compared with the seed's byte by byte afterwards.

CPU time is the whole container's, from its control group; a leecher's includes the start of its program (0.15 s for
ours, 0.05 s for the plain one). Own memory is the largest `RssAnon` seen: pages of files, mapped or cached, are not
in it.

"Plain Python" is the least that a transfer can be: one `sendfile`, one buffer, SHA-1 of each piece, `pwrite`, one
thread, no protocol (bench/programs/plain_peer.py).

**Where the time goes** (`perf`, 1 GiB over loopback, the leecher about 1.6 and the seed 0.4 CPU seconds). Leecher:
a third is SHA-1; two fifths are the kernel's, half of it the two copies of every byte (socket to piece, piece to
file); a fifth is the interpreter, a third of that the program's start; the C library's copying is down to 3 %.
Seed: three quarters are the kernel's, most of it `sendfile` and the timers by which BBR paces what is sent; the
interpreter has a fifth.

**What helped**: blocks of a whole piece between our own peers (half as many messages); a block's data received
where its piece is put together (the second copy was 11 % of the leecher's time); memory for a piece taken when its
first byte comes and used again while it is in the caches; sending until the socket is full instead of one span a
turn; asking for 12 MiB ahead instead of 4 (a quarter faster on a busy machine, where both ends wait for a
processor); two threads that hash and write what has come (with one, it set the pace: 770 MB/s instead of 900). Among
fifty leechers: waking up for 2 MiB at a time and not for each piece, and handing jobs to the disk's threads in lists
(each of the fifty finds the caches full of another's things when its turn comes; the leechers' CPU time went down by a
tenth here, by two fifths with all of them on loopback); sending to the poorest of those who can take something (the
fastest had 1.4 to 2.7 times the slowest one's rate before).

**What did not**: hashing in the loop's own thread (the same CPU time, a fifth less speed with a core free); asking
for many blocks at a time instead of one for each that comes; one large buffer instead of a place for each block, or
the other way round, as far as CPU time alone is concerned: what the copy cost, the kernel now waits for colder
memory; waking up for 4 MiB, or turns of 2 MiB for each of many; gathering those who can take something for twice as
long (fairer still, and a tenth of the time idle).
"""
