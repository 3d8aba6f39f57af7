"""One seed of ours with many leechers at once; and a large file that is shared."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bench.rig.containers import MEMORY, Sampler
from bench.sections.bytes_pair import MIB, PEER_PORT, TRACKER_PORT, TRANSFER_S

if TYPE_CHECKING:
    from bench.sections.bytes_pair import BytesRig

LEECHERS = 50
CROWD_SIZE = 64 * MIB
FIRST_PORT = 7000
SHA1SUM = ("sh", "-c", "sha1sum {} >/dev/null")


@dataclass(frozen=True, slots=True)
class CrowdResult:
    """How one seed served many."""

    size: int
    ends: tuple[float, ...]
    """When each leecher had the file, seconds after the seed began to serve."""
    seed_cpu_s: float
    seed_own: int
    leecher_own: int
    """The largest leecher's."""

    @property
    def rates(self) -> tuple[float, ...]:
        """MB/s of each leecher."""
        return tuple(self.size / end / 1e6 for end in self.ends)

    @property
    def seconds(self) -> float:
        """Until the last one had the file."""
        return max(self.ends)

    def fields(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def measure_crowd(field: BytesRig, run: int) -> CrowdResult:
    """Measure a transfer from one seed to :data:`LEECHERS` leechers at once.

    The leechers find the seed while it is paused. All of them begin when the seed is resumed.

    Meanwhile, the kernel accepts their connections.
    """
    folder = f"{MEMORY}/crowd"
    # The seed says nothing while it stands still, and is not to be forgotten for it.
    tracker = field.tracker(f"tracker-crowd-{run}", "1s", "3m")
    at = f"{tracker.ip}:{TRACKER_PORT}"
    field.prepare(folder, CROWD_SIZE, at, "crowd.bin")
    seed = field.start(f"seed-crowd-{run}", "peer.py", "share", f"{folder}/crowd.bin", at, f"{{ip}}:{PEER_PORT}")
    seed.until("state", state="seed", deadline=TRANSFER_S)
    seed.pause()
    words = ("leechers.py", str(LEECHERS), "crowd.bin", at, "{ip}", str(FIRST_PORT), f"{folder}/got")
    leechers = field.start(f"crowd-{run}", "python3", *words, program=words[0])
    leechers.until_text("ready", TRANSFER_S)
    before = seed.usage().cpu_s
    begin = time.time()
    seed.resume()
    with Sampler([seed]) as sampler:
        rows = json.loads(leechers.until_text('{"ends"', TRANSFER_S))["ends"]
    used = seed.usage().cpu_s - before
    for number in range(LEECHERS):
        field.files.run("cmp", f"{folder}/crowd.bin", f"{folder}/got/{number}/crowd.bin")
    for box in (leechers, seed, tracker):
        box.remove()
    field.files.run("rm", "-r", folder)
    return CrowdResult(
        size=CROWD_SIZE,
        ends=tuple(end - begin for end, _ in rows),
        seed_cpu_s=used,
        seed_own=sampler.own_bytes[seed.name],
        leecher_own=max(own for _, own in rows),
    )


@dataclass(frozen=True, slots=True)
class ShareResult:
    """How a large file was hashed to be shared, beside sha1sum on one core."""

    size: int
    seconds: float
    """From the program's start to its being a seed."""
    sha1sum_s: float
    progress_events: int
    own: int

    def fields(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def measure_share(field: BytesRig, size: int) -> ShareResult:
    """Measure how a seed shares a sparse file of ``size`` bytes.

    Reading the file costs as much as if it had content, and the file occupies no memory.
    """
    file = f"{MEMORY}/large.bin"
    field.files.run("truncate", "--size", str(size), file)
    began = time.monotonic()
    field.files.run(*(word.format(file) for word in SHA1SUM))
    sha1sum_s = time.monotonic() - began
    tracker = field.tracker("tracker-large", "500ms")
    began = time.monotonic()
    seed = field.start("seed-large", "peer.py", "share", file, f"{tracker.ip}:{TRACKER_PORT}", f"{{ip}}:{PEER_PORT}")
    with Sampler([seed]) as sampler:
        seed.until("state", state="seed", deadline=TRANSFER_S)
    seconds = time.monotonic() - began
    told = len(seed.named("hashing"))
    seed.remove()
    tracker.remove()
    field.files.run("rm", file)
    return ShareResult(size, seconds, sha1sum_s, told, sampler.own_bytes["seed-large"])
