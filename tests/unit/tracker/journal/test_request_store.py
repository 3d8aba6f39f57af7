"""The request log in its parts: complete after any end, in order, bounded, and taken over from earlier formats."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tracker.journal.test_journal import HASH, MANY, ROOT, asked, began, ended, open_journal, place
from torrentnet.tracker.journal import queries, schema
from torrentnet.tracker.journal.journal import RECORDS_PER_PRUNE, Journal, Retention
from torrentnet.tracker.journal.records import (
    FileEventKind,
    HolderAdded,
    HolderRemoved,
    RequestClosed,
    RequestState,
    RequestUpdated,
)
from torrentnet.tracker.journal.request_parts import BLOCK_BITS, UpdatedEntry, pack_part, unpack_part
from torrentnet.tracker.journal.request_store import MAX_PARTS
from torrentnet.tracker.journal.schema import FILE_NAME, JournalError

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 1 << BLOCK_BITS
SMALL = Retention(requests=100, events=100, gone=10)
WRITER = """
import sys, time
from pathlib import Path
from tests.unit.tracker.journal.test_journal import began, ended, open_journal
journal = open_journal(Path(sys.argv[1]))
for number in range(1, 2001):
    journal.write(began(number))
    if number > 700:
        journal.write(ended(number - 700))
time.sleep(0.2)  # what a killed tracker may lose at most
print("written", flush=True)
for number in range(2001, 1 << 30):
    journal.write(began(number))
