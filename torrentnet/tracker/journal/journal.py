"""The tracker's memory: what was published, who held it, what was asked and how it ended, in SQLite.

Records are handed over on the packet loop and written by a thread of the journal's own, many in one transaction. The
loop never waits for it: when the thread is far behind, the tracker takes no new work (:meth:`Journal.is_behind`) until
it has caught up. A tracker that is killed loses no more than :data:`BATCH_DELAY` seconds, or what waits in the queue.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.signals import block_signals
from torrentnet.tracker.journal import holder_lists, schema
from torrentnet.tracker.journal.record_writer import coalesce, write_records
from torrentnet.tracker.journal.records import RequestOpened
from torrentnet.tracker.journal.request_store import RequestStore
from torrentnet.tracker.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from torrentnet.tracker.journal.record_writer import NumberedRecord
    from torrentnet.tracker.journal.records import Record

BATCH_DELAY: Final = 0.05
"""How long the first record of a batch waits for others."""
MAX_BATCH: Final = 2_000
"""Records of one transaction at most, so that a reader never waits long."""
BEHIND_THRESHOLD: Final = 20_000
"""Records that may wait to be written before no new work is taken."""
QUEUE_CAPACITY: Final = 200_000
"""Records that may wait at the very most: also work that is under way, and peers that leave, make some."""
RETRY_DELAY: Final = 1.0
"""How long to wait when the database cannot be written (disk full) before the next try."""
RECORDS_PER_PRUNE: Final = 1_000
"""Records between two looks at whether old rows must go."""

_NEWS: Final = 1, MAX_BATCH
"""Records in the queue at which the journal's thread is woken: there is work, and a batch is full."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How many rows are kept; the oldest ones that are over go first. Waiting requests and living holders never do."""

    requests: int
    events: int
    gone: int
    """Holders that are gone, and files that nobody holds."""


IN_MEMORY: Final = Retention(requests=20_000, events=50_000, gone=10_000)
ON_DISK: Final = Retention(requests=1_000_000, events=2_000_000, gone=200_000)


