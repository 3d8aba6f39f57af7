"""One seed, one leecher, nothing in between: how fast bytes get from disk to disk, and what that costs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.pictures import bars
from tests.bench.rig import MEMORY, Box, Rig, Sampler
from tests.bench.section import Answer, Context, Table
from tests.bench.spread import Spread, mib, number, ratios

NAME = "bytes"
TITLE = "The bytes: one seed, one leecher, and one seed with fifty"

MIB = 1 << 20
SIZES = (256 * MIB, 1024 * MIB)
QUICK_SIZES = (256 * MIB,)
TMPFS = 6 << 30
WARM = 3 << 30
"""Bytes of memory that are touched before anything is timed: a virtual machine's first touch of a page is slow."""
TRANSFER_S = 90.0
TRACKER_PORT, PEER_PORT = 6771, 6881
PROGRAMS = Path(__file__).parent / "programs"
OURS, PLAIN, LIBTORRENT, ARIA2 = "torrentnet", "plain Python", "libtorrent", "aria2"
COMPETITORS = (OURS, PLAIN, LIBTORRENT, ARIA2)
FILES = {OURS: "ours.bin", PLAIN: "plain.bin", LIBTORRENT: "libtorrent.bin", ARIA2: "aria2.bin"}


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer, from the leecher's being told of the seed to the file verified on disk."""

    seconds: float
    first_s: float
    """Until data began to flow, to 20 ms."""
    size: int
    seed_cpu_s: float
    leecher_cpu_s: float
    """The program's start included."""
    seed_own: int
    leecher_own: int

    @property
    def rate(self) -> float:
        """MB/s."""
        return self.size / self.seconds / 1e6


class Pair:
    """Seeds of all programs that wait for a leecher; leechers come and go."""

    def __init__(self, rig: Rig, image: str, size: int, files: Box) -> None:
        self._rig = rig
        self._image = image
        self._files = files
        self.size = size
        self._folder = f"{MEMORY}/{size}"
        self._tracker = self._start("tracker", "tracker.py", f"{{ip}}:{TRACKER_PORT}", "--keepalive", "500ms")
        self._tracker.until("listening")
        self._at = f"{self._tracker.ip}:{TRACKER_PORT}"
        words = ("python3", "/tmp/prepare.py", self._folder, str(size), self._at, *FILES.values())
        self._piece_length = int(files.run(*words))
        self._seeds = {program: self._seed(program) for program in COMPETITORS}

    def _start(self, name: str, *words: str, program: str = "") -> Box:
        address = self._rig.address()
        files = {program: (PROGRAMS / program).read_bytes()} if program else None
        command = [word.replace("{ip}", str(address)) for word in words]
        return self._rig.start(
            f"{name}-{self.size // MIB}", command, image_name=self._image, address=address, files=files
        )

    def _seed(self, program: str) -> Box:
        file = f"{self._folder}/{FILES[program]}"
        words: tuple[str, ...]
        if program == OURS:
            box = self._start("seed-ours", "peer.py", "share", file, self._at, f"{{ip}}:{PEER_PORT}")
            box.until("state", state="seed", deadline=TRANSFER_S)
        elif program == PLAIN:
            box = self._start(
                "seed-plain", "python3", "plain.py", "seed", file, "{ip}", str(PEER_PORT), program="plain.py"
            )
            box.until_text("ready", TRANSFER_S)
        elif program == LIBTORRENT:
            words = ("/usr/bin/python3", "libtorrent_peer.py", f"{file}.torrent", self._folder, f"{{ip}}:{PEER_PORT}")
            box = self._start("seed-libtorrent", *words, program="libtorrent_peer.py")
            box.until_text("ready", TRANSFER_S)
        else:
            words = ("aria2c", *ARIA2_OPTIONS, f"--listen-port={PEER_PORT}", f"--dir={self._folder}", f"{file}.torrent")
            box = self._start("seed-aria2", *words)
            self._tracker.until_text(f"{box.ip}:{PEER_PORT}", TRANSFER_S)
        return box

    def _leecher(self, program: str, target: str) -> Box:
        seed = self._seeds[program].ip
        file = f"{self._folder}/{FILES[program]}"
        words: tuple[str, ...]
        if program == OURS:
            words = ("peer.py", "get", FILES[program], self._at, f"{{ip}}:{PEER_PORT}", "--dir", target)
            return self._start("leecher-ours", *words)
        if program == PLAIN:
            words = ("plain.py", "get", seed, str(PEER_PORT), f"{target}/{FILES[program]}", f"{self._folder}/hashes")
            return self._start("leecher-plain", "python3", *words, str(self._piece_length), program="plain.py")
        if program == LIBTORRENT:
            words = ("libtorrent_peer.py", f"{file}.torrent", target, f"{{ip}}:{PEER_PORT}", f"{seed}:{PEER_PORT}")
            return self._start("leecher-libtorrent", "/usr/bin/python3", *words, program=words[0])
        words = ("aria2_peer.py", f"{file}.torrent", target, str(PEER_PORT))
        return self._start("leecher-aria2", "python3", *words, program=words[0])

    def transfer(self, program: str) -> Transfer:
        """Let a new leecher of that program fetch the file from its seed."""
        target = f"{self._folder}/got"
        self._files.run("mkdir", target)
        seed = self._seeds[program]
        before = seed.usage().cpu_s
        leecher = self._leecher(program, target)
        with Sampler([seed, leecher]) as sampler:
            begin, end, driver_cpu_s = _times(program, leecher)
        after, used = seed.usage().cpu_s, leecher.usage().cpu_s
        leecher.remove()
        self._files.run("cmp", f"{self._folder}/{FILES[program]}", f"{target}/{FILES[program]}")
        self._files.run("rm", "-r", target)
        return Transfer(
            seconds=end - begin,
            first_s=max(0.0, sampler.first_data.get(leecher.name, end) - begin),
            size=self.size,
            seed_cpu_s=after - before,
            leecher_cpu_s=used - driver_cpu_s,
            seed_own=sampler.own_bytes[seed.name],
            leecher_own=sampler.own_bytes[leecher.name],
        )

    def close(self) -> None:
        """Remove the seeds and the files."""
        for box in (*self._seeds.values(), self._tracker):
            box.remove()
        self._files.run("rm", "-r", self._folder)


