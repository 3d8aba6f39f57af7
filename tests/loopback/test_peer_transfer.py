"""Complete transfers with the real programs."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from tests.loopback.programs import ANYWHERE, PEER, TRACKER, digest, make_file
from torrentnet.wire import bencode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.loopback.programs import Loopback

MIB = 1024 * 1024
PIECE = 256 * 1024


def test_the_three_terminals(loopback: Loopback, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    source = make_file(here / "myfile.txt", 3 * MIB + 5)
    tracker = loopback.start(TRACKER, ANYWHERE)
    seed = loopback.start(PEER, "share", "myfile.txt", tracker.address, ANYWHERE, cwd=here)
    published = seed.until("published")
    assert published["size"] == str(source.stat().st_size)
    assert published["pieces"] == "13"
    leecher = loopback.start(PEER, "get", "myfile.txt", tracker.address, ANYWHERE, cwd=there)
    completed = leecher.until("completed")
    seed_name = seed.until("listening")["name"]
    assert completed["bytes"] == str(source.stat().st_size)
    assert completed["sources"] == f"{seed_name}:13"
    leecher.until("state", state="seed")
    assert [event.fields["state"] for event in leecher.named("state")] == ["get", "seed"]
    assert digest(there / "myfile.txt") == digest(source)
    assert not (there / "myfile.txt.part").exists()
    leecher_name = leecher.until("listening")["name"]
    tracker.until("completed", file="myfile.txt", peer=leecher_name)
    tracker.until("outcome", peer=leecher_name, result="succeeded", from_=seed_name, bytes=source.stat().st_size)
    status, lines, _ = loopback.ask(tracker, "request", "logs")
    assert status == 0
    assert any("myfile.txt" in line and leecher_name in line and seed_name in line for line in lines)


def test_a_leecher_serves_the_next_one_after_the_seed_has_gone(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", 2 * MIB)
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--name", "seed")
    first = loopback.get("myfile.txt", tracker, tmp_path / "1", "--name", "first")
    first.until("state", state="seed")
    tracker.until("completed", peer="first")
    seed.process.terminate()
    tracker.until("left", peer="seed")
    second = loopback.get("myfile.txt", tracker, tmp_path / "2", "--name", "second")
    assert second.until("picked")["among"] == "1"
    assert second.until("completed")["sources"] == "first:8"
    assert digest(tmp_path / "2" / "myfile.txt") == digest(source)


@pytest.mark.parametrize(("size", "pieces"), [(0, 0), (1, 1), (PIECE - 1, 1), (PIECE, 1), (PIECE + 1, 2)], ids=str)
def test_sizes_at_the_edge(loopback: Loopback, tmp_path: Path, size: int, pieces: int) -> None:
    source = make_file(tmp_path / "edge.bin", size)
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--name", "seed")
    assert seed.until("published")["pieces"] == str(pieces)
    leecher = loopback.get("edge.bin", tracker, tmp_path / "there", "--name", "leecher")
    leecher.until("state", state="seed")
    assert (tmp_path / "there" / "edge.bin").read_bytes() == source.read_bytes()
    outcome = tracker.until("outcome", peer="leecher", result="succeeded")
    assert outcome["bytes"] == str(size)
    # It is a seed that others can use, whatever its size.
    tracker.until("completed", peer="leecher")
    seed.process.terminate()
    tracker.until("left", peer="seed")
    loopback.get("edge.bin", tracker, tmp_path / "last").until("state", state="seed")
    assert (tmp_path / "last" / "edge.bin").read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    "name",
    ["with blanks in it.txt", "Übergrößenträger 🦀.bin", "-all", "a=b&c%20d#e?f.txt", '"quoted".txt', "x" * 250],
    ids=["blanks", "unicode", "like-an-option", "url-marks", "quotes", "long"],
)
def test_names(loopback: Loopback, tmp_path: Path, name: str) -> None:
    here = tmp_path / "here"
    here.mkdir()
    source = make_file(here / name, 20_000)
    tracker = loopback.tracker()
    seed = loopback.start(PEER, "share", "--dir", here, "--", name, tracker.address, ANYWHERE)
    assert seed.until("published")["file"] == name
    there = tmp_path / "there"
    there.mkdir()
    leecher = loopback.start(PEER, "get", "--dir", there, "--", name, tracker.address, ANYWHERE)
    leecher.until("completed", file=name)
    assert (there / name).read_bytes() == source.read_bytes()


def test_a_second_get_of_a_complete_file_only_seeds(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", MIB)
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--name", "seed")
    there = tmp_path / "there"
    first = loopback.get("myfile.txt", tracker, there, "--name", "leecher")
    first.until("completed")
    first.process.terminate()
    assert first.wait() == 0
    again = loopback.get("myfile.txt", tracker, there, "--name", "again")
    assert again.until("completed")["sources"] == "disk"
    assert not again.named("picked")
    tracker.until("completed", peer="again")
    seed.process.terminate()
    tracker.until("left", peer="seed")
    last = loopback.get("myfile.txt", tracker, tmp_path / "last")
    assert last.until("completed")["sources"] == "again:4"


def test_a_complete_file_that_no_peer_shares_is_published(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", MIB)
    tracker = loopback.tracker()
    first = loopback.get("myfile.txt", tracker, tmp_path, "--name", "first")
    first.until("state", state="seed")
    tracker.until("published", peer="first")
    second = loopback.get("myfile.txt", tracker, tmp_path / "there")
    second.until("state", state="seed")
    assert digest(tmp_path / "there" / "myfile.txt") == digest(source)
    # Who shares the same file afterwards joins the same swarm.
    loopback.share(source, tracker, "--name", "third")


def test_a_file_with_other_content_is_not_overwritten(loopback: Loopback, tmp_path: Path) -> None:
    tracker = loopback.tracker()
    loopback.share(make_file(tmp_path / "myfile.txt", MIB), tracker)
    there = tmp_path / "there"
    there.mkdir()
    for size in (MIB, MIB - 1, 0):
        mine = make_file(there / "myfile.txt", size, seed=2)
        before = mine.read_bytes()
        leecher = loopback.get("myfile.txt", tracker, there, "--name", f"of-{size}")
        assert leecher.wait() == 1
        assert leecher.errors == [
            f"peer.py: error: {mine} already exists with different content",
            "  hint: move it away, or download into another directory with --dir",
        ]
        assert mine.read_bytes() == before
        assert sorted(there.iterdir()) == [mine]
        tracker.until("outcome", peer=f"of-{size}", result="failed")


def test_the_sharers_piece_length_is_used_by_all(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", 100_000)
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--piece-length", "16KiB")
    assert seed.until("published")["pieces"] == "7"
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there")
    assert leecher.until("completed")["sources"].endswith(":7")


def test_a_torrent_that_exists_is_shared_as_it_is(loopback: Loopback, tmp_path: Path) -> None:
    tracker = loopback.tracker()
    source = make_file(tmp_path / "my file.txt", 100_000)
    data = source.read_bytes()
    hashes = b"".join(hashlib.sha1(data[at : at + 32768]).digest() for at in range(0, len(data), 32768))
    # Another program's: pieces of another length, no mark `private`, and a key that our own do not have.
    info = bencode.encode(
        {
            b"length": 100_000,
            b"name": b"my file.txt",
            b"piece length": 32768,
            b"pieces": hashes,
            b"source": b"elsewhere",
        }
    )
    (tmp_path / "theirs.torrent").write_bytes(b"d4:info" + info + b"e")
    seed = loopback.share(source, tracker, "--torrent", tmp_path / "theirs.torrent")
    assert tracker.until("published", file="my file.txt")["info_hash"] == hashlib.sha1(info).hexdigest()
    leecher = loopback.get("my file.txt", tracker, tmp_path / "there")
    leecher.until("state", state="seed")
    assert (tmp_path / "there" / "my file.txt").read_bytes() == data
    seed.end()


def test_torrent_and_magnet_are_written(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "my file.txt", 100_000)
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--torrent", tmp_path / "it.torrent")
    info_hash = seed.until("published")["info_hash"]
    link = seed.until("magnet")["link"]
    assert link.startswith(f"magnet:?xt=urn:btih:{info_hash}&dn=my%20file.txt&tr=udp%3A%2F%2F{tracker.address[:9]}")
    assert link.endswith(f"&x.pe={seed.address}")
    torrent = (tmp_path / "it.torrent").read_bytes()
    assert f"udp://{tracker.address}/announce?name=my%20file.txt&size=100000".encode() in torrent


def test_the_response_log_lists_every_response(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", 2 * PIECE + 1)
    tracker = loopback.tracker()
    loopback.share(source, tracker, "--name", "seed")
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there")
    leecher.until("state", state="seed")
    status, lines, _ = loopback.ask(leecher, "request", "logs", "--json")
    assert status == 0
    entries = [json.loads(line) for line in lines]
    told = [(entry["from"], entry["response"], entry["bytes"], entry["result"]) for entry in entries]
    assert told[:2] == [
        ("tracker", f"myfile.txt: {2 * PIECE + 1} bytes, complete at seed", None, "claimed"),
        ("seed", "picked among 1", None, ""),
    ]
    assert told[2][0] == "seed"
    assert told[2][1] == "info dictionary of 3 pieces"
    assert sorted(told[3:6]) == [
        ("seed", "piece 0", PIECE, "verified"),
        ("seed", "piece 1", PIECE, "verified"),
        ("seed", "piece 2", 1, "verified"),
    ]
    assert told[6] == ("disk", "myfile.txt is complete", source.stat().st_size, "completed")
    assert all(entry["ms"] > 0 for entry in entries[2:6])
    status, lines, _ = loopback.ask(leecher, "status")
    assert "pieces       all 3" in lines
    assert lines[0] == "state        seed"
