"""Real programs that are killed, stopped and restarted during a transfer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.rig.watched_process import DEADLINE_S
from tests.loopback.programs import ANYWHERE, PEER, digest, make_file

if TYPE_CHECKING:
    from pathlib import Path

from tests.loopback.programs import Loopback, Program

PIECES = 64
PIECE = 16 * 1024
SLOW = ("--upload-rate", "1MiB/s", "--piece-length", "16KiB")
"""With this rate a transfer takes a second, in which a test can interfere."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_file(tmp_path / "myfile.txt", PIECES * PIECE)


def fetched(loopback: Loopback, leecher: Program) -> list[tuple[str, str]]:
    """Return the verified pieces and their sources from a leecher's log."""
    status, lines, _ = loopback.ask(leecher, "request", "logs", "--json")
    assert status == 0
    entries = [json.loads(line) for line in lines]
    return [
        (entry["response"], entry["from"])
        for entry in entries
        if entry["response"].startswith("piece ") and entry["result"] == "verified"
    ]


def test_a_killed_seed_is_replaced_by_the_next(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    tracker = loopback.tracker()
    seeds = {name: loopback.share(source, tracker, "--name", name, *SLOW) for name in ("one", "two")}
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there", "--name", "leecher")
    picked = leecher.until("picked")["peer"]
    assert leecher.until("picked")["among"] == "2"
    leecher.until("progress", count=2)
    seeds[picked].kill()
    lost = leecher.until("source_lost")
    assert lost["peer"] == picked
    (other,) = set(seeds) - {picked}
    leecher.until("completed")
    assert digest(tmp_path / "there" / "myfile.txt") == digest(source)
    pieces = fetched(loopback, leecher)
    # Each piece once, whoever it came from.
    assert sorted(name for name, _ in pieces) == sorted(f"piece {number}" for number in range(PIECES))
    assert {who for _, who in pieces} == {picked, other}
    assert sum(who == picked for _, who in pieces) >= int(lost["have"])
    outcome = tracker.until("outcome", peer="leecher", result="succeeded")
    assert set(outcome["from"].split(",")) == {picked, other}
    tracker.until("forgotten", peer=picked)


def test_a_killed_leecher_resumes_its_download(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    tracker = loopback.tracker()
    loopback.share(source, tracker, "--name", "seed", *SLOW)
    there = tmp_path / "there"
    first = loopback.get("myfile.txt", tracker, there, "--name", "first")
    first.until("progress", count=2)
    first.kill()
    assert (there / "myfile.txt.part").exists()
    tracker.until("outcome", peer="first", result="lost")
    second = loopback.get("myfile.txt", tracker, there, "--name", "second")
    kept = int(second.until("resumed")["have"])
    assert kept >= 2
    second.until("state", state="seed")
    assert digest(there / "myfile.txt") == digest(source)
    pieces = fetched(loopback, second)
    assert len(pieces) == PIECES - kept
    assert len(set(pieces)) == len(pieces)
    assert tracker.until("outcome", peer="second")["bytes"] == str((PIECES - kept) * PIECE)


def test_a_stopped_seed_is_replaced_by_the_next(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    """After SIGSTOP the connection stays open, and no data arrives."""
    tracker = loopback.tracker("--keepalive", "30s", "--timeout", "2m")
    seeds = {name: loopback.share(source, tracker, "--name", name, *SLOW) for name in ("one", "two")}
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there", "--timeout", "700ms", "--min-rate", "1B/s")
    picked = leecher.until("picked")["peer"]
    leecher.until("progress")
    seeds[picked].signal(signal.SIGSTOP)
    assert leecher.until("source_lost")["reason"] == "stalled: no data for 0.7 s"
    leecher.until("completed")
    assert digest(tmp_path / "there" / "myfile.txt") == digest(source)


def test_a_seed_that_sends_bad_pieces_is_banned(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    tracker = loopback.tracker()
    loopback.share(source, tracker, "--name", "bad", "--corrupt-uploads", "--piece-length", "16KiB")
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there", "--name", "leecher")
    assert leecher.until("bad_piece")["peer"] == "bad"
    loopback.share(source, tracker, "--name", "good", "--piece-length", "16KiB")
    assert leecher.until("completed")["sources"] == f"good:{PIECES}"
    assert len(leecher.named("picked", peer="bad")) == 1
    assert digest(tmp_path / "there" / "myfile.txt") == digest(source)


def test_a_download_without_seeds_fails_and_reports_why(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--name", "seed", *SLOW)
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there", "--name", "leecher", "--give-up", "1500ms")
    leecher.until("progress", count=2)
    seed.kill()
    assert leecher.wait() == 1
    reason = "no peer has all of 'myfile.txt' now; gave up after 1.5 s without a new piece"
    assert leecher.errors == [f"peer.py: error: {reason}"]
    assert leecher.named("failed")[0].fields == {"file": "myfile.txt", "reason": reason}
    outcome = tracker.until("outcome", peer="leecher")
    assert (outcome["result"], outcome["reason"]) == ("failed", reason)
    status, lines, _ = loopback.ask(tracker, "request", "logs")
    assert status == 0
    assert any("leecher" in line and "failed" in line and reason in line for line in lines)
    tracker.until("left", peer="leecher")
    # What it had stays for the next try.
    assert (tmp_path / "there" / "myfile.txt.part").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("busy", [False, True], ids=["seeding", "downloading"])
def test_a_signal_makes_a_peer_leave_the_swarm(
    loopback: Loopback, tmp_path: Path, source: Path, number: signal.Signals, busy: bool
) -> None:
    tracker = loopback.tracker("--keepalive", "30s", "--timeout", "2m")
    peer = loopback.share(source, tracker, "--name", "seed", *SLOW)
    if busy:
        peer = loopback.get("myfile.txt", tracker, tmp_path / "there", "--name", "leecher")
        peer.until("progress")
    peer.signal(number)
    assert peer.wait() == 0
    name = peer.named("listening")[0].fields["name"]
    tracker.until("left", peer=name)
    assert peer.events[-1].name == "closing"
    assert peer.events[-1].fields == {"reason": number.name}
    assert peer.errors == []
    if busy:
        assert tracker.until("outcome", peer=name)["reason"] == "the peer was stopped"
        assert peer.named("failed")


def test_a_second_signal_changes_nothing(loopback: Loopback, source: Path) -> None:
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker)
    seed.signal(signal.SIGINT)
    seed.signal(signal.SIGTERM)
    assert seed.wait() == 0
    assert len(seed.named("closing")) == 1


def test_a_peer_stops_without_its_tracker(loopback: Loopback, source: Path) -> None:
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker)
    tracker.kill()
    seed.signal(signal.SIGTERM)
    assert seed.wait() == 0


def test_every_peer_rejoins_a_restarted_tracker(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    tracker = loopback.tracker("--state", state)
    address = tracker.address
    seed = loopback.share(source, tracker, "--name", "seed", *SLOW)
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there", "--name", "leecher")
    # Longer ago than what a killed journal may lose.
    leecher.until("progress", count=2)
    # However long the tracker takes to come back, the download must not end before.
    for peer in (seed, leecher):
        peer.process.send_signal(signal.SIGSTOP)
    tracker.kill()
    again = loopback.tracker("--state", state, address=address)
    seed.process.send_signal(signal.SIGCONT)
    again.until("published", peer="seed")
    leecher.process.send_signal(signal.SIGCONT)
    leecher.until("state", state="seed")
    # The row that was begun before is the one that ends now.
    outcome = again.until("outcome", peer="leecher", result="succeeded")
    assert outcome["from"] == "seed"
    again.until("completed", peer="leecher")
    status, lines, _ = loopback.ask(again, "request", "logs")
    assert status == 0
    assert len([line for line in lines if "leecher" in line]) == 1
    late = loopback.get("myfile.txt", again, tmp_path / "late")
    assert late.until("picked")["among"] == "2"
    assert digest(tmp_path / "there" / "myfile.txt") == digest(source)
    assert seed.process.poll() is None


def test_the_trackers_silence_and_return_are_reported(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    tracker = loopback.tracker()
    address = tracker.address
    seed = loopback.share(source, tracker, "--name", "seed")
    tracker.kill()
    seed.until("tracker_silent")
    again = loopback.tracker(address=address)
    seed.until("tracker_back")
    again.until("published", peer="seed")


def test_a_peer_may_start_before_its_tracker(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    tracker = loopback.tracker()
    address = tracker.address
    tracker.kill()
    seed = loopback.start(PEER, "share", source, address, ANYWHERE, "--name", "seed")
    leecher = loopback.start(PEER, "get", "myfile.txt", address, ANYWHERE, "--dir", tmp_path / "there")
    assert leecher.wait() == 1
    assert leecher.errors[0].startswith(f"peer.py: error: {tmp_path / 'there'} is not a directory")
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there")
    seed.until("listening")
    leecher.until("state", state="get")
    loopback.tracker(address=address)
    seed.until("state", state="seed")
    leecher.until("state", state="seed")
    assert digest(tmp_path / "there" / "myfile.txt") == digest(source)


def test_many_leechers_at_once(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    tracker = loopback.tracker()
    for name in ("one", "two", "three"):
        loopback.share(source, tracker, "--name", name)
    leechers = [
        loopback.get("myfile.txt", tracker, tmp_path / f"l{number}", "--name", f"leecher-{number}")
        for number in range(6)
    ]
    for number, leecher in enumerate(leechers):
        leecher.until("state", state="seed")
        assert digest(tmp_path / f"l{number}" / "myfile.txt") == digest(source)
    status, lines, _ = loopback.ask(tracker, "file_logs", "myfile.txt")
    assert status == 0
    for number in range(6):
        assert any(f"leecher-{number}" in line for line in lines)


def test_an_upload_rate_is_kept(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", 512 * 1024)
    tracker = loopback.tracker()
    loopback.share(source, tracker, "--upload-rate", "512KiB/s", "--piece-length", "64KiB")
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there")
    # A second's worth; the bucket holds a twentieth of one. Slower is the machine's business, faster is ours.
    assert int(leecher.until("completed")["ms"]) >= 900


def test_a_peer_starts_after_it_was_killed(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    """A stale console socket and a stale part file do not keep a peer from starting."""
    tracker = loopback.tracker()
    loopback.share(source, tracker, *SLOW)
    there, console = tmp_path / "there", tmp_path / "own.sock"
    there.mkdir()
    first = loopback.get("myfile.txt", tracker, there, "--console", console)
    first.until("progress")
    first.kill()
    assert console.exists()
    second = loopback.get("myfile.txt", tracker, there, "--console", console)
    second.until("state", state="seed")
    second.process.terminate()
    assert second.wait() == 0
    assert not console.exists()
    assert [path.name for path in there.iterdir()] == ["myfile.txt"]


def test_the_file_may_be_deleted_while_it_is_shared(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    tracker = loopback.tracker()
    wanted = digest(source)
    loopback.share(source, tracker)
    source.unlink()
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there")
    leecher.until("state", state="seed")
    assert digest(tmp_path / "there" / "myfile.txt") == wanted


def test_a_seed_survives_that_its_output_is_closed(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    tracker = loopback.tracker()
    words = [sys.executable, PEER, "share", source, tracker.address, ANYWHERE, "--name", "seed"]
    with subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as seed:
        try:
            assert seed.stdout is not None
            for line in seed.stdout:
                if b" state state=seed" in line:
                    break
            seed.stdout.close()
            leecher = loopback.get("myfile.txt", tracker, tmp_path / "there")
            leecher.until("state", state="seed")
            assert seed.poll() is None
            seed.terminate()
            assert seed.wait(DEADLINE_S) == 0
            tracker.until("left", peer="seed")
        finally:
            seed.kill()


def test_a_closed_standard_input_is_ignored(loopback: Loopback, source: Path) -> None:
    tracker = loopback.tracker()
    words = [sys.executable, PEER, "share", source, tracker.address, ANYWHERE, "--name", "seed"]
    command = ["sh", "-c", 'exec "$@" <&-', "sh", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as seed:
        try:
            tracker.until("published", peer="seed")
            seed.terminate()
            assert seed.wait(DEADLINE_S) == 0
            assert seed.stderr is not None
            assert seed.stderr.read() == b""
            tracker.until("left", peer="seed")
        finally:
            seed.kill()
