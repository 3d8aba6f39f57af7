"""aria2 in a swarm with torrentnet's peers and tracker."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest

from tests.interop.swarm import ARIA

if TYPE_CHECKING:
    from tests.interop.swarm import Container, Swarm

NAME = "my file.bin"
DATA = random.Random(7).randbytes(3 * 1024 * 1024 + 12_345)
SHA_256 = hashlib.sha256(DATA).hexdigest()
PIECES = 13


def share(swarm: Swarm) -> tuple[Container, str, bytes]:
    """Start torrentnet's seed; return it, its magnet link and its .torrent."""
    words = ("peer.py", "share", NAME, swarm.tracker_address, swarm.listen_address("seed"))
    seed = swarm.run("seed", *words, "--name", "seed", "--torrent", "/data/it.torrent", files={NAME: DATA})
    seed.until("state", state="seed")
    return seed, seed.until("magnet")["link"], seed.read("/data/it.torrent")


@pytest.mark.parametrize("how", ["torrent", "magnet"])
def test_aria2_downloads_from_a_torrentnet_seed(swarm: Swarm, how: str) -> None:
    tracker = swarm.tracker()
    seed, magnet, torrent = share(swarm)
    source = "/data/it.torrent" if how == "torrent" else magnet
    aria = swarm.run("aria", *ARIA, "--seed-time=0", source, files={"it.torrent": torrent})
    assert aria.ended() == 0, "\n".join(aria.lines)
    assert aria.digest(f"/data/{NAME}") == SHA_256
    # The tracker names a foreign client after its peer id.
    joined = tracker.until("joined", file=NAME, address=aria.endpoint)
    assert joined["peer"].startswith("aria2-")
    tracker.until("left", file=NAME, address=aria.endpoint)
    assert int(seed.until("upload")["bytes"]) >= len(DATA)


def test_a_torrentnet_leecher_downloads_by_name_from_aria2(swarm: Swarm) -> None:
    tracker = swarm.tracker()
    seed, _, torrent = share(swarm)
    files = {"it.torrent": torrent, NAME: DATA}
    aria = swarm.run("aria", *ARIA, "--check-integrity=true", "--seed-ratio=0.0", "/data/it.torrent", files=files)
    published = tracker.until("published", file=NAME, address=aria.endpoint, deadline=60.0)
    assert published["peer"].startswith("aria2-")
    seed.interrupt()
    tracker.until("left", peer="seed")

    words = ("peer.py", "get", NAME, swarm.tracker_address, swarm.listen_address("leecher"))
    leecher = swarm.run("leecher", *words, "--name", "leecher")
    picked = leecher.until("picked")
    assert (picked["peer"], picked["among"]) == (published["peer"], "1")
    completed = leecher.until("completed", deadline=60.0)
    assert completed["sources"] == f"{published['peer']}:{PIECES}"
    leecher.until("state", state="seed")
    assert leecher.digest(f"/data/{NAME}") == SHA_256
    outcome = tracker.until("outcome", peer="leecher")
    assert (outcome["result"], outcome["from"], outcome["bytes"]) == ("succeeded", published["peer"], str(len(DATA)))
    tracker.until("completed", peer="leecher")


def test_a_file_is_passed_on_by_each_client(swarm: Swarm) -> None:
    """The file goes from torrentnet to aria2, to torrentnet, to torrentnet.

    Each time, the previous peer is the only seed.
    """
    tracker = swarm.tracker()
    seed, magnet, _ = share(swarm)
    aria = swarm.run("aria", *ARIA, "--seed-ratio=0.0", magnet)
    tracker.until("completed", file=NAME, address=aria.endpoint, deadline=60.0)
    seed.interrupt()
    tracker.until("left", peer="seed")
    words = ("peer.py", "get", NAME, swarm.tracker_address)
    first = swarm.run("leecher", *words, swarm.listen_address("leecher"), "--name", "first")
    first.until("state", state="seed", deadline=60.0)
    aria.interrupt()
    tracker.until("left", file=NAME, address=aria.endpoint)
    second = swarm.run("other", *words, swarm.listen_address("other"), "--name", "second")
    assert second.until("completed", deadline=60.0)["sources"] == f"first:{PIECES}"
    second.until("state", state="seed")
    assert second.digest(f"/data/{NAME}") == SHA_256
