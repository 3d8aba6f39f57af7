"""The request log in the database: blocks of requests, stored in parts.

Parts are appended, and old blocks are deleted, except for their waiting requests. All blocks with waiting requests are
listed in a table of their own, so that a tracker that starts reads no other blocks.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from torrentnet.tracker.journal.holder_lists import HolderLists, find_list, names_json, prune_lists
from torrentnet.tracker.journal.records import RequestClosed, RequestOpened, RequestUpdated
from torrentnet.tracker.journal.request_parts import BLOCK_BITS, RequestPart, UpdatedEntry, pack_part, unpack_part
from torrentnet.tracker.journal.request_replay import replay

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from torrentnet.tracker.journal.records import Record
    from torrentnet.tracker.journal.request_replay import LoggedRequest

MAX_PARTS: Final = 8
"""Most parts of a full block before they are merged. A log that grows slowly has one part per record."""
NAME_DELIMITER: Final = "\n"
"""Encloses each name in the column that is searched for names."""
_NO_SOURCES: Final = "[]"
_SELECT_PARTS: Final = "SELECT id, CAST(data AS BLOB) FROM request_parts WHERE block = ? ORDER BY id"
_SET_ASIDE: Final = """
CREATE TABLE IF NOT EXISTS damaged_parts (id INTEGER PRIMARY KEY, block INTEGER NOT NULL, data BLOB);
INSERT OR REPLACE INTO damaged_parts SELECT id, block, data FROM request_parts WHERE id = {id};
DELETE FROM request_parts WHERE id = {id}
"""


class _BlockChanges:
    """The records of a transaction about requests of one block."""

    def __init__(self) -> None:
        self.opened: list[RequestOpened] = []
        self.opened_serials: list[int] = []
        self.updated: list[UpdatedEntry] = []
        self.closed: list[RequestClosed] = []
        self.closed_serials: list[int] = []


class RequestStore:
    """Writes the request log into ``database``, in the caller's transactions.

    Raises what sqlite3 raises, and ValueError or OverflowError for a record that cannot be stored; then the caller
    rolls back and calls :meth:`reload`.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._lists = HolderLists()
        self._waiting: dict[int, set[int]] = {}
        self._part_counts: dict[int, int] = {}
        self._kept_from = 0
        self._changed_old_blocks: set[int] = set()
        self._damaged_blocks: set[int] = set()
        self.set_aside: list[str] = []
        """Sentences about damaged parts that were found; the caller reports and removes them."""
        self.newest = 0
        """Highest number of a request so far, 0 if there was none."""
        self.last_serial = 0
        """Upper bound of the serial numbers that have been written."""
        self.reload()

    def reload(self) -> None:
        """Read the state of the tables again, after a transaction was rolled back."""
        database = self._database
        self._lists.reset()
        first, newest = database.execute(
            "SELECT (SELECT min(block) FROM request_parts), (SELECT max(block) FROM request_parts)"
        ).fetchone()
        self._waiting = {
            block: {request.opened.number for request in self._requests(block) if request.closed is None}
            for (block,) in database.execute("SELECT block FROM waiting_blocks").fetchall()
        }
        self._kept_from = first or 0
        self.newest = 0
        if newest is not None:
            numbers = [request.opened.number for request in self._requests(newest)]
            self.newest = max(numbers, default=newest << BLOCK_BITS)
            if newest in self._damaged_blocks:
                # The lost requests may have had any number of the block.
                self.newest = (newest + 1 << BLOCK_BITS) - 1
        last = database.execute("SELECT last_serial FROM request_parts ORDER BY id DESC LIMIT 1").fetchone()
        self.last_serial = last[0] if last else 0
        self._changed_old_blocks.clear()
        self._part_counts = dict(
            database.execute(
                "SELECT block, count(*) FROM request_parts GROUP BY block HAVING count(*) > ?", (MAX_PARTS,)
            ).fetchall()
        )

    def waiting(self, limit: int) -> list[LoggedRequest]:
        """Return the last ``limit`` requests without an outcome, oldest first."""
        found: list[LoggedRequest] = []
        for block in sorted(self._waiting, reverse=True):
            if len(found) >= limit:
                break
            found += [request for request in reversed(self._requests(block)) if request.closed is None]
        return found[limit - 1 :: -1] if len(found) > limit else found[::-1]

    @property
    def kept(self) -> int:
        """Number of requests from the oldest kept block on."""
        return max(0, self.newest - (self._kept_from << BLOCK_BITS))

    def read(self, block: int) -> list[RequestPart]:
        """Return the parts of a block; set aside those that are damaged."""
        parts: list[RequestPart] = []
        for number, data in self._database.execute(_SELECT_PARTS, (block,)).fetchall():
            try:
                parts.append(unpack_part(data))
            except ValueError as error:
                for statement in _SET_ASIDE.format(id=number).split(";"):
                    self._database.execute(statement)
                self._damaged_blocks.add(block)
                self.set_aside.append(
                    f"the journal's part {number} is damaged ({error}) and was set aside in the table damaged_parts:"
                    f" some of the requests {block << BLOCK_BITS} to {(block + 1 << BLOCK_BITS) - 1} are missing"
                )
        return parts

    def write(self, numbered: Sequence[tuple[int, Record]]) -> list[tuple[int, Record]]:
        """Write the records about requests and return the other records."""
        self.last_serial = numbered[-1][0]
        blocks: defaultdict[int, _BlockChanges] = defaultdict(_BlockChanges)
        others: list[tuple[int, Record]] = []
        for numbered_record in numbered:
            serial, record = numbered_record
            if isinstance(record, RequestClosed):
                changes = blocks[record[1] >> BLOCK_BITS]
                changes.closed_serials.append(serial)
                changes.closed.append(record)
            elif isinstance(record, RequestOpened):
                changes = blocks[record[1] >> BLOCK_BITS]
                changes.opened_serials.append(serial)
                changes.opened.append(record)
            elif isinstance(record, RequestUpdated):
                holders = None if record.holders is None else names_json(record.holders)
                entry = UpdatedEntry(serial, record.number, record.info_hash, holders, record.holder_count)
                blocks[record.number >> BLOCK_BITS].updated.append(entry)
            else:
                others.append(numbered_record)
        for block, changes in blocks.items():
            self._write_block(block, changes)
        self._lists.write(self._database)
        return others

    def prune(self, keep: int) -> None:
        """Delete the blocks before the last ``keep`` requests, but no waiting requests."""
        keep_from = max(self._kept_from, (self.newest - keep + 1) >> BLOCK_BITS)
        for block in (*sorted(self._changed_old_blocks), *range(self._kept_from, keep_from)):
            self._reduce(block)
        self._changed_old_blocks.clear()
        self._kept_from = keep_from
        prune_lists(self._database, keep_from << BLOCK_BITS)
        first_unfinished = self.newest >> BLOCK_BITS
        for block, parts in list(self._part_counts.items()):
            if block < first_unfinished and not self._waiting.get(block):
                if parts > MAX_PARTS:
                    self._merge(block)
                del self._part_counts[block]

    def _requests(self, block: int) -> list[LoggedRequest]:
        return replay(self.read(block))

    def _write_block(self, block: int, changes: _BlockChanges) -> None:
        opened: list[Sequence[Any]] = []
        closed: list[Sequence[Any]] = []
        files: set[str] = set()
        hashes: set[bytes | None] = set()
        waiting = self._waiting.setdefault(block, set())
        had_waiting = bool(waiting)
        if changes.opened:
            columns: list[Sequence[Any]] = list(zip(*changes.opened, strict=True))
            _, numbers, _, _, _, _, names, info_hashes, holders, _ = columns
            columns[8] = list(map(self._lists.cell, holders, numbers))
            opened = [changes.opened_serials, *columns]
            files.update(names)
            hashes.update(info_hashes)
            waiting.update(numbers)
            self.newest = max(self.newest, *numbers)
        if changes.closed:
            closed = [changes.closed_serials, *zip(*changes.closed, strict=True)]
            _, _, numbers, _, info_hashes, _, sources, _, _, _ = closed
            closed[6] = [json.dumps(some, ensure_ascii=False) if some else _NO_SOURCES for some in sources]
            hashes.update(info_hashes)
            waiting.difference_update(numbers)
        self._insert(block, pack_part(opened, changes.updated, closed), len(changes.opened), files, hashes)
        if changes.updated:
            # These requests may have been reopened, may be closed since, or may be unknown.
            waiting.clear()
            waiting.update(request.opened.number for request in self._requests(block) if request.closed is None)
        if block < self._kept_from:
            self._changed_old_blocks.add(block)
        self._note_waiting(block, had_waiting)

    def _insert(
        self, block: int, data: bytes, opened: int, files: Iterable[str], hashes: Iterable[bytes | None]
    ) -> None:
        names = "".join(f"{NAME_DELIMITER}{name}{NAME_DELIMITER}" for name in files)
        joined = b"".join(info_hash for info_hash in hashes if info_hash is not None)
        self._database.execute(
            "INSERT INTO request_parts (block, opened, last_serial, files, hashes, data) VALUES (?, ?, ?, ?, ?, ?)",
            (block, opened, self.last_serial, names, joined, data),
        )
        self._part_counts[block] = self._part_counts.get(block, 0) + 1

    def _note_waiting(self, block: int, had_waiting: bool) -> None:
        has_waiting = bool(self._waiting[block])
        if has_waiting and not had_waiting:
            self._database.execute("INSERT OR REPLACE INTO waiting_blocks (block) VALUES (?)", (block,))
        elif had_waiting and not has_waiting:
            self._database.execute("DELETE FROM waiting_blocks WHERE block = ?", (block,))
        if not has_waiting:
            del self._waiting[block]

    def _reduce(self, block: int) -> None:
        """Delete the requests of an old block that do not wait."""
        parts = self.read(block) if self._waiting.get(block) else []
        self._delete(block)
        if not parts:
            return
        opened = [
            request.opened._replace(
                info_hash=request.info_hash,
                holders=find_list(self._database, request.holders),
                holder_count=request.holder_count,
            )
            for request in replay(parts)
            if request.closed is None
        ]
        self._insert_part(block, RequestPart(opened, [], []))

    def _merge(self, block: int) -> None:
        parts = self.read(block)
        self._delete(block)
        if parts:  # all of them may be damaged
            joined = (list(chain.from_iterable(some)) for some in zip(*parts, strict=True))
            self._insert_part(block, RequestPart(*joined))

    def _insert_part(self, block: int, part: RequestPart) -> None:
        opened, closed = list(zip(*part.opened, strict=True)), list(zip(*part.closed, strict=True))
        files = {entry.file for entry in part.opened}
        hashes = {entry.info_hash for entry in part.opened} | {entry.info_hash for entry in part.closed}
        self._insert(block, pack_part(opened, part.updated, closed), len(part.opened), files, hashes)

    def _delete(self, block: int) -> None:
        self._database.execute("DELETE FROM request_parts WHERE block = ?", (block,))
        self._part_counts.pop(block, None)
