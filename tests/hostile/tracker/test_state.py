"""The tracker's state stays right, whatever the order of events, and survives."""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
import threading

from tests.hostile.tracker.rig import DEADLINE, Target
from tests.loopback.programs import running
from tests.unit.tracker.world import HASH, SIZE
from torrentnet.wire.udp.packets import AnnounceEvent, pack_connect, pack_scrape, parse_scrape_reply


def counts(target: Target) -> tuple[int, int, int]:
    """Return the seeders, downloads and leechers that a scrape shows."""
    client = target.client("scraper", "127.0.0.9")
    reply = client.ask(pack_scrape(*client.head(), (HASH,)))
    (found,) = parse_scrape_reply(reply)
    return found.seeders, found.completed, found.leechers


def test_counts_stay_right(target: Target) -> None:
    client = target.client("x", "127.0.0.2", extended=False)
    stranger = target.client("y", "127.0.0.3", extended=False)
    stranger.announce(AnnounceEvent.STOPPED, left=5)
    assert counts(target) == (0, 0, 0)
    client.announce(AnnounceEvent.STARTED, left=SIZE)
    client.announce(AnnounceEvent.COMPLETED, left=0)
    client.announce(AnnounceEvent.COMPLETED, left=0)
    assert counts(target) == (1, 1, 0)
    client.announce(left=5)
    assert counts(target) == (0, 1, 1)
    client.announce(AnnounceEvent.STOPPED, left=5)
    client.announce(AnnounceEvent.STOPPED, left=5)
    assert counts(target) == (0, 0, 0)


def test_repeats_open_one_request(target: Target) -> None:
    client = target.client("leecher-1", "127.0.0.4")
    packet = client.lookup_packet("repeated.txt")
    attacker = target.attacker("127.0.0.4")
    answers = attacker.answers(*[packet] * 50)
    assert len({answer[12:16] for answer in answers}) == 1
    assert len(target.run("request", "logs", "--file", "repeated.txt")) == 2


def test_stop_while_receiving(own_target: Target) -> None:
    attacker = own_target.attacker()
    ended = threading.Event()

    def flood() -> None:
        with contextlib.suppress(OSError):
            while not ended.is_set():
                attacker.fire(pack_connect(1))

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        own_target.program.signal(signal.SIGTERM)
        assert own_target.program.process.wait(DEADLINE) == 0
    finally:
        ended.set()
        thread.join(DEADLINE)
    assert own_target.program.errors == []


def test_damaged_journal_does_not_stop_the_service(own_target: Target) -> None:
    loopback, program = own_target.loopback, own_target.program
    state = loopback.directory / "state"
    client = own_target.client("leecher-1", "127.0.0.2")
    for number in range(1_500):
        client.outcome(client.lookup(f"file-{number}").request)
    own_target.run("request", "logs", "--last", "1")
    program.end()
    with contextlib.closing(sqlite3.connect(state / "tracker.sqlite3")) as database:
        database.execute("UPDATE request_parts SET data = CAST(x'ffffff' || data AS BLOB) WHERE block = 0")
        database.commit()
    for again in running(loopback.directory):
        with contextlib.closing(Target(again, "--state", state)) as target:
            rows = target.run("request", "logs")
            assert re.search(r" 1500 +leecher-1 ", rows[-1])
            assert len(rows) == 1 + 1_500 - 511
            assert "is damaged" in target.program.until("error")["reason"]
            fresh = target.client("leecher-2", "127.0.0.3")
            for number in range(1_200):
                fresh.outcome(fresh.lookup(f"file-{number}").request)
            assert len(target.run("request", "logs", "--last", "1200")) == 1_201
            assert len(target.program.named("error")) < 20
