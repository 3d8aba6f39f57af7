"""The request log's rows of one transaction: gathered, so that what begins and ends in it is written once."""

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeAlias

from torrentnet.console.units import format_size
from torrentnet.tracker.bulk import Bulk
from torrentnet.tracker.holder_lists import as_json
from torrentnet.tracker.records import Kind, Result

if TYPE_CHECKING:
    import sqlite3

    from torrentnet.tracker.holder_lists import HolderLists
    from torrentnet.tracker.records import RequestBegan, RequestEnded, RequestSeesHolders

Event: TypeAlias = tuple[bytes, int, str, str, str]
"""A row of the table of events, as it goes into the database."""

_INSERT: Final = (
    "INSERT OR REPLACE INTO requests (id, time_ms, peer, ip, port, peer_id, file, info_hash, holders, total, result"
)
_WAITS: Final = Bulk(f"{_INSERT})", 10, constant=", 'waiting'")
_IS_OVER: Final = Bulk(f"{_INSERT}, sources, transferred, elapsed_ms, reason, ended_ms)", 16)
_INFO_HASH, _HOLDERS, _TOTAL = 7, 8, 9
_ASKED: Final = 10
"""Values of a row before those of its outcome."""
_ENDS: Final = Bulk(
    "WITH ended (result, sources, transferred, elapsed_ms, reason, ended_ms, info_hash, id) AS (",
    8,
    ") UPDATE requests SET result = ended.result, sources = ended.sources, transferred = ended.transferred,"
    " elapsed_ms = ended.elapsed_ms, reason = ended.reason, ended_ms = ended.ended_ms,"
    " info_hash = coalesce(ended.info_hash, requests.info_hash) FROM ended WHERE requests.id = ended.id",
)
_WAITING: Final = Result.WAITING.value
_SUCCEEDED, _LOST = Result.SUCCEEDED.value, Result.LOST.value
_REQUESTED: Final = Kind.REQUESTED.value


class RequestRows:
    """What a transaction does to the table of requests; events of files are added to ``events``.

    ``lists`` outlives it.
    """

    def __init__(self, database: sqlite3.Connection, events: list[Event], lists: HolderLists) -> None:
        self._database = database
        self._lists = lists
        self._events = events
        self._new: dict[int, list[object]] = {}
        self._ends: dict[int, tuple[object, ...]] = {}

    def began(self, record: RequestBegan) -> None:
        """A new row."""
        time_ms, number, peer, ip, port, peer_id, file, info_hash, holders, total = record
        self._ends.pop(number, None)
        shown = self._lists.in_row(holders, number)
        self._new[number] = [number, time_ms, peer, ip, port, peer_id, file, info_hash, shown, total]
        if info_hash is not None:
            have = f"{total} have it whole" if total else "nobody has it whole"
            self._events.append((info_hash, time_ms, _REQUESTED, peer, have))

    def sees_holders(self, record: RequestSeesHolders) -> None:
        """A row waits, again perhaps, and has other holders."""
        number = record.number
        row = self._new.get(number)
        if row is not None:
            del row[_ASKED:]
            row[_INFO_HASH] = record.info_hash
            if record.holders is not None:
                row[_HOLDERS], row[_TOTAL] = as_json(record.holders), record.total
            return
        self._end()
        self._database.execute(
            "UPDATE requests SET info_hash = ?, result = 'waiting', sources = NULL, transferred = NULL,"
            " elapsed_ms = NULL, reason = NULL, ended_ms = NULL WHERE id = ?",
            (record.info_hash, number),
        )
        if record.holders is not None:
            self._database.execute(
                "UPDATE requests SET holders = ?, total = ? WHERE id = ?",
                (as_json(record.holders), record.total, number),
            )

    def ended(self, record: RequestEnded) -> None:
        """A row's outcome; a later one replaces it."""
        time_ms, number, peer, info_hash, result, sources, transferred, elapsed_ms, reason = record
        word = result.value
        text = json.dumps(sources, ensure_ascii=False) if sources else "[]"
        outcome = word, text, transferred, elapsed_ms, reason, time_ms
        row = self._new.get(number)
        if row is not None:
            row[_ASKED:] = outcome
            row[_INFO_HASH] = info_hash or row[_INFO_HASH]
        else:
            before = self._ends.get(number)
            self._ends[number] = (*outcome, info_hash or (before and before[6]), number)
        if info_hash is not None:
            names = [name for name, _ in sources]
            self._events.append((info_hash, time_ms, word, peer, _detail(record, names)))

    def write(self) -> None:
        """Write all of it. Raises what sqlite3 raises."""
        rows = sorted(self._new.values(), key=itemgetter(0))
        _WAITS.run(self._database, [row for row in rows if len(row) == _ASKED])
        _IS_OVER.run(self._database, [row for row in rows if len(row) > _ASKED])
        self._new.clear()
        self._lists.write(self._database)
        self._end()

    def _end(self) -> None:
        _ENDS.run(self._database, list(self._ends.values()))
        self._ends.clear()


def describe_outcome(result: str, names: list[str], transferred: int, elapsed_ms: int, reason: str) -> str:
    """An outcome as a person reads it: ``succeeded from seeder-2 (8 MiB in 0.12 s)``, ``lost with the peer``."""
    if result == _WAITING:
        return "waiting"
    if result == _LOST:
        return "lost with the peer"
    if result == _SUCCEEDED:
        return f"succeeded {_success(names, transferred, elapsed_ms)}"
    text = f"failed: {reason}" if reason else "failed"
    return f"{text} ({format_size(transferred)} from {', '.join(names)})" if names else text


def _detail(record: RequestEnded, names: list[str]) -> str:
    """The same behind the word for it."""
    if record.result is Result.SUCCEEDED:
        return _success(names, record.transferred, record.elapsed_ms)
    if record.result is Result.LOST or not names:
        return record.reason
    return f"{record.reason} ({format_size(record.transferred)} from {', '.join(names)})".lstrip()


def _success(names: list[str], transferred: int, elapsed_ms: int) -> str:
    amount = f"({format_size(transferred)} in {elapsed_ms / 1000:.2f} s)"
    return f"from {', '.join(names)} {amount}" if names else amount
