"""The tracker's journal in SQLite, written by a thread of its own.

The packet loop queues records, and a thread of the journal writes many of them in one transaction. The loop never
waits for the thread. While the thread is far behind, the tracker accepts no new work (:meth:`Journal.is_behind`). A
tracker that is killed loses the records in the queue, normally those of the last :data:`BATCH_DELAY` seconds.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.signals import block_signals
from torrentnet.runtime.system import MACHINE
from torrentnet.tracker.journal import schema
from torrentnet.tracker.journal.holder_lists import find_list
from torrentnet.tracker.journal.record_writer import coalesce, write_records
from torrentnet.tracker.journal.records import RequestOpened
from torrentnet.tracker.journal.request_store import RequestStore
from torrentnet.tracker.settings import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from torrentnet.runtime.system import System, SystemThread
    from torrentnet.tracker.journal.record_writer import NumberedRecord
    from torrentnet.tracker.journal.records import Record
    from torrentnet.tracker.journal.request_parts import RequestPart

BATCH_DELAY: Final = 0.05
"""How long the first record of a batch waits for further records."""
MAX_BATCH: Final = 2_000
"""Most records per transaction, so that no query waits for long."""
BEHIND_THRESHOLD: Final = 20_000
"""Number of queued records from which on the tracker accepts no new work."""
QUEUE_CAPACITY: Final = 200_000
"""Number of queued records from which on records are lost. Without new work there are few of them."""
RETRY_DELAY: Final = 1.0
"""Time between two attempts to write while the database cannot be written, such as on a full disk."""
RECORDS_PER_PRUNE: Final = 1_000
"""Records that are written between two deletions of old rows."""

_WAKE_SIZES: Final = 1, MAX_BATCH
"""Lengths of the queue at which the thread is woken: a first record, and a full batch."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How many rows are kept. Waiting requests and alive holders are always kept."""

    requests: int
    events: int
    gone: int
    """Holders that are gone, and files without a holder."""
    size: int = 1024 * 1024 * 1024
    """Bytes of all rows. When they are more, the oldest rows are deleted, however few rows are left."""


IN_MEMORY: Final = Retention(requests=20_000, events=50_000, gone=10_000, size=64 * 1024 * 1024)
ON_DISK: Final = Retention(requests=1_000_000, events=2_000_000, gone=200_000)
_SHRINK: Final = 0.75
"""Share of the rows that is kept at each step until the bytes fit."""
_MIN_ROWS: Final = 1_000
"""Rows that are kept whatever their bytes."""
_OF_ONE_RECORD: Final = sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError
"""Errors of a record, not of the whole database."""


