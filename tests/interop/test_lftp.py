"""lftp in a swarm with torrentnet's peers and tracker."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

from tests.interop.swarm import PEER_PORT

if TYPE_CHECKING:
    from tests.interop.swarm import Container, Swarm

NAME = "my file.bin"
DATA = random.Random(9).randbytes(3 * 1024 * 1024 + 12_345)
SHA_256 = hashlib.sha256(DATA).hexdigest()
PIECES = 13
DEADLINE = 60.0


def lftp(swarm: Swarm, node: str, torrent: bytes, *settings: str, files: dict[str, bytes] | None = None) -> Container:
    """Start lftp with a .torrent.

    It downloads the file into /data unless the file is there. It seeds in the background; without `wait all` the
    container would end.
    """
    given = ("torrent:use-dht no", f"torrent:port-range {PEER_PORT}", *settings)
    script = "".join(f"set {setting}; " for setting in given) + "torrent -O /data /data/it.torrent; wait all"
    return swarm.run(node, "lftp", "-c", script, files={"it.torrent": torrent, **(files or {})})


def share(swarm: Swarm) -> tuple[Container, bytes]:
    """Start torrentnet's seed; return it and its .torrent."""
    words = ("peer.py", "share", NAME, swarm.tracker_address, swarm.listen_address("seed"))
    seed = swarm.run("seed", *words, "--name", "seed", "--torrent", "/data/it.torrent", files={NAME: DATA})
    seed.until("state", state="seed")
    return seed, seed.read("/data/it.torrent")


def test_lftp_downloads_from_a_torrentnet_seed(swarm: Swarm) -> None:
    tracker = swarm.tracker()
    seed, torrent = share(swarm)
    client = lftp(swarm, "other", torrent)
    tracker.until("completed", file=NAME, address=client.endpoint, deadline=DEADLINE)
    assert client.digest(f"/data/{NAME}") == SHA_256
    assert int(seed.until("upload", deadline=DEADLINE)["bytes"]) >= len(DATA)


def test_a_torrentnet_leecher_downloads_by_name_from_lftp(swarm: Swarm) -> None:
    tracker = swarm.tracker()
    seed, torrent = share(swarm)
    client = lftp(swarm, "other", torrent, files={NAME: DATA})
    published = tracker.until("published", file=NAME, address=client.endpoint, deadline=DEADLINE)
    seed.interrupt()
    tracker.until("left", peer="seed")
    words = ("peer.py", "get", NAME, swarm.tracker_address, swarm.listen_address("leecher"))
    leecher = swarm.run("leecher", *words, "--name", "leecher")
    assert leecher.until("completed", deadline=DEADLINE)["sources"] == f"{published['peer']}:{PIECES}"
    assert leecher.digest(f"/data/{NAME}") == SHA_256