"""
OLD_TABLES = """
CREATE TABLE files (
    info_hash BLOB PRIMARY KEY, name TEXT, size INTEGER, piece_length INTEGER, pieces INTEGER,
    known_ms INTEGER NOT NULL, published_ms INTEGER, published_by TEXT, published_from TEXT
) WITHOUT ROWID;
CREATE TABLE holdings (
    id INTEGER PRIMARY KEY, info_hash BLOB NOT NULL, ip TEXT NOT NULL, port INTEGER NOT NULL, peer TEXT NOT NULL,
    complete INTEGER NOT NULL, holds TEXT NOT NULL, since_ms INTEGER NOT NULL,
    state TEXT NOT NULL, gone_ms INTEGER, why TEXT,
    UNIQUE (info_hash, ip, port, peer)
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY, info_hash BLOB NOT NULL, time_ms INTEGER NOT NULL, kind TEXT NOT NULL, peer TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE TABLE requests (
    id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, peer TEXT NOT NULL, ip TEXT NOT NULL, port INTEGER NOT NULL,
    peer_id BLOB NOT NULL, file TEXT NOT NULL, info_hash BLOB, holders TEXT NOT NULL, total INTEGER NOT NULL,
    result TEXT NOT NULL, sources TEXT, transferred INTEGER, elapsed_ms INTEGER, reason TEXT, ended_ms INTEGER
);
CREATE INDEX requests_by_file ON requests (file, id);
CREATE INDEX requests_waiting ON requests (id) WHERE result = 'waiting';
"""


def parts(journal: Journal) -> int:
    return int(journal.read("SELECT count(*) FROM request_parts", ())[0][0])


def kinds(journal: Journal) -> list[str]:
    return [row.kind for row in queries.events(journal, HASH)]


def write_old(path: Path, version: int, waiting: int, last: int) -> None:
    """A journal as format 1 or 2 had it: each request a row, and two events."""
    database = sqlite3.connect(path)
    database.executescript(OLD_TABLES)
    shared = json.dumps(MANY)
    if version == 2:
        database.execute("CREATE TABLE holder_lists (id INTEGER PRIMARY KEY, names TEXT NOT NULL)")
        database.execute("INSERT INTO holder_lists VALUES (3, ?)", (shared,))
        shared = "3"
    for number in range(3, last + 1):
        holders, total = (shared, 100) if number % 2 else ('["seeder-1"]', 1)
        asked_for = (
            number,
            number,
            f"leecher-{number}",
            "10.0.0.1",
            6881,
            b"p" * 20,
            "myfile.txt",
            HASH,
            holders,
            total,
        )
        outcome = (
            ("waiting", None, None, None, None, None)
            if number == waiting
            else ("succeeded", '[["seeder-1", 32]]', 8, 9, "", number + 1)
        )
        database.execute(f"INSERT INTO requests VALUES ({', '.join('?' * 16)})", asked_for + outcome)
        for kind in ("requested", outcome[0]):
            if kind != "waiting":
                event = HASH, number, kind, f"leecher-{number}", "as it was told then"
                database.execute(
                    "INSERT INTO events (info_hash, time_ms, kind, peer, detail) VALUES (?, ?, ?, ?, ?)", event
                )
    database.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {version}")
    database.commit()
    database.close()


@pytest.mark.parametrize("version", [1, 2])
def test_journal_of_an_earlier_format_is_taken_over(tmp_path: Path, version: int) -> None:
    waiting, last = 1_000, 2_500
    write_old(tmp_path / FILE_NAME, version, waiting, last)
    for life in range(2):
        journal = open_journal(tmp_path)
        assert journal.read("PRAGMA user_version", ()) == [(3,)]
        rows = list(queries.requests(journal))
        assert [row.number for row in rows] == list(range(3, last + 1))
        assert all(row.holders == (MANY if row.number % 2 else ("seeder-1",)) for row in rows)
        assert [row.number for row in rows if row.result == "waiting"] == ([] if life else [waiting])
        assert rows[0] == queries.RequestRow(
            3, 3, "leecher-3", "10.0.0.1:6881", "myfile.txt", MANY, 100, "succeeded", (("seeder-1", 32),), 8, 9, "", 4
        )
        assert journal.next_request == last + 1
        assert [one.number for one in journal.waiting()] == ([] if life else [waiting])
        told = list(queries.events(journal, HASH))
        assert len(told) == 2 * (last - 2) - (not life)
        assert told[0].detail == "as it was told then"
        if not life:
            journal.write(ended(waiting))
            journal.flush()
        assert list(queries.events(journal, HASH))[-1] == queries.EventRow(
            2000, "succeeded", "leecher-1", "from seeder-1 (8 B in 0.01 s)"
        )
        journal.close()


@pytest.mark.parametrize("seed", range(6))
def test_log_is_complete_and_in_order_through_restarts(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    journal = open_journal(tmp_path)
    expected: dict[int, str] = {}
    told: list[tuple[str, str]] = []
    number = 0
    for _ in range(3_000):
        what = chance.random()
        waiting = [one for one in list(expected)[-700:] if expected[one] == "waiting"]
        if what < 0.5 or not expected:
            number += 1
            journal.write(began(number, peer=f"leecher-{number}", file=f"file-{number % 7}"))
            expected[number] = "waiting"
            told.append(("requested", f"leecher-{number}"))
        elif what < 0.9 and waiting:
            one, result = (
                chance.choice(waiting),
                chance.choice([RequestState.SUCCEEDED, RequestState.FAILED, RequestState.LOST]),
            )
            journal.write(RequestClosed(9, one, f"leecher-{one}", HASH, result, (), 1, 1, "why"))
            expected[one] = result.value
            told.append((result.value, f"leecher-{one}"))
        elif what < 0.93:
            one = chance.choice(list(expected))
            journal.write(RequestUpdated(one, HASH, chance.choice([None, ("seeder-9",)]), 1))
            expected[one] = "waiting"
        elif what < 0.96:
            assert journal.flush()
        elif what < 0.962:
            journal.close()
            journal = open_journal(tmp_path)
            assert journal.next_request == number + 1
    assert journal.flush()
    assert {row.number: row.result for row in queries.requests(journal)} == expected
    assert [row.number for row in queries.requests(journal)] == sorted(expected)
    assert [(row.kind, row.peer) for row in queries.events(journal, HASH)] == told
    of_one = [one for one in expected if one % 7 == 3]
    assert [row.number for row in queries.requests(journal, file="file-3")] == of_one
    assert [row.number for row in queries.requests(journal, file="file-3", last=150)] == of_one[-150:]
    assert [row.number for row in queries.requests(journal, last=1_000)] == sorted(expected)[-1_000:]
    assert [one.number for one in journal.waiting()] == [one for one in expected if expected[one] == "waiting"]
    assert queries.count_rows(journal)[1] == len(expected)
    journal.close()


def test_killed_tracker_has_the_outcomes_that_it_took(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "written\n"
    os.kill(child.pid, signal.SIGKILL)  # in the middle of its writing
    child.wait(10)
    child.stdout.close()
    journal = open_journal(tmp_path)
    rows = list(queries.requests(journal))
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 2_000
    assert all(row.result == ("succeeded" if row.number <= 1_300 else "waiting") for row in rows)
    assert [row.number for row in queries.requests(journal) if row.result == "waiting"] == [
        one.number for one in journal.waiting()
    ]
    assert kinds(journal).count("succeeded") == 1_300
    assert journal.next_request == len(rows) + 1
    journal.close()


def test_log_that_grows_slowly_is_put_together_and_stays_the_same(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(1, RECORDS_PER_PRUNE + BLOCK):
        journal._settle([asked(number)])
        journal._settle([ended(number)])
    full = (RECORDS_PER_PRUNE + BLOCK) // BLOCK - 1
    assert parts(journal) <= 4 * BLOCK + full * MAX_PARTS
    journal.close()
    journal = open_journal(tmp_path)
    rows = list(queries.requests(journal))
    assert [(row.number, row.result) for row in rows] == [
        (number, "succeeded") for number in range(1, RECORDS_PER_PRUNE + BLOCK)
    ]
    assert all(row.holders == MANY for row in rows)
    assert kinds(journal) == ["requested", "succeeded"] * len(rows)
    journal.close()


def test_outcome_of_a_request_that_is_gone_changes_nothing_and_leaves_nothing() -> None:
    journal = open_journal(retention=SMALL)
    for number in range(1, 5_001):
        journal.write(began(number))
        journal.write(ended(number))
    journal.flush()
    journal.write(ended(1))
    journal.flush()
    first = next(queries.requests(journal)).number
    assert first > 1
    for number in range(5_001, 7_001):
        journal.write(began(number))
        journal.write(ended(number))
    journal.flush()
    assert journal.read("SELECT count(*) FROM request_parts WHERE block = 0", ()) == [(0,)]
    assert [row.number for row in queries.requests(journal)][-1] == 7_000
    journal.close()


def test_old_request_that_waits_keeps_all_that_is_known_of_it_and_goes_after_its_outcome(tmp_path: Path) -> None:
    journal = Journal(tmp_path, retention=SMALL)
    journal.start()
    journal.write(asked(1, ("seeder-1",)))
    journal.write(began(2)._replace(info_hash=None, holders=(), total=0))
    journal.write(RequestUpdated(2, HASH, MANY, 100))
    for life in range(3):
        for number in range(3 + life * 3_000, 3_003 + life * 3_000):
            journal.write(began(number))
            journal.write(ended(number))
        journal.flush()
        first, second, third = list(queries.requests(journal))[:3]
        assert (first.number, first.holders, first.result) == (1, ("seeder-1",), "waiting")
        assert (second.number, second.holders, second.total, second.result) == (2, MANY, 100, "waiting")
        assert third.number > 2_000 * (life + 1)
        assert [one.number for one in journal.waiting()] == [1, 2]
        assert [one.info_hash for one in journal.waiting()] == [HASH, HASH]
        journal.close()
        journal = Journal(tmp_path, retention=SMALL)
        journal.start()
    journal.write(ended(2))
    journal.flush()
    assert [(row.number, row.result) for row in queries.requests(journal)][:2] == [(1, "waiting"), (2, "succeeded")]
    journal.write(ended(1))
    for number in range(9_003, 12_003):
        journal.write(began(number))
        journal.write(ended(number))
    journal.flush()
    assert next(queries.requests(journal)).number > 9_003
    assert journal.waiting() == []
    journal.close()


def test_log_of_a_file_mixes_holders_and_requests_as_it_happened() -> None:
    journal = open_journal()
    expected = []
    for number in range(1, 2 * BLOCK):
        journal.write(began(number))
        journal.write(HolderAdded(5, place(f"leecher-{number}", f"10.0.{number // 250}.{number % 250}"), False, "0 %"))
        expected += ["requested", "joined"]
        if number > BLOCK // 2:
            journal.write(ended(number - BLOCK // 2))
            journal.write(HolderRemoved(6, place("leecher-1", "10.0.0.1"), FileEventKind.LEFT, "said good-bye"))
            expected += ["succeeded", "left"]
        if not number % 100:
            journal.flush()
    journal.flush()
    assert kinds(journal) == expected
    journal.close()


def test_what_happened_to_holders_is_kept_in_bounded_number() -> None:
    journal = open_journal(retention=SMALL)
    for number in range(4_000):
        journal.write(HolderAdded(number, place(), True, "all"))
        journal.write(began(number + 1))
        journal.write(ended(number + 1))
    journal.flush()
    assert 100 <= kinds(journal).count("published") <= 100 + 2 * RECORDS_PER_PRUNE
    journal.close()


def test_part_that_cannot_be_read_is_told_at_the_start(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.write(began(1))
    journal.close()
    database = sqlite3.connect(tmp_path / FILE_NAME)
    database.execute("UPDATE request_parts SET data = x'0102030405060708'")
    database.commit()
    database.close()
    with pytest.raises(JournalError) as caught:
        Journal(tmp_path)
    assert caught.value.message == f"{tmp_path / FILE_NAME} is damaged: 8 bytes are not 4 parts"
    assert caught.value.hint == "move it away to begin anew, or give --state another directory"


@given(raw=st.binary(max_size=200), at=st.integers(0, 300), flip=st.integers(1, 255))
def test_damaged_part_is_read_or_refused(raw: bytes, at: int, flip: int) -> None:
    good = pack_part(
        [[1], [5], [7], ["leecher"], ["10.0.0.1"], [6881], [b"p" * 20], ["a"], [None], ["[]"], [0]],
        [UpdatedEntry(2, 7, HASH, None, 1)],
        [[3], [6], [7], ["leecher"], [HASH], [RequestState.LOST], ["[]"], [0], [0], ["silent"]],
    )
    assert unpack_part(good).ended[0].result is RequestState.LOST
    damaged = bytearray(good)
    damaged[at % len(good)] ^= flip
    for some in (raw, bytes(damaged), good[: at % len(good)]):
        with contextlib.suppress(ValueError):
            unpack_part(some)
