"""The journal: nothing that was taken is lost, nothing that was there is overwritten."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from torrentnet.tracker.journal import queries, schema
from torrentnet.tracker.journal.holder_lists import MAX_SHARE_DISTANCE
from torrentnet.tracker.journal.journal import BEHIND_THRESHOLD, RECORDS_PER_PRUNE, Journal, Retention
from torrentnet.tracker.journal.record_writer import MAX_PIECES_TEXT
from torrentnet.tracker.journal.records import (
    FileEventKind,
    FileUpdated,
    HolderAdded,
    HolderRemoved,
    HoldingChanged,
    HoldingKey,
    RequestClosed,
    RequestOpened,
    RequestState,
    RequestUpdated,
)
from torrentnet.tracker.journal.request_parts import BLOCK_BITS
from torrentnet.tracker.journal.schema import FILE_NAME, JournalError
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from torrentnet.tracker.journal.records import Record

HASH = bytes(20)
ROOT = Path(__file__).parents[4]
WRITER = """
import sys, time
from pathlib import Path
from tests.unit.tracker.journal.test_journal import began, open_journal
journal = open_journal(Path(sys.argv[1]))
for number in range(1, 501):
    journal.write(began(number))
time.sleep(0.2)  # what a killed tracker may lose at most
print("written", flush=True)
time.sleep(60)
"""


def began(number: int, *, file: str = "myfile.txt", peer: str = "leecher-1") -> RequestOpened:
    return RequestOpened(1000 + number, number, peer, "10.0.0.1", 6881, b"p" * 20, file, HASH, ("seeder-1",), 1)


def ended(number: int) -> RequestClosed:
    return RequestClosed(2000, number, "leecher-1", HASH, RequestState.SUCCEEDED, (("seeder-1", 32),), 8, 9, "")


def place(peer: str = "seeder-1", ip: str = "10.0.0.1") -> HoldingKey:
    return HoldingKey(HASH, peer, ip, 6881)


def open_journal(state: Path | None = None, retention: Retention | None = None) -> Journal:
    journal = Journal(state, retention=retention)
    journal.start()
    return journal


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "new" / "directory")
    journal.write(FileUpdated(1, HASH, "myfile.txt", 8, 4, 2))
    journal.write(HolderAdded(5, place(), True, "all 2"))
    journal.write(began(1))
    journal.write(began(2))
    journal.write(ended(1))
    journal.close()
    journal.close()
    again = open_journal(tmp_path / "new" / "directory")
    assert [row.result for row in queries.requests(again)] == ["succeeded", "waiting"]
    assert again.next_request == 3
    assert [record.number for record in again.waiting()] == [2]
    assert [row.state for row in queries.holders(again, HASH)] == [schema.UNHEARD]
    again.write(HolderAdded(50, place(), True, "all 2"))
    again.flush()
    assert [(row.state, row.since_ms) for row in queries.holders(again, HASH)] == [(schema.ALIVE, 5)]
    again.close()


def test_flush_makes_what_was_written_readable_in_memory() -> None:
    journal = open_journal()
    for number in range(1, 5_001):
        journal.write(began(number))
    assert journal.flush()
    assert sum(1 for _ in queries.requests(journal)) == 5_000
    journal.close()


def test_killed_process_has_written_what_it_took(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            WRITER,
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "written\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    journal = open_journal(tmp_path)
    assert sum(1 for _ in queries.requests(journal)) == 500
    journal.close()


def test_second_tracker_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.write(began(1))
    for _ in range(2):
        with pytest.raises(JournalError) as caught:
            Journal(tmp_path)
        assert caught.value.message == f"another tracker keeps its journal in {tmp_path / FILE_NAME}"
        assert caught.value.hint == "stop that one, or give --state another directory"
    journal.write(began(2))
    assert journal.flush()
    journal.close()
    Journal(tmp_path).close()


def test_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(b"my diary, do not touch\n" * 100)
    with pytest.raises(JournalError) as caught:
        Journal(tmp_path)
    assert caught.value.message == f"{path} is no database"
    assert path.read_bytes() == b"my diary, do not touch\n" * 100


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE recipes (name TEXT)")
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(JournalError) as caught:
        Journal(tmp_path)
    assert caught.value.message == f"{path} is another program's database"
    assert caught.value.hint == "move it away, or give --state another directory"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_newer_format_is_left_alone(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    database = sqlite3.connect(tmp_path / FILE_NAME)
    database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(JournalError) as caught:
        Journal(tmp_path)
    assert caught.value.message == (
        f"{tmp_path / FILE_NAME} was written by a newer tracker (format 9, this one knows {schema.FORMAT})"
    )


def test_damaged_file_is_told_and_left_alone(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for number in range(1, 2_000):
        journal.write(began(number))
    journal.close()
    path = tmp_path / FILE_NAME
    raw = bytearray(path.read_bytes())
    raw[4096:40_960] = b"\xa5" * (40_960 - 4096)
    path.write_bytes(raw)
    with pytest.raises(JournalError) as caught:
        Journal(tmp_path)
    assert caught.value.message.startswith(f"{path} is damaged: ")
    assert caught.value.hint == "move it away to begin anew, or give --state another directory"
    assert path.read_bytes() == raw


def test_state_that_is_a_file_is_told(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("")
    with pytest.raises(JournalError) as caught:
        Journal(state)
    assert caught.value.message == f"cannot keep the journal in {state}: File exists"
    assert caught.value.hint == "give --state another directory"


def test_empty_file_is_taken_as_new(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    journal = open_journal(tmp_path)
    journal.write(began(1))
    assert journal.flush()
    journal.close()


def test_writer_far_behind_asks_for_no_new_work_holds_nobody_back_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = Journal()
    held = threading.Event()
    real = journal._transact

    def slow(records: list[object]) -> None:
        held.wait(10)
        real(records)  # type: ignore[arg-type]

    monkeypatch.setattr(journal, "_transact", slow)
    journal.start()
    for number in range(1, BEHIND_THRESHOLD):
        journal.write(began(number))
    assert not journal.is_behind()
    for number in range(BEHIND_THRESHOLD, BEHIND_THRESHOLD + 5_001):
        journal.write(began(number))
    assert journal.is_behind()
    held.set()
    assert journal.flush(20)
    assert not journal.is_behind()
    assert journal.lost == 0
    assert journal.next_request == BEHIND_THRESHOLD + 5_001
    journal.close()


def test_queue_is_bounded_and_what_is_lost_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torrentnet.tracker.journal.journal.QUEUE_CAPACITY", 100)
    journal = Journal()  # nobody writes, for it was not started
    for number in range(1, 151):
        journal.write(began(number))
    assert journal.lost == 50
    journal.close()


def test_full_disk_is_told_and_got_over(tmp_path: Path) -> None:
    told: list[str] = []
    journal = Journal(tmp_path, trouble=told.append)
    journal.start()
    size = journal.read("PRAGMA page_count", ())[0][0]
    journal.read(f"PRAGMA max_page_count = {size}", ())
    for number in range(1, 2_000):
        journal.write(began(number))
    assert not journal.flush()
    assert told == ["the journal cannot be written: database or disk is full; requests go on, their log waits"]
    journal.read("PRAGMA max_page_count = 1000000", ())
    deadline = time.monotonic() + 10
    while len(told) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert told[1] == "the journal can be written again"
    assert journal.flush()
    assert sum(1 for _ in queries.requests(journal)) == 1_999
    journal.close()


def test_record_that_the_database_does_not_take_costs_itself_only() -> None:
    told: list[str] = []
    journal = Journal(trouble=told.append)
    journal.write(began(1))
    journal.write(FileUpdated(1, HASH, "x", 1 << 70, None, None))
    journal.write(began(2))
    journal.start()
    journal.flush()
    assert [row.number for row in queries.requests(journal)] == [1, 2]
    assert journal.lost == 1
    assert told == ["the journal did not take a FileUpdated: Python int too large to convert to SQLite INTEGER"]
    journal.close()


def test_oldest_rows_go_first_and_waiting_ones_never() -> None:
    journal = open_journal(retention=Retention(requests=100, events=150, gone=10))
    for number in range(1, 3_001):
        journal.write(began(number))
        if number != 7:
            journal.write(ended(number))
    journal.flush()
    numbers = [row.number for row in queries.requests(journal)]
    assert numbers[0] == 7
    assert numbers[-1] == 3_000
    assert numbers[1:] == list(range(numbers[1], 3_001))
    assert 100 < len(numbers) <= 101 + RECORDS_PER_PRUNE + (1 << BLOCK_BITS)
    assert [row.kind for row in queries.events(journal, HASH)].count("succeeded") == len(numbers) - 1
    journal.close()


def test_of_many_possessions_the_last_one_counts() -> None:
    journal = open_journal()
    journal.write(HolderAdded(1, place(), False, "0 %"))
    for piece in range(100):
        held = PieceSet(100, range(piece + 1))
        journal.write(HoldingChanged(place(), "", 100, held.bitfield()))
    journal.write(HolderRemoved(9, place(), FileEventKind.LEFT, "said good-bye"))
    journal.flush()
    row = next(queries.holders(journal, HASH))
    assert (row.holds, row.state, row.why) == ("all 100", schema.GONE, "said good-bye")
    journal.close()


def test_long_list_of_pieces_keeps_its_count() -> None:
    journal = open_journal()
    journal.write(HolderAdded(1, place(), False, "0 %"))
    held = PieceSet(10_000, range(0, 10_000, 2))
    journal.write(HoldingChanged(place(), "", 10_000, held.bitfield()))
    journal.flush()
    holds = next(queries.holders(journal, HASH)).holds
    assert len(holds) <= MAX_PIECES_TEXT + 30
    assert holds.startswith("0, 2, 4, ")
    assert holds.endswith(", ... (5000 of 10000)")
    journal.close()


def test_other_peer_at_the_same_address_ends_what_was_unheard(tmp_path: Path) -> None:
    first = open_journal(tmp_path)
    first.write(HolderAdded(1, place("seeder-1"), True, "all 2"))
    first.close()
    journal = open_journal(tmp_path)
    journal.write(HolderAdded(2, place("seeder-2"), True, "all 2"))
    journal.flush()
    assert [(row.peer, row.state) for row in queries.holders(journal, HASH)] == [
        ("seeder-1", schema.GONE),
        ("seeder-2", schema.ALIVE),
    ]
    journal.close()


def test_last_rows_are_counted_from_the_end_and_told_oldest_first() -> None:
    journal = open_journal()
    for number in range(1, 1_201):
        journal.write(began(number, file="even" if number % 2 == 0 else "odd"))
    journal.flush()
    assert [row.number for row in queries.requests(journal, last=3)] == [1198, 1199, 1200]
    assert [row.number for row in queries.requests(journal, file="odd", last=2)] == [1197, 1199]
    assert sum(1 for _ in queries.requests(journal, file="even")) == 600
    assert sum(1 for _ in queries.requests(journal, last=9_999)) == 1_200
    journal.close()


MANY = tuple(f"seeder-{number}" for number in range(100))


def asked(number: int, holders: tuple[str, ...] = MANY) -> RequestOpened:
    return began(number)._replace(holders=holders, total=len(holders))


def lists(journal: Journal) -> list[int]:
    return [row[0] for row in journal.read("SELECT id FROM holder_lists ORDER BY id", ())]


def test_long_list_of_holders_is_kept_once_for_all_who_were_told_it(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    others = (*MANY, "late")
    for number in range(1, 301):
        journal.write(asked(number, MANY if number % 3 else others if number % 2 else ("seeder-1",)))
    journal.close()
    again = open_journal(tmp_path)
    assert lists(again) == [1, 3]
    again.write(asked(301))
    again.flush()
    assert lists(again) == [1, 3, 301]
    for row in queries.requests(again):
        at = row.number
        assert row.holders == (MANY if at % 3 else others if at % 2 else ("seeder-1",))
    again.close()


def test_list_of_holders_goes_with_the_last_request_that_has_it() -> None:
    journal = open_journal(retention=Retention(requests=100, events=10, gone=10))
    for number in range(1, 20_001):
        # A tuple of its own every thousand requests: who has the file has changed.
        journal.write(asked(number, MANY if number == 7 else (*MANY, str(number // 1000))))
        if number != 7:
            journal.write(ended(number))
        if not number % 1000:
            assert journal.flush(20)
    rows = list(queries.requests(journal))
    assert (rows[0].number, rows[0].holders) == (7, MANY)
    assert {row.holders for row in rows[1:]} <= {(*MANY, str(count)) for count in range(10, 21)}
    assert min(lists(journal)) > 20_000 - 100 - MAX_SHARE_DISTANCE - 2 * 1000
    assert len(lists(journal)) < MAX_SHARE_DISTANCE + 5_000
    journal.write(ended(7))
    for number in range(20_001, 23_001):
        journal.write(asked(number))
        journal.write(ended(number))
    journal.flush(20)
    assert next(queries.requests(journal)).number > 20_000
    journal.close()


def test_lists_of_a_transaction_that_came_to_nothing_are_written_by_the_next(tmp_path: Path) -> None:
    told: list[str] = []
    journal = Journal(tmp_path, trouble=told.append)
    journal.write(asked(1))
    journal.write(FileUpdated(1, HASH, "x", 1 << 70, None, None))
    journal.write(asked(2))
    journal.start()
    journal.flush()
    assert [row.holders for row in queries.requests(journal)] == [MANY, MANY]
    assert len(told) == 1
    journal.close()


@pytest.mark.parametrize("seed", range(10))
def test_what_is_written_at_once_is_what_would_be_written_one_by_one(seed: int) -> None:
    chance = random.Random(seed)
    records: list[Record] = []
    for step in range(300):
        number = chance.randrange(1, 40)
        kind = chance.choice(["began", "ended", "lost", "failed", "sees", "waits"])
        known = chance.choice([HASH, None])
        if kind == "began":
            holders = chance.choice([(), ("seeder-1",), MANY])
            records.append(began(number)._replace(time_ms=step, info_hash=known, holders=holders, total=len(holders)))
        elif kind in {"sees", "waits"}:
            names = (f"seeder-{step}",) if kind == "sees" else None
            records.append(RequestUpdated(number, known, names, 1))
        else:
            result = {"ended": RequestState.SUCCEEDED, "lost": RequestState.LOST, "failed": RequestState.FAILED}[kind]
            sources = (("seeder-1", step),) if kind != "lost" and step % 2 else ()
            why = "" if kind == "ended" else f"because {step}"
            records.append(RequestClosed(step, number, "leecher-1", known, result, sources, step, step, why))
    told = []
    for sizes in ([300], [1] * 300, [chance.randrange(1, 60) for _ in range(300)]):
        journal = Journal()
        rest = list(records)
        for size in sizes:
            journal._settle(rest[:size])
            rest = rest[size:]
        assert not rest
        told.append((list(queries.requests(journal)), list(queries.events(journal, HASH))))
        journal.close()
    assert told[0] == told[1] == told[2]


def test_files_come_by_name_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "PAGE_SIZE", 10)
    journal = open_journal()
    for number in range(35):
        name = None if number == 3 else f"file-{number:02}"
        journal.write(FileUpdated(number, bytes([number]) * 20, name, 1, 1, 1))
    journal.flush()
    labels = [file.label for file in queries.files(journal)]
    assert labels == [(bytes([3]) * 20).hex(), *(f"file-{number:02}" for number in range(35) if number != 3)]
    assert [file.label for file in queries.files(journal, labels[0])] == [labels[0]]
    assert list(queries.files(journal, "z" * 40)) == []
    journal.close()
