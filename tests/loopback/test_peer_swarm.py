"""``get --strategy swarm`` with the real programs, and with peers that fail."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.loopback.programs import digest, make_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.loopback.programs import Loopback, Program

MIB = 1024 * 1024
SWARM = ("--strategy", "swarm")
PIECES = ("--piece-length", "16KiB")


def ended(leechers: list[Program]) -> None:
    for leecher in leechers:
        leecher.until("state", state="seed", deadline=60.0)


def gave(leecher: Program) -> dict[str, int]:
    """Return the number of pieces from each source."""
    pairs = (one.rpartition(":") for one in leecher.until("completed")["sources"].split(","))
    return {name: int(count) for name, _, count in pairs}


def stopped(program: Program) -> int:
    """Stop a peer, and return the bytes of blocks that it uploaded."""
    program.process.terminate()
    assert program.wait() == 0
    assert program.errors == []
    return sum(int(event.fields["bytes"]) for event in program.named("upload"))


def test_four_leechers_download_from_each_other(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", 4 * MIB)
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--name", "seed", "--upload-rate", "1MiB/s", *PIECES)
    leechers = [
        loopback.get("myfile.txt", tracker, tmp_path / str(n), "--name", f"leecher-{n}", *SWARM) for n in range(4)
    ]
    ended(leechers)
    for number, leecher in enumerate(leechers):
        assert digest(tmp_path / str(number) / "myfile.txt") == digest(source)
        assert sum(gave(leecher).values()) == 256
        tracker.until("outcome", peer=f"leecher-{number}", result="succeeded")
    uploaded = [stopped(leecher) for leecher in leechers]
    assert all(uploaded)
    # Four copies were needed. The seed's uplink was the narrow one, and it sent far less than that.
    assert stopped(seed) < 2.5 * source.stat().st_size


def test_a_leecher_that_is_killed_half_way_does_no_harm(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", 4 * MIB)
    tracker = loopback.tracker()
    loopback.share(source, tracker, "--name", "seed", "--upload-rate", "1MiB/s", *PIECES)
    leechers = [
        loopback.get("myfile.txt", tracker, tmp_path / str(n), "--name", f"leecher-{n}", *SWARM) for n in range(4)
    ]
    victim, *others = leechers
    # "have" of the event line after some: it has begun, and is not through.
    victim.until("progress", count=3)
    victim.kill()
    assert not victim.named("completed")
    ended(others)
    for number in (1, 2, 3):
        assert digest(tmp_path / str(number) / "myfile.txt") == digest(source)
    for leecher in others:
        stopped(leecher)
    # Started again, it goes on from what it had.
    again = loopback.get("myfile.txt", tracker, tmp_path / "0", "--name", "again", *SWARM)
    assert int(again.until("resumed")["have"]) > 0
    ended([again])
    assert digest(tmp_path / "0" / "myfile.txt") == digest(source)


def test_a_bad_seed_beside_a_good_one(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", 2 * MIB)
    tracker = loopback.tracker()
    loopback.share(source, tracker, "--name", "bad", "--corrupt-uploads", "--upload-rate", "1MiB/s", *PIECES)
    loopback.share(source, tracker, "--name", "good", "--upload-rate", "1MiB/s", *PIECES)
    leechers = [
        loopback.get("myfile.txt", tracker, tmp_path / str(n), "--name", f"leecher-{n}", *SWARM) for n in range(3)
    ]
    ended(leechers)
    blamed = [event for leecher in leechers for event in leecher.named("bad_piece")]
    assert blamed
    assert {event.fields["peer"] for event in blamed} == {"bad"}
    for number, leecher in enumerate(leechers):
        assert digest(tmp_path / str(number) / "myfile.txt") == digest(source)
        assert "bad" not in gave(leecher)
    # Pieces are given on; who comes last need not find anybody who lacks what it has.
    assert sum(stopped(leecher) for leecher in leechers) > 0


def test_a_leecher_of_the_single_strategy_in_the_same_swarm(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", 2 * MIB)
    tracker = loopback.tracker()
    loopback.share(source, tracker, "--name", "seed", "--upload-rate", "1MiB/s", *PIECES)
    single = loopback.get("myfile.txt", tracker, tmp_path / "single", "--name", "single")
    swarm = [loopback.get("myfile.txt", tracker, tmp_path / str(n), "--name", f"swarm-{n}", *SWARM) for n in range(2)]
    ended([single, *swarm])
    assert gave(single) == {"seed": 128}
    for directory in ("single", "0", "1"):
        assert digest(tmp_path / directory / "myfile.txt") == digest(source)
    # Whoever has it by the swarm serves those who take it from one peer.
    last = loopback.get("myfile.txt", tracker, tmp_path / "last", "--name", "last")
    ended([last])
    assert digest(tmp_path / "last" / "myfile.txt") == digest(source)


def test_one_seed_without_a_limit(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", 64 * MIB)
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--name", "seed")
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there", *SWARM)
    ended([leecher])
    assert gave(leecher) == {"seed": 256}
    assert digest(tmp_path / "there" / "myfile.txt") == digest(source)
    stopped(leecher)
    assert stopped(seed) == source.stat().st_size


def test_a_frozen_leecher_does_not_delay_the_others(loopback: Loopback, tmp_path: Path) -> None:
    """The other leechers get the turns of the leecher that is frozen.

    The frozen leecher receives none of the data it has requested.
    """
    source = make_file(tmp_path / "myfile.txt", 16 * MIB)
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--name", "seed", "--upload-rate", "4MiB/s", "--piece-length", "1MiB")
    frozen = loopback.get("myfile.txt", tracker, tmp_path / "frozen", "--name", "frozen", *SWARM)
    frozen.until("progress")
    frozen.signal(signal.SIGSTOP)
    other = loopback.get("myfile.txt", tracker, tmp_path / "other", "--name", "other", *SWARM)
    ended([other])
    assert digest(tmp_path / "other" / "myfile.txt") == digest(source)
    assert not frozen.named("completed")
    frozen.signal(signal.SIGCONT)
    ended([frozen])
    assert digest(tmp_path / "frozen" / "myfile.txt") == digest(source)
    assert not seed.named("error")


def test_interrupted_while_it_fetches(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", 4 * MIB)
    tracker = loopback.tracker()
    loopback.share(source, tracker, "--name", "seed", "--upload-rate", "256KiB/s", *PIECES)
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there", "--name", "leecher", *SWARM)
    leecher.until("progress", count=2)
    leecher.signal(signal.SIGINT)
    assert leecher.wait() in {0, 130}
    assert leecher.errors == []
    tracker.until("outcome", peer="leecher", result="failed")
    assert (tmp_path / "there" / "myfile.txt.part").exists()
