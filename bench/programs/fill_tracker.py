"""The memory that a tracker's core uses for each peer.

Usage: ``fill_tracker.py PEERS SWARMS NAMED``. Runs in a container of its own and prints one JSON object.

PEERS peers are in SWARMS swarms, and half of them are seeds. With NAMED 1, they use this project's extension and send
their names. The packets are real and are handled by the core as usual; journal and log are off.
"""

from __future__ import annotations

import gc
import json
import random
import socket
import sys
import time
from pathlib import Path

from torrentnet.tracker.core import Core
from torrentnet.tracker.main import release_large_blocks
from torrentnet.tracker.settings import Limits, TrackerSettings
from torrentnet.wire.udp.connection_id import ConnectionIds
from torrentnet.wire.udp.packets import AnnounceEvent, AnnounceRequest, pack_announce
from torrentnet.wire.udp.url_data import Publication, pack_publication

SIZE, PIECE = 1 << 20, 1 << 18


def resident() -> int:
    """Bytes of this process's own memory (``RssAnon``)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def main(peers: int, swarms: int, named: bool) -> None:
    """Fill a core and print what that took."""
    most = 4 * peers
    release_large_blocks()
    core = Core(
        TrackerSettings(),
        ConnectionIds(bytes(32), 0.0),
        emit=lambda *_, **__: None,
        emit_lines=lambda _: None,
        write=lambda _: None,
        wall_clock=time.time,
        random=random.Random(1),
        limits=Limits(holders=most, holders_per_swarm=most, holders_per_ip=most, swarms_per_ip=most),
    )
    gc.collect()
    before, began = resident(), time.monotonic()
    ids: dict[str, int] = {}
    for number in range(peers):
        swarm, mate = number % swarms, number // swarms
        ip = socket.inet_ntoa((0x0A000000 + mate // 50_000).to_bytes(4, "big"))
        options = b""
        if named:
            publication = Publication(f"file-{swarm:05}.bin", SIZE, PIECE, f"peer-{number:07}", extended=True)
            options = pack_publication(publication)
        if ip not in ids:
            ids[ip] = core.ids.issue(ip, 0.0)
        announce = AnnounceRequest(
            ids[ip],
            number,
            swarm.to_bytes(20, "big"),
            b"-LG0100-" + number.to_bytes(12, "big"),
            0,
            number % 2 * SIZE,
            0,
            AnnounceEvent.STARTED,
            0,
            0,
            0,
            1024 + mate % 50_000,
            options,
        )
        core.handle(pack_announce(announce), (ip, 40_000), 0.0)
    assert len(core.registry) == peers, core.refusals.counts
    took = time.monotonic() - began
    gc.collect()
    print(json.dumps({"peers": peers, "bytes": (resident() - before) / peers, "seconds": took}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1")
