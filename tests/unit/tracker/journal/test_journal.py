"""The journal loses no accepted record and overwrites no other program's file."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.unit.tracker.journal.samples import HASH, MANY, ROOT, closed, key, open_journal, opened, opened_with
from torrentnet.tracker.journal import queries, schema
from torrentnet.tracker.journal.holder_lists import MAX_SHARE_DISTANCE
from torrentnet.tracker.journal.journal import BEHIND_THRESHOLD, RECORDS_PER_PRUNE, Journal, Retention
from torrentnet.tracker.journal.records import (
    FileEventKind,
    FileUpdated,
    HolderAdded,
    HolderRemoved,
    HoldingChanged,
    RequestClosed,
    RequestState,
    RequestUpdated,
)
from torrentnet.tracker.journal.request_parts import BLOCK_BITS
from torrentnet.tracker.journal.schema import FILE_NAME, JournalError
from torrentnet.wire.piece_set import MAX_DESCRIPTION, PieceSet

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.tracker.journal.records import Record

WRITER = """
import sys, time
from pathlib import Path
from tests.unit.tracker.journal.samples import open_journal, opened
journal = open_journal(Path(sys.argv[1]))
for number in range(1, 501):
    journal.write(opened(number))
time.sleep(0.2)  # a killed tracker may lose this much
print("written", flush=True)
time.sleep(60)
"""


def refusal(state: Path) -> tuple[str, str]:
    """Return message and hint of the error when a journal is opened in ``state``."""
    with pytest.raises(JournalError) as caught:
        Journal(state)
    return caught.value.message, caught.value.hint


def test_journal_survives_a_restart(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "new" / "directory")
    journal.write(FileUpdated(1, HASH, "myfile.txt", 8, 4, 2))
    journal.write(HolderAdded(5, key(), True, "all 2"))
    journal.write(opened(1))
    journal.write(opened(2))
    journal.write(closed(1))
    journal.close()
    journal.close()
    again = open_journal(tmp_path / "new" / "directory")
    assert [row.state for row in queries.requests(again)] == ["succeeded", "waiting"]
    assert again.next_request == 3
    assert [record.number for record in again.waiting()] == [2]
    assert [row.state for row in queries.holders(again, HASH)] == [schema.UNHEARD]
    again.write(HolderAdded(50, key(), True, "all 2"))
    again.flush()
    assert [(row.state, row.since_ms) for row in queries.holders(again, HASH)] == [(schema.ALIVE, 5)]
    again.close()


def test_flushed_records_can_be_read(journal: Journal) -> None:
    for number in range(1, 5_001):
        journal.write(opened(number))
    assert journal.flush()
    assert sum(1 for _ in queries.requests(journal)) == 5_000


def test_killed_process_has_written_its_records(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "written\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait(60)
    child.stdout.close()
    journal = open_journal(tmp_path)
    assert sum(1 for _ in queries.requests(journal)) == 500
    journal.close()


def test_second_tracker_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.write(opened(1))
    for _ in range(2):
        assert refusal(tmp_path) == (
            f"another tracker keeps its journal in {tmp_path / FILE_NAME}",
            "stop that tracker, or give --state another directory",
        )
    journal.write(opened(2))
    assert journal.flush()
    journal.close()
    Journal(tmp_path).close()


def test_file_that_is_not_a_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(b"my diary, do not touch\n" * 100)
    assert refusal(tmp_path)[0] == f"{path} is not a database"
    assert path.read_bytes() == b"my diary, do not touch\n" * 100


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE recipes (name TEXT)")
    foreign.close()
    before = path.read_bytes()
    assert refusal(tmp_path) == (
        f"{path} is another program's database",
        "move it away, or give --state another directory",
    )
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("version", [0, schema.FORMAT + 1])
def test_other_format_is_refused_and_left_alone(tmp_path: Path, version: int) -> None:
    path = tmp_path / FILE_NAME
    Journal(tmp_path).close()
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {version}")
    database.close()
    before = path.read_bytes()
    assert refusal(tmp_path) == (
        f"{path} has format {version}; this tracker reads only format {schema.FORMAT}",
        "move it away to start an empty journal, or give --state another directory",
    )
    assert path.read_bytes() == before


def test_damaged_file_is_reported_and_left_alone(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for number in range(1, 2_000):
        journal.write(opened(number))
    journal.close()
    path = tmp_path / FILE_NAME
    raw = bytearray(path.read_bytes())
    raw[4096:40_960] = b"\xa5" * (40_960 - 4096)
    path.write_bytes(raw)
    message, hint = refusal(tmp_path)
    assert message.startswith(f"{path} is damaged: ")
    assert hint == "move it away to start an empty journal, or give --state another directory"
    assert path.read_bytes() == raw


def test_state_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("")
    assert refusal(state) == (
        f"cannot keep the journal in {state}: File exists",
        "give --state another directory",
    )


def test_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    journal = open_journal(tmp_path)
    journal.write(opened(1))
    assert journal.flush()
    journal.close()


def test_writer_far_behind_delays_new_work_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = Journal()
    held = threading.Event()
    real = journal._write_transaction

    def slow(records: list[object]) -> None:
        held.wait(60)
        real(records)  # type: ignore[arg-type]

    monkeypatch.setattr(journal, "_write_transaction", slow)
    journal.start()
    for number in range(1, BEHIND_THRESHOLD):
        journal.write(opened(number))
    assert not journal.is_behind()
    for number in range(BEHIND_THRESHOLD, BEHIND_THRESHOLD + 5_001):
        journal.write(opened(number))
    assert journal.is_behind()
    held.set()
    assert journal.flush(20)
    assert not journal.is_behind()
    assert journal.lost == 0
    assert journal.next_request == BEHIND_THRESHOLD + 5_001
    journal.close()


def test_queue_is_limited_and_lost_records_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torrentnet.tracker.journal.journal.QUEUE_CAPACITY", 100)
    journal = Journal()  # nobody writes, for it was not started
    for number in range(1, 151):
        journal.write(opened(number))
    assert journal.lost == 50
    journal.close()


def test_full_disk_is_reported_and_retried(tmp_path: Path) -> None:
    troubles: list[str] = []
    journal = Journal(tmp_path, trouble=troubles.append)
    journal.start()
    size = journal.read("PRAGMA page_count", ())[0][0]
    journal.read(f"PRAGMA max_page_count = {size}", ())
    for number in range(1, 2_000):
        journal.write(opened(number))
    assert not journal.flush()
    assert troubles == [
        "the journal cannot be written: database or disk is full; requests are still answered, their log is delayed"
    ]
    journal.read("PRAGMA max_page_count = 1000000", ())
    deadline = time.monotonic() + 10
    while len(troubles) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert troubles[1] == "the journal can be written again"
    assert journal.flush()
    assert sum(1 for _ in queries.requests(journal)) == 1_999
    journal.close()


def test_record_that_cannot_be_stored_loses_no_other() -> None:
    troubles: list[str] = []
    journal = Journal(trouble=troubles.append)
    journal.write(opened(1))
    journal.write(FileUpdated(1, HASH, "x", 1 << 70, None, None))
    journal.write(opened(2))
    journal.start()
    journal.flush()
    assert [row.number for row in queries.requests(journal)] == [1, 2]
    assert journal.lost == 1
    assert troubles == ["the journal cannot store a FileUpdated: Python int too large to convert to SQLite INTEGER"]
    journal.close()


def test_oldest_rows_are_deleted_but_never_waiting_ones() -> None:
    journal = open_journal(retention=Retention(requests=100, events=150, gone=10))
    for number in range(1, 3_001):
        journal.write(opened(number))
        if number != 7:
            journal.write(closed(number))
    journal.flush()
    numbers = [row.number for row in queries.requests(journal)]
    assert numbers[0] == 7
    assert numbers[-1] == 3_000
    assert numbers[1:] == list(range(numbers[1], 3_001))
    assert 100 < len(numbers) <= 101 + RECORDS_PER_PRUNE + (1 << BLOCK_BITS)
    assert [row.kind for row in queries.events(journal, HASH)].count("succeeded") == len(numbers) - 1
    journal.close()


def test_bytes_of_the_journal_are_limited() -> None:
    """Seeds have long names, and one comes or goes before each look-up."""
    limit = 8 * 1024 * 1024
    journal = open_journal(retention=Retention(requests=1_000_000, events=1_000_000, gone=1_000, size=limit))
    for number in range(1, 10_001):
        journal.write(opened_with(number, tuple(f"{seed + number:064}" for seed in range(30))))
        journal.write(closed(number))
        if number % 500 == 0:
            journal.flush()
    journal.flush()
    pages, free, size = (
        journal.read(f"PRAGMA {name}", ())[0][0] for name in ("page_count", "freelist_count", "page_size")
    )
    assert (pages - free) * size < limit * 1.5
    numbers = [row.number for row in queries.requests(journal)]
    assert numbers == list(range(numbers[0], 10_001))
    assert len(numbers) >= 1_000
    journal.close()


def damage(state: Path, block: int) -> None:
    """Damage the parts of a block in a way that SQLite does not notice."""
    with contextlib.closing(sqlite3.connect(state / FILE_NAME)) as database:
        database.execute("UPDATE request_parts SET data = CAST(x'ffffff' || data AS BLOB) WHERE block = ?", (block,))
        database.commit()


def test_damaged_part_is_set_aside_and_the_rest_is_kept(tmp_path: Path) -> None:
    first = open_journal(tmp_path)
    for number in range(1, 2_000):
        first.write(opened(number))
    first.close()
    damage(tmp_path, 1)
    troubles: list[str] = []
    journal = Journal(tmp_path, trouble=troubles.append)
    journal.start()
    assert journal.next_request == 2_000
    journal.write(opened(2_000))
    journal.write(closed(513))
    assert journal.flush()
    missing = range(1 << BLOCK_BITS, 2 << BLOCK_BITS)
    assert [row.number for row in queries.requests(journal)] == [n for n in range(1, 2_001) if n not in missing]
    assert len(troubles) == journal.read("SELECT count(*) FROM damaged_parts", ())[0][0] > 0
    assert " is damaged (" in troubles[0]
    assert troubles[0].endswith(
        " and was set aside in the table damaged_parts: some of the requests 512 to 1023 are missing"
    )
    journal.close()


def test_old_damaged_part_does_not_end_the_writing_thread(tmp_path: Path) -> None:
    """The part is read when old requests are deleted: one of them still waits."""
    troubles: list[str] = []
    journal = Journal(tmp_path, trouble=troubles.append, retention=Retention(requests=100, events=100, gone=10))
    journal.start()
    journal.write(opened(7))
    journal.flush()
    journal.read("UPDATE request_parts SET data = x'ffffff' || data", ())
    for number in range(8, BEHIND_THRESHOLD // 2):
        journal.write(opened(number))
        journal.write(closed(number))
    assert journal.flush(30)
    assert not journal.is_behind()
    assert journal.lost == 0
    assert len(troubles) == 1
    journal.close()


def test_unexpected_error_does_not_end_the_writing_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    troubles: list[str] = []
    journal = Journal(trouble=troubles.append)
    write, fails = journal._write_batch, [True]

    def write_batch(batch: list[Record]) -> None:
        if fails.pop() if fails else False:
            raise RuntimeError("a bug")
        write(batch)

    monkeypatch.setattr(journal, "_write_batch", write_batch)
    journal.start()
    journal.write(opened(1))
    assert journal.flush()
    journal.write(opened(2))
    assert journal.flush()
    assert [row.number for row in queries.requests(journal)] == [2]
    assert (journal.lost, troubles) == (1, ["the journal has lost 1 records: RuntimeError: a bug"])
    journal.close()


def test_last_of_many_possession_records_counts(journal: Journal) -> None:
    journal.write(HolderAdded(1, key(), False, "0 %"))
    for piece in range(100):
        held = PieceSet(100, range(piece + 1))
        journal.write(HoldingChanged(key(), "", held))
    journal.write(HolderRemoved(9, key(), FileEventKind.LEFT, "said good-bye"))
    journal.flush()
    row = next(queries.holders(journal, HASH))
    assert (row.pieces, row.state, row.why) == ("all 100", schema.GONE, "said good-bye")


def test_long_list_of_pieces_keeps_its_count(journal: Journal) -> None:
    journal.write(HolderAdded(1, key(), False, "0 %"))
    held = PieceSet(10_000, range(0, 10_000, 2))
    journal.write(HoldingChanged(key(), "", held))
    journal.flush()
    text = next(queries.holders(journal, HASH)).pieces
    assert len(text) <= MAX_DESCRIPTION + 30
    assert text.startswith("0, 2, 4, ")
    assert text.endswith(", ... (5000 of 10000)")


def test_other_peer_at_the_same_address_replaces_unheard_one(tmp_path: Path) -> None:
    first = open_journal(tmp_path)
    first.write(HolderAdded(1, key("seeder-1"), True, "all 2"))
    first.close()
    journal = open_journal(tmp_path)
    journal.write(HolderAdded(2, key("seeder-2"), True, "all 2"))
    journal.flush()
    assert [(row.peer, row.state) for row in queries.holders(journal, HASH)] == [
        ("seeder-1", schema.GONE),
        ("seeder-2", schema.ALIVE),
    ]
    journal.close()


def test_last_rows_are_returned_oldest_first(journal: Journal) -> None:
    for number in range(1, 1_201):
        journal.write(opened(number, file="even" if number % 2 == 0 else "odd"))
    journal.flush()
    assert [row.number for row in queries.requests(journal, last=3)] == [1198, 1199, 1200]
    assert [row.number for row in queries.requests(journal, file="odd", last=2)] == [1197, 1199]
    assert sum(1 for _ in queries.requests(journal, file="even")) == 600
    assert sum(1 for _ in queries.requests(journal, last=9_999)) == 1_200


def lists(journal: Journal) -> list[int]:
    return [row[0] for row in journal.read("SELECT id FROM holder_lists ORDER BY id", ())]


def test_long_list_of_holders_is_stored_once(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    others = (*MANY, "late")
    for number in range(1, 301):
        journal.write(opened_with(number, MANY if number % 3 else others if number % 2 else ("seeder-1",)))
    journal.close()
    again = open_journal(tmp_path)
    assert lists(again) == [1, 3]
    again.write(opened_with(301))
    again.flush()
    assert lists(again) == [1, 3, 301]
    for row in queries.requests(again):
        at = row.number
        assert row.holders == (MANY if at % 3 else others if at % 2 else ("seeder-1",))
    again.close()


def test_list_of_holders_is_deleted_with_its_last_request() -> None:
    journal = open_journal(retention=Retention(requests=100, events=10, gone=10))
    for number in range(1, 20_001):
        # A tuple of its own every thousand requests: who has the file has changed.
        journal.write(opened_with(number, MANY if number == 7 else (*MANY, str(number // 1000))))
        if number != 7:
            journal.write(closed(number))
        if not number % 1000:
            assert journal.flush(20)
    rows = list(queries.requests(journal))
    assert (rows[0].number, rows[0].holders) == (7, MANY)
    assert {row.holders for row in rows[1:]} <= {(*MANY, str(count)) for count in range(10, 21)}
    assert min(lists(journal)) > 20_000 - 100 - MAX_SHARE_DISTANCE - 2 * 1000
    assert len(lists(journal)) < MAX_SHARE_DISTANCE + 5_000
    journal.write(closed(7))
    for number in range(20_001, 23_001):
        journal.write(opened_with(number))
        journal.write(closed(number))
    journal.flush(20)
    assert next(queries.requests(journal)).number > 20_000
    journal.close()


def test_lists_of_a_failed_transaction_are_written_again(tmp_path: Path) -> None:
    troubles: list[str] = []
    journal = Journal(tmp_path, trouble=troubles.append)
    journal.write(opened_with(1))
    journal.write(FileUpdated(1, HASH, "x", 1 << 70, None, None))
    journal.write(opened_with(2))
    journal.start()
    journal.flush()
    assert [row.holders for row in queries.requests(journal)] == [MANY, MANY]
    assert len(troubles) == 1
    journal.close()


@pytest.mark.parametrize("seed", range(10))
def test_batch_size_does_not_change_the_log(seed: int) -> None:
    chance = random.Random(seed)
    records: list[Record] = []
    for step in range(120):
        number = chance.randrange(1, 16)
        kind = chance.choice(["opened", "succeeded", "lost", "failed", "holders", "reopened"])
        known = chance.choice([HASH, None])
        if kind == "opened":
            holders = chance.choice([(), ("seeder-1",), MANY])
            records.append(
                opened(number)._replace(time_ms=step, info_hash=known, holders=holders, holder_count=len(holders))
            )
        elif kind in {"holders", "reopened"}:
            names = (f"seeder-{step}",) if kind == "holders" else None
            records.append(RequestUpdated(number, known, names, 1))
        else:
            state = {"succeeded": RequestState.SUCCEEDED, "lost": RequestState.LOST, "failed": RequestState.FAILED}[
                kind
            ]
            sources = (("seeder-1", step),) if kind != "lost" and step % 2 else ()
            why = "" if kind == "succeeded" else f"because {step}"
            records.append(RequestClosed(step, number, "leecher-1", known, state, sources, step, step, why))
    logs = []
    for sizes in ([120], [1] * 120, [chance.randrange(1, 24) for _ in range(120)]):
        journal = Journal()
        rest = list(records)
        for size in sizes:
            journal._write_batch(rest[:size])
            rest = rest[size:]
        assert not rest
        logs.append((list(queries.requests(journal)), list(queries.events(journal, HASH))))
        journal.close()
    assert logs[0] == logs[1] == logs[2]


def test_files_are_read_by_name_page_by_page(monkeypatch: pytest.MonkeyPatch, journal: Journal) -> None:
    monkeypatch.setattr(queries, "PAGE_SIZE", 10)
    for number in range(35):
        name = None if number == 3 else f"file-{number:02}"
        journal.write(FileUpdated(number, bytes([number]) * 20, name, 1, 1, 1))
    journal.flush()
    labels = [file.label for file in queries.files(journal)]
    assert labels == [(bytes([3]) * 20).hex(), *(f"file-{number:02}" for number in range(35) if number != 3)]
    assert [file.label for file in queries.files(journal, labels[0])] == [labels[0]]
    assert list(queries.files(journal, "z" * 40)) == []
