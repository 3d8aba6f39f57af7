"""Transfers from one seed to one leecher of each program, in containers.

The files are in memory at both ends.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.programs import PROGRAMS
from bench.rig.containers import MEMORY, Container, Rig, Sampler
from bench.rig.idle import busy_seconds

if TYPE_CHECKING:
    from ipaddress import IPv4Address

MIB = 1 << 20
TRANSFER_S = 90.0
TRACKER_PORT, PEER_PORT = 6771, 6881
OURS, PLAIN, LIBTORRENT, ARIA2 = "torrentnet", "plain Python", "libtorrent", "aria2"
COMPETITORS = (OURS, PLAIN, LIBTORRENT, ARIA2)
FILES = {OURS: "ours.bin", PLAIN: "plain.bin", LIBTORRENT: "libtorrent.bin", ARIA2: "aria2.bin"}
ARIA2_SEED = (
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


@dataclass(frozen=True, slots=True)
class Transfer:
    """The results of one transfer.

    The transfer begins when the leecher learns of the seed, and ends when the file is verified on disk.
    """

    seconds: float
    first_s: float
    """Until data began to flow, to 20 ms."""
    size: int
    seed_cpu_s: float
    leecher_cpu_s: float
    """The program's start included."""
    seed_own: int
    leecher_own: int
    others: float
    """Cores that somebody else used meanwhile, the benchmark itself included."""

    @property
    def rate(self) -> float:
        """MB/s."""
        return self.size / self.seconds / 1e6

    def fields(self) -> dict[str, float]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__} | {"rate": self.rate}


class BytesRig:
    """The rig with what all transfers share.

    That is the image, the files in memory, and a tracker.
    """

    def __init__(self, rig: Rig, image: str, memory: int) -> None:
        self._rig = rig
        self.image = image
        self.files = rig.memory(image, memory)
        # A file of the volume, because a container's own root may be read-only one day.
        prepare = (PROGRAMS / "make_files.py").read_text(encoding="utf-8")
        self.files.run("sh", "-c", f"cat >/tmp/make_files.py <<'END'\n{prepare}END")

    def start(self, name: str, *words: str, program: str = "", address: IPv4Address | None = None) -> Container:
        """Start a container.

        ``{ip}`` in ``words`` is replaced by its address. ``program`` is one of :data:`PROGRAMS`.
        """
        where = address or self._rig.address()
        files = {program: (PROGRAMS / program).read_bytes()} if program else None
        command = [word.replace("{ip}", str(where)) for word in words]
        return self._rig.start(name, command, image_name=self.image, address=where, files=files)

    def tracker(self, name: str, keepalive: str, timeout: str = "15s") -> Container:
        """tracker.py, listening."""
        options = ("--keepalive", keepalive, "--timeout", timeout)
        box = self.start(name, "tracker.py", f"{{ip}}:{TRACKER_PORT}", *options)
        box.until("listening")
        return box

    def prepare(self, folder: str, size: int, tracker: str, *names: str) -> int:
        """Make a file under several names; gives the piece length."""
        return int(self.files.run("python3", "/tmp/make_files.py", folder, str(size), tracker, *names))


