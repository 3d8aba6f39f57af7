"""The request log's table: parts are added, and when a block of requests is old it goes as a whole.

Requests that wait are never let go of, so an old block keeps those alone. Which blocks have some is a table of its own:
a tracker that starts again reads no others.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from torrentnet.tracker.journal import holder_lists
from torrentnet.tracker.journal.holder_lists import HolderLists, names_json
from torrentnet.tracker.journal.records import RequestClosed, RequestOpened, RequestUpdated
from torrentnet.tracker.journal.request_parts import BLOCK_BITS, RequestPart, UpdatedEntry, pack_part, unpack_part
from torrentnet.tracker.journal.request_replay import SELECT_PARTS, read_block, replay

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from torrentnet.tracker.journal.records import Record
    from torrentnet.tracker.journal.request_replay import LoggedRequest

MAX_PARTS: Final = 8
"""Parts of a full block above which they become one: a log that grows slowly has a part for each record."""
NAME_DELIMITER: Final = "\n"
"""Stands before and behind each name in the column that is searched for one."""
_NO_SOURCES: Final = "[]"


class _BlockChanges:
    """What a transaction does to one block."""

    def __init__(self) -> None:
        self.began: list[RequestOpened] = []
        self.began_at: list[int] = []
        self.saw: list[UpdatedEntry] = []
        self.ended: list[RequestClosed] = []
        self.ended_at: list[int] = []


class RequestStore:
    """Writes into ``database``, which has the tables, in the caller's transactions.

    Raises what sqlite3 raises, and ValueError or OverflowError for a record that cannot be kept; then the caller rolls
    back and calls :meth:`forget`.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._lists = HolderLists()
        self._waiting: dict[int, set[int]] = {}
        self._parts: dict[int, int] = {}
        self._kept_from = 0
        self._disturbed: set[int] = set()
        self._newest = self._last = 0
        self.forget()

    def forget(self) -> None:
        """What was written last is not there: learn anew how the tables stand."""
        database = self._database
        self._lists.forget()
        self._waiting = {
            block: {row.began.number for row in read_block(database, block) if row.ended is None}
            for (block,) in database.execute("SELECT block FROM waiting_blocks").fetchall()
        }
        first, newest = database.execute(
            "SELECT (SELECT min(block) FROM request_parts), (SELECT max(block) FROM request_parts)"
        ).fetchone()
        self._kept_from = first or 0
        self._newest = 0
        if newest is not None:
            numbers = (row.began.number for row in read_block(database, newest))
            self._newest = max(numbers, default=newest << BLOCK_BITS)
        last = database.execute("SELECT last FROM request_parts ORDER BY id DESC LIMIT 1").fetchone()
        self._last = last[0] if last else 0
        self._disturbed.clear()
        self._parts = dict(
            database.execute(
                "SELECT block, count(*) FROM request_parts GROUP BY block HAVING count(*) > ?", (MAX_PARTS,)
            ).fetchall()
        )

    @property
    def newest(self) -> int:
        """The highest number that a request has had, 0 when there was none."""
        return self._newest

    @property
    def last(self) -> int:
        """The highest serial that has been written, or higher."""
        return self._last

    def waiting(self, most: int) -> list[LoggedRequest]:
        """The last ``most`` requests that have no outcome, oldest first."""
        found: list[LoggedRequest] = []
        for block in sorted(self._waiting, reverse=True):
            if len(found) >= most:
                break
            found += [row for row in reversed(read_block(self._database, block)) if row.ended is None]
        return found[most - 1 :: -1] if len(found) > most else found[::-1]

    def write(self, numbered: Sequence[tuple[int, Record]]) -> list[tuple[int, Record]]:
        """Write those records that are about requests, each behind its serial, in their order; gives the others."""
        self._last = numbered[-1][0]
        blocks: defaultdict[int, _BlockChanges] = defaultdict(_BlockChanges)
        others: list[tuple[int, Record]] = []
        for numbered_record in numbered:
            serial, record = numbered_record
            if isinstance(record, RequestClosed):
                entries = blocks[record[1] >> BLOCK_BITS]
                entries.ended_at.append(serial)
                entries.ended.append(record)
            elif isinstance(record, RequestOpened):
                entries = blocks[record[1] >> BLOCK_BITS]
                entries.began_at.append(serial)
                entries.began.append(record)
            elif isinstance(record, RequestUpdated):
                holders = None if record.holders is None else names_json(record.holders)
                saw = UpdatedEntry(serial, record.number, record.info_hash, holders, record.total)
                blocks[record.number >> BLOCK_BITS].saw.append(saw)
            else:
                others.append(numbered_record)
        for block, entries in blocks.items():
            self._add(block, entries)
        self._lists.write(self._database)
        return others

    def prune(self, keep: int) -> None:
        """Let go of the blocks whose requests are none of the last ``keep``, but for those that wait."""
        keep_from = max(self._kept_from, (self._newest - keep + 1) >> BLOCK_BITS)
        for block in (*sorted(self._disturbed), *range(self._kept_from, keep_from)):
            self._let_go(block)
        self._disturbed.clear()
        self._kept_from = keep_from
        holder_lists.prune_lists(self._database, keep_from << BLOCK_BITS)
        full = self._newest >> BLOCK_BITS
        for block, parts in list(self._parts.items()):
            if block < full and not self._waiting.get(block):
                if parts > MAX_PARTS:
                    self._put_together(block)
                del self._parts[block]

    def _add(self, block: int, entries: _BlockChanges) -> None:
        began: list[Sequence[Any]] = []
        ended: list[Sequence[Any]] = []
        files: set[str] = set()
        hashes: set[bytes | None] = set()
        waiting = self._waiting.setdefault(block, set())
        waited = bool(waiting)
        if entries.began:
            columns: list[Sequence[Any]] = list(zip(*entries.began, strict=True))
            _, numbers, _, _, _, _, names, info_hashes, holders, _ = columns
            columns[8] = list(map(self._lists.in_row, holders, numbers))
            began = [entries.began_at, *columns]
            files.update(names)
            hashes.update(info_hashes)
            waiting.update(numbers)
            self._newest = max(self._newest, *numbers)
        if entries.ended:
            ended = [entries.ended_at, *zip(*entries.ended, strict=True)]
            _, _, numbers, _, info_hashes, _, sources, _, _, _ = ended
            ended[6] = [json.dumps(some, ensure_ascii=False) if some else _NO_SOURCES for some in sources]
            hashes.update(info_hashes)
            waiting.difference_update(numbers)
        self._insert(block, pack_part(began, entries.saw, ended), len(entries.began), 1, files, hashes)
        if entries.saw:
            # Those may be open again, or have ended again, or be none that is known.
            waiting.clear()
            waiting.update(row.began.number for row in read_block(self._database, block) if row.ended is None)
        if block < self._kept_from:
            self._disturbed.add(block)
        self._note_waiting(block, waited)

    def _insert(
        self, block: int, data: bytes, began: int, told: int, files: Iterable[str], hashes: Iterable[bytes | None]
    ) -> None:
        names = "".join(f"{NAME_DELIMITER}{name}{NAME_DELIMITER}" for name in files)
        joined = b"".join(info_hash for info_hash in hashes if info_hash is not None)
        self._database.execute(
            "INSERT INTO request_parts (block, began, told, last, files, hashes, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (block, began, told, self._last, names, joined, data),
        )
        self._parts[block] = self._parts.get(block, 0) + 1

    def _note_waiting(self, block: int, waited: bool) -> None:
        waits = bool(self._waiting[block])
        if waits and not waited:
            self._database.execute("INSERT OR REPLACE INTO waiting_blocks (block) VALUES (?)", (block,))
        elif waited and not waits:
            self._database.execute("DELETE FROM waiting_blocks WHERE block = ?", (block,))
        if not waits:
            del self._waiting[block]

    def _let_go(self, block: int) -> None:
        """Of an old block only those requests stay that wait, with the lists of holders that may go now."""
        waiting = self._waiting.get(block)
        told, parts = self._read(block) if waiting else (1, [])
        self._delete(block)
        if not waiting:
            return
        rows = [
            row.began._replace(
                info_hash=row.info_hash, holders=holder_lists.find_list(self._database, row.holders), total=row.total
            )
            for row in replay(parts)
            if row.ended is None
        ]
        self._replace(block, told, RequestPart(rows, [], []))

    def _put_together(self, block: int) -> None:
        told, parts = self._read(block)
        began, saw, ended = (list(chain.from_iterable(some)) for some in zip(*parts, strict=True))
        self._delete(block)
        self._replace(block, told, RequestPart(began, saw, ended))

    def _replace(self, block: int, told: int, part: RequestPart) -> None:
        began, ended = list(zip(*part.began, strict=True)), list(zip(*part.ended, strict=True))
        files = {one.file for one in part.began}
        hashes = {one.info_hash for one in part.began} | {one.info_hash for one in part.ended}
        self._insert(block, pack_part(began, part.saw, ended), len(part.began), told, files, hashes)

    def _read(self, block: int) -> tuple[int, list[RequestPart]]:
        found = self._database.execute(SELECT_PARTS, (block,)).fetchall()
        return min((told for told, _ in found), default=1), [unpack_part(data) for _, data in found]

    def _delete(self, block: int) -> None:
        self._database.execute("DELETE FROM request_parts WHERE block = ?", (block,))
        self._parts.pop(block, None)