ARIA2_OPTIONS = (
    "--no-conf",
    "--enable-peer-exchange=false",
    "--bt-enable-lpd=false",
    "--enable-dht=true",  # else it asks no UDP tracker
    "--enable-dht6=false",
    "--dht-file-path=/tmp/dht.dat",
    "--dht-listen-port=6882",
    "--bt-seed-unverified=true",
    "--bt-tracker-interval=5",
    "--summary-interval=0",
    "--seed-ratio=0.0",
)


def _times(program: str, leecher: Box) -> tuple[float, float, float]:
    """When the leecher was told of its seed, when it had the file, and what its driver has used (CPU s)."""
    if program == OURS:
        leecher.until("completed", deadline=TRANSFER_S)
        return leecher.named("picked")[0].time_s, leecher.named("completed")[0].time_s, 0.0
    told: dict[str, Any] = json.loads(leecher.until_text('{"begin"', TRANSFER_S))
    return told["begin"], told["end"], told.get("driver_cpu_s", 0.0)


def run(context: Context) -> Answer:
    """See :class:`tests.bench.section.Section`."""
    sizes = QUICK_SIZES if context.quick else SIZES
    measured: dict[int, dict[str, list[Transfer]]] = {}
    with Rig(context.say) as rig:
        image = rig.clients_image()
        files = rig.memory(image, TMPFS)
        files.run("sh", "-c", f"cat >/tmp/prepare.py <<'END'\n{(PROGRAMS / 'prepare.py').read_text('utf-8')}END")
        context.say(f"touching {mib(WARM)} of memory")
        files.run("sh", "-c", f"head -c {WARM} /dev/zero >{MEMORY}/warm && rm {MEMORY}/warm")
        for size in sizes:
            context.say(f"seeds of {', '.join(COMPETITORS)} with {mib(size)}")
            pair = Pair(rig, image, size, files)
            measured[size] = _measure(context, pair)
            pair.close()
    tables = [_table(size, transfers) for size, transfers in measured.items()]
    rates = {program: [[one.rate for one in measured[size][program]] for size in sizes] for program in COMPETITORS}
    plot = bars(context.pictures, "bytes-rate", "MB/s, file to file", [mib(size) for size in sizes], rates)
    raw = {
        mib(size): {program: [_raw(one) for one in runs] for program, runs in transfers.items()}
        for size, transfers in measured.items()
    }
    return Answer(tuple(tables), (plot,), raw, NOTES)


def _measure(context: Context, pair: Pair) -> dict[str, list[Transfer]]:
    transfers: dict[str, list[Transfer]] = {program: [] for program in COMPETITORS}
    for number_ in range(context.runs):
        # Whoever was first is last in the next round.
        order = COMPETITORS[number_ % len(COMPETITORS) :] + COMPETITORS[: number_ % len(COMPETITORS)]
        for program in order:
            one = pair.transfer(program)
            transfers[program].append(one)
        rates = ", ".join(f"{program} {transfers[program][-1].rate:.0f}" for program in COMPETITORS)
        context.say(f"{mib(pair.size)}, run {number_ + 1} of {context.runs}, MB/s: {rates}")
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
                number(Spread.of(one.first_s for one in runs).median, 2),
                number(Spread.of(one.seed_cpu_s * per_gib for one in runs).median),
                number(Spread.of(one.leecher_cpu_s * per_gib for one in runs).median),
                mib(max(one.seed_own for one in runs)),
                mib(max(one.leecher_own for one in runs)),
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
    return Table(f"One seed, one leecher, {mib(size)}", columns, tuple(rows))


def _raw(one: Transfer) -> dict[str, float]:
    return {field: getattr(one, field) for field in Transfer.__slots__} | {"rate": one.rate}


NOTES = ""