class WaitingSeeds:
    """Seeds of all programs that wait for a leecher; leechers come and go."""

    def __init__(self, field: BytesRig, size: int) -> None:
        self._field = field
        self.size = size
        self._folder = f"{MEMORY}/{size}"
        self._tracker = field.tracker(self._name("tracker"), "500ms")
        self._at = f"{self._tracker.ip}:{TRACKER_PORT}"
        self._piece_length = field.prepare(self._folder, size, self._at, *FILES.values())
        self._seeds = {program: self._seed(program) for program in COMPETITORS}

    def _name(self, what: str) -> str:
        return f"{what}-{self.size // MIB}"

    def _seed(self, program: str) -> Container:
        file = f"{self._folder}/{FILES[program]}"
        words: tuple[str, ...]
        if program == OURS:
            words = ("peer.py", "share", file, self._at, f"{{ip}}:{PEER_PORT}")
            box = self._field.start(self._name("seed-ours"), *words)
            box.until("state", state="seed", deadline=TRANSFER_S)
        elif program == PLAIN:
            words = ("plain_peer.py", "seed", file, "{ip}", str(PEER_PORT))
            box = self._field.start(self._name("seed-plain"), "python3", *words, program=words[0])
            box.until_text("ready", TRANSFER_S)
        elif program == LIBTORRENT:
            words = ("libtorrent_peer.py", f"{file}.torrent", self._folder, f"{{ip}}:{PEER_PORT}")
            box = self._field.start(self._name("seed-libtorrent"), "/usr/bin/python3", *words, program=words[0])
            box.until_text("ready", TRANSFER_S)
        else:
            words = (*ARIA2_SEED, f"--listen-port={PEER_PORT}", f"--dir={self._folder}", f"{file}.torrent")
            box = self._field.start(self._name("seed-aria2"), "aria2c", *words)
            self._tracker.until_text(f"{box.ip}:{PEER_PORT}", TRANSFER_S)
        return box

    def _leecher(self, program: str, target: str) -> Container:
        seed = self._seeds[program].ip
        file = f"{self._folder}/{FILES[program]}"
        words: tuple[str, ...]
        if program == OURS:
            words = ("peer.py", "get", FILES[program], self._at, f"{{ip}}:{PEER_PORT}", "--dir", target)
            return self._field.start(self._name("leecher-ours"), *words)
        if program == PLAIN:
            files = (f"{target}/{FILES[program]}", f"{self._folder}/hashes")
            words = ("plain_peer.py", "get", seed, str(PEER_PORT), *files, str(self._piece_length))
            return self._field.start(self._name("leecher-plain"), "python3", *words, program=words[0])
        if program == LIBTORRENT:
            words = ("libtorrent_peer.py", f"{file}.torrent", target, f"{{ip}}:{PEER_PORT}", f"{seed}:{PEER_PORT}")
            return self._field.start(self._name("leecher-libtorrent"), "/usr/bin/python3", *words, program=words[0])
        words = ("aria2_peer.py", f"{file}.torrent", target, str(PEER_PORT))
        return self._field.start(self._name("leecher-aria2"), "python3", *words, program=words[0])

    def transfer(self, program: str) -> Transfer:
        """Let a new leecher of the program download the file from its seed.

        The received file is compared byte by byte.
        """
        target = f"{self._folder}/got"
        files = self._field.files
        files.run("mkdir", target)
        seed = self._seeds[program]
        seed_before, busy_before = seed.usage().cpu_s, busy_seconds()
        leecher = self._leecher(program, target)
        with Sampler([seed, leecher]) as sampler:
            begin, end, driver_cpu_s = _times(program, leecher)
        seed_cpu_s, used, busy_s = seed.usage().cpu_s - seed_before, leecher.usage().cpu_s, busy_seconds() - busy_before
        if program == OURS:
            # The next one would be sent to it as well as to the seed.
            leecher.leave()
        leecher.remove()
        files.run("cmp", f"{self._folder}/{FILES[program]}", f"{target}/{FILES[program]}")
        files.run("rm", "-r", target)
        return Transfer(
            seconds=end - begin,
            first_s=max(0.0, sampler.first_data.get(leecher.name, end) - begin),
            size=self.size,
            seed_cpu_s=seed_cpu_s,
            leecher_cpu_s=used - driver_cpu_s,
            seed_own=sampler.own_bytes[seed.name],
            leecher_own=sampler.own_bytes[leecher.name],
            others=max(0.0, busy_s - seed_cpu_s - used) / sampler.seconds,
        )

    def close(self) -> None:
        """Remove the seeds and the files."""
        for box in (*self._seeds.values(), self._tracker):
            box.remove()
        self._field.files.run("rm", "-r", self._folder)


def _times(program: str, leecher: Container) -> tuple[float, float, float]:
    """Return a transfer's begin and end, and its driver's CPU seconds.

    The transfer begins when the leecher learns of its seed, and ends when it has the file.
    """
    if program == OURS:
        leecher.until("completed", deadline=TRANSFER_S)
        return leecher.named("picked")[0].time, leecher.named("completed")[0].time, 0.0
    told: dict[str, Any] = json.loads(leecher.until_text('{"begin"', TRANSFER_S))
    return told["begin"], told["end"], told.get("driver_cpu_s", 0.0)