class Journal:
    """A journal in the directory ``state``, or in memory; thread-safe.

    ``trouble`` is called on the journal's thread with a sentence when the journal can no longer be written, and again
    when it can. Raises :class:`~torrentnet.tracker.journal.schema.JournalError` when it cannot be opened.
    """

    def __init__(
        self,
        state: Path | None = None,
        *,
        trouble: Callable[[str], None] = lambda _: None,
        retention: Retention | None = None,
        limits: Limits | None = None,
        system: System = MACHINE,
    ) -> None:
        self.location = "in memory" if state is None else str(state / schema.FILE_NAME)
        self.lost = 0
        """Records that could neither be written nor queued."""
        self.trouble = trouble
        self._retention = retention or (IN_MEMORY if state is None else ON_DISK)
        self._limits = limits or Limits()
        self._database = schema.connect(state)
        self._access = threading.Lock()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._done = threading.Condition(self._lock)
        self._queue: deque[Record] = deque()
        try:
            self._requests = RequestStore(self._database)
            self._serial = self._next_serial()
            self._report_damage()
        except (ValueError, sqlite3.DatabaseError) as error:
            self._database.close()
            raise schema.damaged_error(self.location, str(error)) from None
        self._accepted = 0
        self._settled = 0
        self._since_prune = 0
        self._flush_target = 0
        self._closing = False
        self._failing = False
        self._start_thread = system.start_thread
        self._thread: SystemThread | None = None
        self._database.execute("UPDATE holdings SET state = ? WHERE state = ?", (schema.UNHEARD, schema.ALIVE))

    def start(self) -> None:
        """Start the writing thread."""
        self._thread = self._start_thread(self._run, "journal")

    @property
    def next_request(self) -> int:
        """Number of the next request."""
        with self._access:
            return self._requests.newest + 1

    def waiting(self) -> list[RequestOpened]:
        """Return the requests that an earlier process left without an outcome."""
        with self._access:
            requests = self._requests.waiting(self._limits.open_requests)
        return [
            RequestOpened(
                *request.opened[1:8], info_hash=request.info_hash, holders=(), holder_count=request.holder_count
            )
            for request in requests
        ]

    def is_behind(self) -> bool:
        """Return whether the queue is so long that new work must wait.

        While the database cannot be written, new work does not wait: its records may be lost.
        """
        return len(self._queue) >= BEHIND_THRESHOLD and not self._failing

    def write(self, record: Record) -> None:
        """Queue one record, or lose it when the queue is full. Only for the loop's thread.

        The capacity of the queue is lower while the database cannot be written.
        """
        queue = self._queue
        if len(queue) >= (BEHIND_THRESHOLD if self._failing or self._closing else QUEUE_CAPACITY):
            self.lost += 1
            return
        queue.append(record)
        self._accepted += 1
        if len(queue) in _WAKE_SIZES:
            with self._lock:
                self._work.notify()

    def write_all(self, records: Sequence[Record]) -> None:
        """Queue several records; like :meth:`write`."""
        queue = self._queue
        before = len(queue)
        if before + len(records) >= BEHIND_THRESHOLD:
            for record in records:
                self.write(record)
            return
        queue.extend(records)
        self._accepted += len(records)
        if not before or before < MAX_BATCH <= before + len(records):
            with self._lock:
                self._work.notify()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all queued records are written; return False if that fails."""
        with self._lock:
            target = self._flush_target = self._accepted
            self._work.notify()
            return self._done.wait_for(lambda: self._settled >= target or self._failing, timeout) and not self._failing

    def read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """Return all rows of a query. A long result must be read page by page."""
        with self._access:
            return self._database.execute(query, values).fetchall()

    def request_parts(self, block: int) -> list[RequestPart]:
        """Return the parts of a block of requests, without damaged ones."""
        with self._access:
            parts = self._requests.read(block)
        self._report_damage()
        return parts

    def holder_list(self, cell: str) -> str:
        """Return the holders of a request as JSON, from the cell of its row."""
        with self._access:
            return find_list(self._database, cell)

    def close(self, timeout: float = 0.7) -> None:
        """Write the queue and close the database; may be called twice."""
        with self._lock:
            self._closing = True
            self._work.notify()
        if self._thread is not None:
            self._thread.join(timeout)
        with self._lock:
            self.lost += len(self._queue)
            self._queue.clear()
        with self._access:
            self._database.close()

    def _run(self) -> None:
        block_signals()
        while True:
            with self._lock:
                self._work.wait_for(lambda: self._queue or self._closing)
                self._work.wait_for(self._must_write_now, BATCH_DELAY)
                batch = [self._queue.popleft() for _ in range(min(MAX_BATCH, len(self._queue)))]
                if not batch and self._closing:
                    return
            try:
                self._write_batch(batch)
                self._report_damage()
            except Exception as error:  # without this thread, no look-up would be answered any more
                self.lost += len(batch)
                self.trouble(f"the journal has lost {len(batch)} records: {type(error).__name__}: {error}")
            with self._lock:
                self._settled += len(batch)
                self._done.notify_all()

    def _must_write_now(self) -> bool:
        return self._closing or self._flush_target > self._settled or len(self._queue) >= MAX_BATCH

    def _write_batch(self, batch: list[Record]) -> None:
        records = list(enumerate(batch, self._serial))
        self._serial += len(records)
        while True:
            try:
                self._write_transaction(records)
            except sqlite3.DatabaseError as error:
                if isinstance(error, _OF_ONE_RECORD):
                    self._write_one_by_one(records)
                    return
                if not self._wait_for_retry(str(error)):
                    self.lost += len(records)
                    return
            except Exception:
                # A record that cannot be written must not prevent the others from being written.
                self._write_one_by_one(records)
                return
            else:
                break
        if self._failing:
            with self._lock:
                self._failing = False
            self.trouble("the journal can be written again")
        self._since_prune += len(records)
        if self._since_prune >= RECORDS_PER_PRUNE:
            self._since_prune = 0
            with contextlib.suppress(sqlite3.DatabaseError):
                # If the disk is full or damaged, the next batch reports it.
                self._prune()

    def _write_transaction(self, records: list[NumberedRecord]) -> None:
        with self._transaction():
            others = self._requests.write(records)
            if others:
                write_records(self._database, coalesce(others))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._access:
            self._database.execute("BEGIN")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                self._requests.reload()
                raise

    def _write_one_by_one(self, records: list[NumberedRecord]) -> None:
        failed = 0
        for record in records:
            try:
                self._write_transaction([record])
            except Exception as error:
                failed += 1
                if failed == 1:
                    self.trouble(f"the journal cannot store a {type(record[1]).__name__}: {error}")
        self.lost += failed
        if failed > 1:
            self.trouble(f"the journal cannot store {failed - 1} further records")

    def _wait_for_retry(self, cause: str) -> bool:
        """Report the first of several failures, wait, and return False when closing."""
        if not self._failing:
            self.trouble(f"the journal cannot be written: {cause}; requests are still answered, their log is delayed")
        with self._lock:
            self._failing = True
            self._done.notify_all()
            return not self._work.wait_for(lambda: self._closing, RETRY_DELAY)

    def _report_damage(self) -> None:
        while self._requests.set_aside:
            self.trouble(self._requests.set_aside.pop(0))

    def _prune(self) -> None:
        self._delete_rows(self._retention)
        before: tuple[int, ...] = ()
        while self._used_size() > self._retention.size:
            counts = self._requests.kept, self._id_range("events"), self._id_range("holdings")
            if counts == before:
                return
            before = counts
            requests, events, gone = (max(_MIN_ROWS, int(count * _SHRINK)) for count in counts)
            self._delete_rows(Retention(requests, events, gone))

    def _used_size(self) -> int:
        """Return the bytes of the database without its free pages, which later rows fill."""
        with self._access:
            pages, free, size = (
                self._database.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def _id_range(self, table: str) -> int:
        with self._access:
            first, last = self._database.execute(f"SELECT min(id), max(id) FROM {table}").fetchone()
        return 0 if first is None else int(last - first + 1)

    def _delete_rows(self, keep: Retention) -> None:
        with self._transaction():
            self._requests.prune(keep.requests)
            for table, condition, limit in (
                ("events", "1", keep.events),
                ("holdings", f"state = '{schema.GONE}'", keep.gone),
            ):
                self._database.execute(
                    f"DELETE FROM {table} WHERE {condition} AND id <= (SELECT max(id) FROM {table}) - ?", (limit,)
                )
            if self._database.execute("SELECT count(*) FROM files").fetchone()[0] > keep.gone:
                self._database.execute(
                    "DELETE FROM files WHERE NOT EXISTS (SELECT 1 FROM holdings WHERE info_hash = files.info_hash)"
                    " AND NOT EXISTS (SELECT 1 FROM events WHERE info_hash = files.info_hash)"
                )

    def _next_serial(self) -> int:
        newest = self._database.execute("SELECT serial FROM events ORDER BY id DESC LIMIT 1").fetchone()
        return 1 + max(self._requests.last_serial, newest[0] if newest else 0)
