"""The stored request log: complete after any crash, in order, and limited in size."""

from __future__ import annotations

import contextlib
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

from tests.unit.tracker.journal.samples import HASH, MANY, ROOT, closed, key, open_journal, opened, opened_with
from torrentnet.tracker.journal import queries
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
from torrentnet.tracker.journal.schema import FILE_NAME

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 1 << BLOCK_BITS
SMALL = Retention(requests=100, events=100, gone=10)
WRITER = """
import sys, time
from pathlib import Path
from tests.unit.tracker.journal.samples import closed, open_journal, opened
journal = open_journal(Path(sys.argv[1]))
for number in range(1, 2001):
    journal.write(opened(number))
    if number > 700:
        journal.write(closed(number - 700))
time.sleep(0.2)  # a killed tracker may lose this much
print("written", flush=True)
for number in range(2001, 1 << 30):
    journal.write(opened(number))
"""


def parts(journal: Journal) -> int:
    return int(journal.read("SELECT count(*) FROM request_parts", ())[0][0])


def kinds(journal: Journal) -> list[str]:
    return [row.kind for row in queries.events(journal, HASH)]


@pytest.mark.parametrize("seed", range(6))
def test_log_is_complete_and_in_order_through_restarts(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    journal = open_journal(tmp_path)
    expected: dict[int, str] = {}
    events: list[tuple[str, str]] = []
    number = 0
    for _ in range(3_000):
        action = chance.random()
        waiting = [one for one in list(expected)[-700:] if expected[one] == "waiting"]
        if action < 0.5 or not expected:
            number += 1
            journal.write(opened(number, peer=f"leecher-{number}", file=f"file-{number % 7}"))
            expected[number] = "waiting"
            events.append(("requested", f"leecher-{number}"))
        elif action < 0.9 and waiting:
            one, state = (
                chance.choice(waiting),
                chance.choice([RequestState.SUCCEEDED, RequestState.FAILED, RequestState.LOST]),
            )
            journal.write(RequestClosed(9, one, f"leecher-{one}", HASH, state, (), 1, 1, "why"))
            expected[one] = state.value
            events.append((state.value, f"leecher-{one}"))
        elif action < 0.93:
            one = chance.choice(list(expected))
            journal.write(RequestUpdated(one, HASH, chance.choice([None, ("seeder-9",)]), 1))
            expected[one] = "waiting"
        elif action < 0.96:
            assert journal.flush()
        elif action < 0.962:
            journal.close()
            journal = open_journal(tmp_path)
            assert journal.next_request == number + 1
    assert journal.flush()
    assert {row.number: row.state for row in queries.requests(journal)} == expected
    assert [row.number for row in queries.requests(journal)] == sorted(expected)
    assert [(row.kind, row.peer) for row in queries.events(journal, HASH)] == events
    of_one = [one for one in expected if one % 7 == 3]
    assert [row.number for row in queries.requests(journal, file="file-3")] == of_one
    assert [row.number for row in queries.requests(journal, file="file-3", last=150)] == of_one[-150:]
    assert [row.number for row in queries.requests(journal, last=1_000)] == sorted(expected)[-1_000:]
    assert [one.number for one in journal.waiting()] == [one for one in expected if expected[one] == "waiting"]
    assert queries.count_rows(journal)[1] == len(expected)
    journal.close()


def test_killed_tracker_has_written_its_outcomes(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "written\n"
    os.kill(child.pid, signal.SIGKILL)  # in the middle of its writing
    child.wait(60)
    child.stdout.close()
    journal = open_journal(tmp_path)
    rows = list(queries.requests(journal))
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 2_000
    assert all(row.state == ("succeeded" if row.number <= 1_300 else "waiting") for row in rows)
    assert [row.number for row in queries.requests(journal) if row.state == "waiting"] == [
        one.number for one in journal.waiting()
    ]
    assert kinds(journal).count("succeeded") == 1_300
    assert journal.next_request == len(rows) + 1
    journal.close()


def test_parts_of_a_slow_log_are_merged_without_change(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(1, RECORDS_PER_PRUNE + BLOCK):
        journal._write_batch([opened_with(number)])
        journal._write_batch([closed(number)])
    full = (RECORDS_PER_PRUNE + BLOCK) // BLOCK - 1
    assert parts(journal) <= 4 * BLOCK + full * MAX_PARTS
    journal.close()
    journal = open_journal(tmp_path)
    rows = list(queries.requests(journal))
    assert [(row.number, row.state) for row in rows] == [
        (number, "succeeded") for number in range(1, RECORDS_PER_PRUNE + BLOCK)
    ]
    assert all(row.holders == MANY for row in rows)
    assert kinds(journal) == ["requested", "succeeded"] * len(rows)
    journal.close()


def test_outcome_of_a_deleted_request_leaves_nothing() -> None:
    journal = open_journal(retention=SMALL)
    for number in range(1, 5_001):
        journal.write(opened(number))
        journal.write(closed(number))
    journal.flush()
    journal.write(closed(1))
    journal.flush()
    first = next(queries.requests(journal)).number
    assert first > 1
    for number in range(5_001, 7_001):
        journal.write(opened(number))
        journal.write(closed(number))
    journal.flush()
    assert journal.read("SELECT count(*) FROM request_parts WHERE block = 0", ()) == [(0,)]
    assert [row.number for row in queries.requests(journal)][-1] == 7_000
    journal.close()


def test_old_waiting_request_is_kept_until_its_outcome(tmp_path: Path) -> None:
    journal = Journal(tmp_path, retention=SMALL)
    journal.start()
    journal.write(opened_with(1, ("seeder-1",)))
    journal.write(opened(2)._replace(info_hash=None, holders=(), holder_count=0))
    journal.write(RequestUpdated(2, HASH, MANY, 100))
    for life in range(3):
        for number in range(3 + life * 3_000, 3_003 + life * 3_000):
            journal.write(opened(number))
            journal.write(closed(number))
        journal.flush()
        first, second, third = list(queries.requests(journal))[:3]
        assert (first.number, first.holders, first.state) == (1, ("seeder-1",), "waiting")
        assert (second.number, second.holders, second.holder_count, second.state) == (2, MANY, 100, "waiting")
        assert third.number > 2_000 * (life + 1)
        assert [one.number for one in journal.waiting()] == [1, 2]
        assert [one.info_hash for one in journal.waiting()] == [HASH, HASH]
        journal.close()
        journal = Journal(tmp_path, retention=SMALL)
        journal.start()
    journal.write(closed(2))
    journal.flush()
    assert [(row.number, row.state) for row in queries.requests(journal)][:2] == [(1, "waiting"), (2, "succeeded")]
    journal.write(closed(1))
    for number in range(9_003, 12_003):
        journal.write(opened(number))
        journal.write(closed(number))
    journal.flush()
    assert next(queries.requests(journal)).number > 9_003
    assert journal.waiting() == []
    journal.close()


def test_log_of_a_file_merges_holders_and_requests_in_order(journal: Journal) -> None:
    expected = []
    for number in range(1, 2 * BLOCK):
        journal.write(opened(number))
        journal.write(HolderAdded(5, key(f"leecher-{number}", f"10.0.{number // 250}.{number % 250}"), False, "0 %"))
        expected += ["requested", "joined"]
        if number > BLOCK // 2:
            journal.write(closed(number - BLOCK // 2))
            journal.write(HolderRemoved(6, key("leecher-1", "10.0.0.1"), FileEventKind.LEFT, "said good-bye"))
            expected += ["succeeded", "left"]
        if not number % 100:
            journal.flush()
    journal.flush()
    assert kinds(journal) == expected


def test_number_of_holder_events_is_limited() -> None:
    journal = open_journal(retention=SMALL)
    for number in range(4_000):
        journal.write(HolderAdded(number, key(), True, "all"))
        journal.write(opened(number + 1))
        journal.write(closed(number + 1))
    journal.flush()
    assert 100 <= kinds(journal).count("published") <= 100 + 2 * RECORDS_PER_PRUNE
    journal.close()


def test_damaged_part_is_reported_at_the_start(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.write(opened(1))
    journal.close()
    database = sqlite3.connect(tmp_path / FILE_NAME)
    database.execute("UPDATE request_parts SET data = x'0102030405060708'")
    database.commit()
    database.close()
    troubles: list[str] = []
    again = Journal(tmp_path, trouble=troubles.append)
    assert troubles == [
        (
            "the journal's part 1 is damaged (8 bytes are not 4 parts) and was set aside in the table damaged_parts:"
            " some of the requests 0 to 511 are missing"
        )
    ]
    assert again.next_request == 512  # no number of a lost request is given again
    again.close()


@given(raw=st.binary(max_size=200), at=st.integers(0, 300), flip=st.integers(1, 255))
def test_damaged_part_is_parsed_or_rejected(raw: bytes, at: int, flip: int) -> None:
    good = pack_part(
        [[1], [5], [7], ["leecher"], ["10.0.0.1"], [6881], [b"p" * 20], ["a"], [None], ["[]"], [0]],
        [UpdatedEntry(2, 7, HASH, None, 1)],
        [[3], [6], [7], ["leecher"], [HASH], [RequestState.LOST], ["[]"], [0], [0], ["silent"]],
    )
    assert unpack_part(good).closed[0].state is RequestState.LOST
    damaged = bytearray(good)
    damaged[at % len(good)] ^= flip
    for some in (raw, bytes(damaged), good[: at % len(good)]):
        with contextlib.suppress(ValueError):
            unpack_part(some)