class Journal:
    """A journal in the directory ``state``, or in memory. Usable from several threads between start and close.

    ``trouble`` is called, on the journal's thread, with a sentence when it cannot be written any more, and again
    when it can. Raises :class:`~torrentnet.tracker.journal.schema.JournalError` when it cannot be kept there.
    """

    def __init__(
        self,
        state: Path | None = None,
        *,
        trouble: Callable[[str], None] = lambda _: None,
        retention: Retention | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.place = "in memory" if state is None else str(state / schema.FILE_NAME)
        self.lost = 0
        """Records that could not be written, nor kept until they could."""
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
        except (ValueError, sqlite3.DatabaseError) as error:
            self._database.close()
            raise schema.damaged_error(self.place, str(error)) from None
        self._handed_over = 0
        self._settled = 0
        self._since_prune = 0
        self._wanted = 0
        self._closing = False
        self._failing = False
        self._thread: threading.Thread | None = None
        self._execute("UPDATE holdings SET state = ? WHERE state = ?", (schema.UNHEARD, schema.ALIVE))

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def next_request(self) -> int:
        """The number that the next request gets."""
        with self._access:
            return self._requests.newest + 1

    def waiting(self) -> list[RequestOpened]:
        """The requests that an earlier life left without an outcome, oldest first."""
        with self._access:
            rows = self._requests.waiting(self._limits.open_requests)
        return [
            RequestOpened(
                row.began.time_ms,
                row.began.number,
                row.began.peer,
                row.began.ip,
                row.began.port,
                row.began.peer_id,
                row.began.file,
                row.info_hash,
                (),
                row.total,
            )
            for row in rows
        ]

    def is_behind(self) -> bool:
        """Whether so much waits to be written that new work had better wait. Not while the database takes nothing."""
        return len(self._queue) >= BEHIND_THRESHOLD and not self._failing

    def write(self, record: Record) -> None:
        """Take one record, at once; for one thread only.

        One too many is lost: of few while the database cannot be written, else of many.
        """
        queue = self._queue
        if len(queue) >= (BEHIND_THRESHOLD if self._failing or self._closing else QUEUE_CAPACITY):
            self.lost += 1
            return
        queue.append(record)
        self._handed_over += 1
        if len(queue) in _NEWS:
            with self._lock:
                self._work.notify()

    def write_all(self, records: Sequence[Record]) -> None:
        """Take several records, as :meth:`write` takes one."""
        queue = self._queue
        before = len(queue)
        if before + len(records) >= BEHIND_THRESHOLD:
            for record in records:
                self.write(record)
            return
        queue.extend(records)
        self._handed_over += len(records)
        if not before or before < MAX_BATCH <= before + len(records):
            with self._lock:
                self._work.notify()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was handed over before is written; False when ``timeout`` seconds were not enough."""
        with self._lock:
            target = self._wanted = self._handed_over
            self._work.notify()
            return self._done.wait_for(lambda: self._settled >= target or self._failing, timeout) and not self._failing

    def read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """All rows of a query; long answers are asked for page by page, so that the writer gets its turn."""
        with self._access:
            return self._database.execute(query, values).fetchall()

    def holder_list(self, shown: str) -> str:
        """The names, as JSON, that a request's row shows or stands for."""
        with self._access:
            return holder_lists.find_list(self._database, shown)

    def close(self, timeout: float = 0.7) -> None:
        """Write what is there and let go of the database. Records that come later are lost. May be called twice."""
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
                self._work.wait_for(self._in_a_hurry, BATCH_DELAY)
                batch = [self._queue.popleft() for _ in range(min(MAX_BATCH, len(self._queue)))]
                if not batch and self._closing:
                    return
            self._settle(batch)
            with self._lock:
                self._settled += len(batch)
                self._done.notify_all()

    def _in_a_hurry(self) -> bool:
        return self._closing or self._wanted > self._settled or len(self._queue) >= MAX_BATCH

    def _settle(self, batch: list[Record]) -> None:
        records = list(enumerate(batch, self._serial))
        self._serial += len(records)
        while True:
            try:
                self._transact(records)
            except sqlite3.OperationalError as error:
                if not self._wait_for_better(str(error)):
                    self.lost += len(records)
                    return
            except Exception:
                # One record that the database does not take must not take the others with it.
                self._one_by_one(records)
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
            with contextlib.suppress(sqlite3.OperationalError):
                # Where that is a full disk, the next record says so.
                self._prune()

    def _transact(self, records: list[NumberedRecord]) -> None:
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
                self._requests.forget()
                raise

    def _one_by_one(self, records: list[NumberedRecord]) -> None:
        for record in records:
            try:
                self._transact([record])
            except Exception as error:
                self.lost += 1
                self.trouble(f"the journal did not take a {type(record[1]).__name__}: {error}")

    def _wait_for_better(self, cause: str) -> bool:
        if not self._failing:
            self.trouble(f"the journal cannot be written: {cause}; requests go on, their log waits")
        with self._lock:
            self._failing = True
            self._done.notify_all()
            return not self._work.wait_for(lambda: self._closing, RETRY_DELAY)

    def _prune(self) -> None:
        keep = self._retention
        with self._transaction():
            self._requests.prune(keep.requests)
            for table, condition, most in (
                ("events", "1", keep.events),
                ("holdings", f"state = '{schema.GONE}'", keep.gone),
            ):
                self._database.execute(
                    f"DELETE FROM {table} WHERE {condition} AND id <= (SELECT max(id) FROM {table}) - ?", (most,)
                )
            if self._database.execute("SELECT count(*) FROM files").fetchone()[0] > keep.gone:
                self._database.execute(
                    "DELETE FROM files WHERE NOT EXISTS (SELECT 1 FROM holdings WHERE info_hash = files.info_hash)"
                    " AND NOT EXISTS (SELECT 1 FROM events WHERE info_hash = files.info_hash)"
                )

    def _next_serial(self) -> int:
        newest = self._database.execute("SELECT coalesce(serial, id) FROM events ORDER BY id DESC LIMIT 1").fetchone()
        return 1 + max(self._requests.last, newest[0] if newest else 0)

    def _execute(self, statement: str, values: tuple[object, ...]) -> None:
        with self._access:
            self._database.execute(statement, values)
