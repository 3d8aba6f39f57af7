"""Seeds and trackers that lie, drip, refuse or fail."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from tests.hostile.peer.rig import FakeSeed, LyingTracker, Wire, info_for, requests, welcome
from tests.loopback.programs import ANYWHERE, PEER, digest, make_file
from torrentnet.wire.metainfo import torrent_with_url
from torrentnet.wire.peer.messages import Bitfield, HaveAll, Reject, Unchoke, pack_block_head
from torrentnet.wire.udp.packets import Action

if TYPE_CHECKING:
    from pathlib import Path

    from tests.loopback.programs import Loopback, Program
    from torrentnet.wire.peer.messages import Request

PIECES = 8
PIECE = 32 * 1024
SIZE = PIECES * PIECE
STRATEGIES = ["single", "swarm"]


def give(wire: Wire, data: bytes, request: Request) -> None:
    """Answer a request with the right bytes."""
    offset = request.piece * PIECE + request.begin
    wire.block(request.piece, request.begin, data[offset : offset + request.length])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_only_seed_sends_one_byte_at_a_time(
    loopback: Loopback, liar: LyingTracker, tmp_path: Path, strategy: str
) -> None:
    data, info = info_for(SIZE)
    over = threading.Event()

    def serve(wire: Wire) -> None:
        welcome(wire, info)
        request = next(requests(wire, info))
        wire.raw(pack_block_head(request.piece, request.begin, request.length))
        for number in range(1_000):
            wire.raw(data[number : number + 1])
            if over.wait(0.1):
                return

    with FakeSeed(serve) as seed:
        liar.lists(info, seed)
        options = ("--strategy", strategy, "--give-up", "1500ms", "--min-rate", "1B/s")
        leecher = loopback.start(PEER, "get", "myfile.txt", liar.address, ANYWHERE, "--dir", tmp_path, *options)
        assert leecher.wait() == 1
        over.set()
    source = "seed-0" if strategy == "single" else str(seed.endpoint)
    assert leecher.errors[0].endswith("sends too little; gave up after 1.5 s without a new piece")
    assert source in leecher.errors[0] or "seed-0" in leecher.errors[0]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_tracker_error_does_not_end_a_download(
    loopback: Loopback, liar: LyingTracker, tmp_path: Path, strategy: str
) -> None:
    data, info = info_for(SIZE)

    def serve(wire: Wire) -> None:
        welcome(wire, info)
        for number, request in enumerate(requests(wire, info)):
            if number == 4:
                liar.refuse[Action.ANNOUNCE] = "please come back later"
                leecher.until("tracker_refused", reason="please come back later")
            give(wire, data, request)

    with FakeSeed(serve) as seed:
        liar.lists(info, seed)
        words = ("get", "myfile.txt", liar.address, ANYWHERE, "--dir", tmp_path, "--strategy", strategy)
        leecher = loopback.start(PEER, *words)
        leecher.until("completed")
    assert (tmp_path / "myfile.txt").read_bytes() == data
    assert leecher.process.poll() is None


def test_a_refused_lookup_is_asked_again(loopback: Loopback, liar: LyingTracker, tmp_path: Path) -> None:
    data, info = info_for(SIZE)

    def serve(wire: Wire) -> None:
        welcome(wire, info)
        for request in requests(wire, info):
            give(wire, data, request)

    with FakeSeed(serve) as seed:
        liar.lists(info, seed)
        liar.refuse[Action.LOOKUP] = "the tracker is full"
        leecher = loopback.start(PEER, "get", "myfile.txt", liar.address, ANYWHERE, "--dir", tmp_path)
        leecher.until("tracker_refused", reason="the tracker is full")
        liar.refuse.clear()
        leecher.until("completed")
    assert (tmp_path / "myfile.txt").read_bytes() == data


def test_a_tracker_that_refuses_for_good_is_named_in_the_end(
    loopback: Loopback, liar: LyingTracker, tmp_path: Path
) -> None:
    liar.refuse = {Action.LOOKUP: "the tracker is full", Action.ANNOUNCE: "not authorized"}
    source = make_file(tmp_path / "myfile.txt", 100)
    (tmp_path / "there").mkdir()
    end = ("--give-up", "700ms")
    leecher = loopback.start(PEER, "get", "myfile.txt", liar.address, ANYWHERE, "--dir", tmp_path / "there", *end)
    seed = loopback.start(PEER, "share", source, liar.address, ANYWHERE, *end)
    assert (leecher.wait(), seed.wait()) == (1, 1)
    assert leecher.errors == [
        "peer.py: error: the tracker refused: the tracker is full; gave up after 0.7 s without a new piece"
    ]
    assert seed.errors == ["peer.py: error: the tracker refused 'myfile.txt': not authorized; gave up after 0.7 s"]


@pytest.mark.parametrize("size", [1 << 62, (1 << 64) - 1], ids=["2**62", "2**64-1"])
def test_an_absurd_size_from_the_tracker_takes_no_memory(
    loopback: Loopback, liar: LyingTracker, tmp_path: Path, size: int
) -> None:
    """A bit for each piece would take 2**59 bytes: the answer counts as none."""
    _, info = info_for(SIZE)
    liar.lists(info)
    liar.size, liar.piece_length = size, 1
    end = ("--give-up", "700ms")
    leecher = loopback.start(PEER, "get", "myfile.txt", liar.address, ANYWHERE, "--dir", tmp_path, *end)
    assert leecher.wait() == 1
    assert leecher.errors == ["peer.py: error: the tracker does not answer; gave up after 0.7 s without a new piece"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_whole_public_file_is_seeded_at_once(loopback: Loopback, tmp_path: Path, strategy: str) -> None:
    """The peer is started again beside its file; nobody else has the file."""
    source = make_file(tmp_path / "myfile.txt", SIZE)
    tracker, torrent = loopback.tracker(), tmp_path / "it.torrent"
    first = loopback.share(source, tracker, "--public", "--torrent", torrent)
    first.end()
    again = loopback.get("myfile.txt", tracker, tmp_path, "--torrent", torrent, "--strategy", strategy)
    assert again.until("completed")["sources"] == "disk"
    again.until("state", state="seed")


def test_a_torrent_beside_another_file_of_its_name_is_refused(
    loopback: Loopback, liar: LyingTracker, tmp_path: Path
) -> None:
    _, info = info_for(SIZE)
    (tmp_path / "it.torrent").write_bytes(torrent_with_url(info, None))
    make_file(tmp_path / "myfile.txt", SIZE, seed=99)
    before = digest(tmp_path / "myfile.txt")
    liar.lists(info)
    torrent = ("--torrent", tmp_path / "it.torrent")
    leecher = loopback.start(PEER, "get", "myfile.txt", liar.address, ANYWHERE, "--dir", tmp_path, *torrent)
    assert leecher.wait() == 1
    assert leecher.errors[0] == f"peer.py: error: {tmp_path / 'myfile.txt'} already exists with different content"
    assert digest(tmp_path / "myfile.txt") == before


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_wrong_size_at_the_tracker_does_not_refuse_the_right_file(
    loopback: Loopback, liar: LyingTracker, tmp_path: Path, strategy: str
) -> None:
    data, info = info_for(SIZE)
    (tmp_path / "myfile.txt").write_bytes(data)

    def serve(wire: Wire) -> None:
        welcome(wire, info)
        for request in requests(wire, info):
            give(wire, data, request)

    with FakeSeed(serve) as seed:
        liar.lists(info, seed)
        liar.size, liar.piece_length = SIZE + 5, 2 * PIECE
        words = ("get", "myfile.txt", liar.address, ANYWHERE, "--dir", tmp_path, "--strategy", strategy)
        loopback.start(PEER, *words, "--give-up", "30s").until("state", state="seed")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_full_queue_at_the_seed_does_not_lose_the_seed(
    loopback: Loopback, liar: LyingTracker, tmp_path: Path, strategy: str
) -> None:
    data, info = info_for(64 * PIECE)
    rejecting: set[tuple[int, int]] = set()

    def serve(wire: Wire) -> None:
        welcome(wire, info)
        for number, request in enumerate(requests(wire, info)):
            key = request.piece, request.begin
            if number % 5 == 4 and key not in rejecting:
                rejecting.add(key)
                wire.say(Reject(*request))
            else:
                give(wire, data, request)

    with FakeSeed(serve) as seed:
        liar.lists(info, seed)
        words = ("get", "myfile.txt", liar.address, ANYWHERE, "--dir", tmp_path, "--strategy", strategy)
        leecher = loopback.start(PEER, *words)
        leecher.until("completed")
        assert seed.connections == 1
    assert rejecting
    assert leecher.named("source_lost") == []
    assert (tmp_path / "myfile.txt").read_bytes() == data


@pytest.mark.parametrize(
    ("strategy", "says"), [("single", HaveAll()), ("single", Bitfield(b"\xc0")), ("swarm", HaveAll())]
)
def test_a_seed_that_has_connected_refuses_a_second_connection(
    loopback: Loopback, liar: LyingTracker, tmp_path: Path, strategy: str, says: HaveAll | Bitfield
) -> None:
    """The seed got the file while it was connected here, as rTorrent does.

    It may not have announced all pieces.
    """
    data, info = info_for(SIZE)
    leecher_process: list[Program] = []
    started, disconnected = threading.Event(), threading.Event()

    def serve(wire: Wire) -> None:
        if own and not disconnected.is_set():
            return wire.sock.close()
        welcome(wire, info)
        for number, request in enumerate(requests(wire, info)):
            if number == 1 and not own:
                started.wait()
                own.append(Wire.greet(leecher_process[0], info.info_hash, b"-lt0D80-fake-seed---"))
                own[0].say(says)
                threading.Thread(target=use, args=(own[0],), daemon=True).start()
                return wire.sock.close()
            give(wire, data, request)
        return None

    def use(wire: Wire) -> None:
        """Give what a swarm's leecher requests over the seed's connection."""
        with contextlib.suppress(OSError):
            wire.say(Unchoke())
            for request in requests(wire, info):
                give(wire, data, request)
        disconnected.set()

    own: list[Wire] = []
    with FakeSeed(serve) as seed:
        liar.lists(info, seed)
        words = ("get", "myfile.txt", liar.address, ANYWHERE, "--dir", tmp_path, "--strategy", strategy)
        leecher_process.append(loopback.start(PEER, *words, "--give-up", "20s"))
        started.set()
        leecher_process[0].until("completed")
    own[0].sock.close()
    assert (tmp_path / "myfile.txt").read_bytes() == data


def test_a_seed_that_rejects_everything_is_left(loopback: Loopback, liar: LyingTracker, tmp_path: Path) -> None:
    _, info = info_for(SIZE)

    def serve(wire: Wire) -> None:
        welcome(wire, info)
        for request in requests(wire, info):
            wire.say(Reject(*request))

    with FakeSeed(serve) as seed:
        liar.lists(info, seed)
        end = ("--give-up", "1s")
        leecher = loopback.start(PEER, "get", "myfile.txt", liar.address, ANYWHERE, "--dir", tmp_path, *end)
        assert leecher.wait() == 1
    assert leecher.until("source_lost")["reason"].startswith("refused a block of piece ")
