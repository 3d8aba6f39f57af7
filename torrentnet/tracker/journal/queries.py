"""What the journal is asked. Long answers come page by page, so memory stays flat and the writer gets its turn."""

from __future__ import annotations

import difflib
import heapq
import json
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from torrentnet.tracker.journal.request_parts import BLOCK_BITS, unpack_part
from torrentnet.tracker.journal.request_replay import SELECT_PARTS, file_events, replay
from torrentnet.tracker.journal.request_store import NAME_DELIMITER
from torrentnet.tracker.journal.schema import ALIVE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from torrentnet.tracker.journal.journal import Journal
    from torrentnet.tracker.journal.request_replay import LoggedRequest

PAGE_SIZE: Final = 500
"""Rows that are held at once."""
MAX_SUGGESTIONS: Final = 10
"""Names that an error message lists."""
_MAX_CACHED_LISTS: Final = 500
"""Lists of holders that are remembered, because the next request often has the same."""
_MAX_NAMES_SEARCHED: Final = 2_000
"""Names among which a similar one is looked for."""


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One row of the request log."""

    number: int
    time_ms: int
    peer: str
    address: str
    file: str
    holders: tuple[str, ...]
    total: int
    """Holders at that moment; ``holders`` names at most a hundred of them."""
    result: str
    sources: tuple[tuple[str, int], ...]
    """Names, and pieces that came from them."""
    transferred: int
    elapsed_ms: int
    reason: str
    ended_ms: int | None


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file that was ever known here; None where nobody has told."""

    info_hash: bytes
    name: str | None
    size: int | None
    piece_length: int | None
    pieces: int | None
    known_ms: int
    published_ms: int | None
    published_by: str | None
    published_from: str | None

    @property
    def label(self) -> str:
        """Its name, or its info-hash in hex."""
        return self.name if self.name is not None else self.info_hash.hex()


@dataclass(frozen=True, slots=True)
class HolderRow:
    """One peer that holds or held something of a file."""

    peer: str
    address: str
    holds: str
    since_ms: int
    state: str
    gone_ms: int | None
    why: str | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """One thing that happened to a file."""

    time_ms: int
    kind: str
    peer: str
    detail: str


def requests(journal: Journal, *, file: str | None = None, last: int | None = None) -> Iterator[RequestRow]:
    """The request log, oldest first; of one file only, and only the ``last`` rows, if given."""
    first = 0 if last is None else _number_from_the_end(journal, file, last)
    lists: dict[str, tuple[str, ...]] = {}
    for block in _blocks(journal, file, first >> BLOCK_BITS):
        for row in _rows(journal, block, file):
            if row.began.number >= first:
                yield _request_row(journal, row, lists)


def files(journal: Journal, name: str | None = None) -> Iterator[FileRow]:
    """All files by name, or those of one name (one name may have stood for several contents, one after the other).

    A file without a name is found by its info-hash in hex.
    """
    columns = (
        "SELECT info_hash, name, size, piece_length, pieces, known_ms, published_ms, published_by, published_from"
        " FROM files"
    )
    if name is not None:
        found = journal.read(f"{columns} WHERE name = ? ORDER BY known_ms LIMIT {PAGE_SIZE}", (name,))
        if not found and len(name) == 40:
            try:
                found = journal.read(f"{columns} WHERE info_hash = ?", (bytes.fromhex(name),))
            except ValueError:
                found = []
        yield from (FileRow(*row) for row in found)
        return
    after = ("", b"")
    while True:
        page = journal.read(
            f"{columns} WHERE (coalesce(name, ''), info_hash) > (?, ?)"
            f" ORDER BY coalesce(name, ''), info_hash LIMIT {PAGE_SIZE}",
            after,
        )
        for row in page:
            file = FileRow(*row)
            after = file.name or "", file.info_hash
            yield file
        if len(page) < PAGE_SIZE:
            return


def holders(journal: Journal, info_hash: bytes) -> Iterator[HolderRow]:
    """Those that hold or held something of a file, in the order of their first coming."""
    for row in _pages(
        journal,
        "SELECT id, peer, ip, port, holds, since_ms, state, gone_ms, why FROM holdings"
        f" WHERE info_hash = ? AND id > ? ORDER BY id LIMIT {PAGE_SIZE}",
        (info_hash,),
        0,
    ):
        _, peer, ip, port, holds, since_ms, state, gone_ms, why = row
        yield HolderRow(peer, f"{ip}:{port}", holds, since_ms, state, gone_ms, why)


def count_holders(journal: Journal, info_hash: bytes) -> tuple[int, int, int]:
    """How many hold a file, how many of these have it whole, and how many more are known from before."""
    rows = journal.read(
        "SELECT state, complete, count(*) FROM holdings WHERE info_hash = ? GROUP BY state, complete", (info_hash,)
    )
    alive = sum(count for state, _, count in rows if state == ALIVE)
    whole = sum(count for state, complete, count in rows if state == ALIVE and complete)
    return alive, whole, sum(count for state, _, count in rows if state != ALIVE)


def events(journal: Journal, info_hash: bytes) -> Iterator[EventRow]:
    """What happened to a file, in order."""
    of_holders = (
        (serial, EventRow(time_ms, kind, peer, detail))
        for _, time_ms, kind, peer, detail, serial in _pages(
            journal,
            "SELECT id, time_ms, kind, peer, detail, coalesce(serial, id) FROM events"
            f" WHERE info_hash = ? AND id > ? ORDER BY id LIMIT {PAGE_SIZE}",
            (info_hash,),
            0,
        )
    )
    for _, row in heapq.merge(of_holders, _events_of_requests(journal, info_hash), key=itemgetter(0)):
        yield row


def _events_of_requests(journal: Journal, info_hash: bytes) -> Iterator[tuple[int, EventRow]]:
    # An outcome may come when later requests have begun; none comes before its own, and these are in order.
    ahead: list[tuple[int, EventRow]] = []
    for (block,) in _pages(
        journal,
        "SELECT DISTINCT block FROM request_parts WHERE instr(hashes, ?) AND told AND block > ?"
        f" ORDER BY block LIMIT {PAGE_SIZE}",
        (info_hash,),
        -1,
    ):
        parts = [unpack_part(data) for told, data in journal.read(SELECT_PARTS, (block,)) if told]
        first = min((entry.serial for part in parts for entry in part.began), default=0)
        while ahead and ahead[0][0] < first:
            yield heapq.heappop(ahead)
        for part in parts:
            for serial, time_ms, kind, peer, detail in file_events(part, info_hash):
                heapq.heappush(ahead, (serial, EventRow(time_ms, kind, peer, detail)))
    while ahead:
        yield heapq.heappop(ahead)


def file_names(journal: Journal, most: int) -> list[str]:
    """At most ``most`` files by name, for completion."""
    rows = journal.read("SELECT DISTINCT coalesce(name, lower(hex(info_hash))) FROM files ORDER BY 1 LIMIT ?", (most,))
    return [row[0] for row in rows]


def similar_names(journal: Journal, name: str) -> list[str]:
    """Names of files that ``name`` may have been meant for."""
    return difflib.get_close_matches(name, file_names(journal, _MAX_NAMES_SEARCHED), n=3, cutoff=0.6)


def count_rows(journal: Journal) -> tuple[int, int]:
    """Files and requests in the journal."""
    found = journal.read("SELECT (SELECT count(*) FROM files), (SELECT coalesce(sum(began), 0) FROM request_parts)", ())
    return found[0][0], found[0][1]


def _pages(journal: Journal, query: str, values: tuple[object, ...], after: int) -> Iterator[tuple[Any, ...]]:
    """Rows of a query whose last two parameters are ``id > ?`` and whose first column is the id."""
    while True:
        page = journal.read(query, (*values, after))
        yield from page
        if len(page) < PAGE_SIZE:
            return
        after = page[-1][0]


def _blocks(journal: Journal, file: str | None, first: int, *, backwards: bool = False) -> Iterator[int]:
    """The blocks from ``first`` on in which a file was asked for; backwards: up to it, from the last one."""
    condition = ""
    values: tuple[object, ...] = ()
    if file is not None:
        condition, values = "instr(files, ?) AND ", (f"{NAME_DELIMITER}{file}{NAME_DELIMITER}",)
    compare, order = ("<", "DESC") if backwards else (">", "ASC")
    query = (
        f"SELECT DISTINCT block FROM request_parts WHERE {condition}block {compare} ?"
        f" ORDER BY block {order} LIMIT {PAGE_SIZE}"
    )
    for (block,) in _pages(journal, query, values, 1 << 62 if backwards else first - 1):
        yield block


def _rows(journal: Journal, block: int, file: str | None) -> list[LoggedRequest]:
    return replay((unpack_part(data) for _, data in journal.read(SELECT_PARTS, (block,))), file)


def _number_from_the_end(journal: Journal, file: str | None, last: int) -> int:
    """From which number on there are ``last`` rows; 0 where there are fewer."""
    for block in _blocks(journal, file, 0, backwards=True):
        rows = _rows(journal, block, file)
        if len(rows) >= last:
            return rows[-last].began.number
        last -= len(rows)
    return 0


def _request_row(journal: Journal, row: LoggedRequest, lists: dict[str, tuple[str, ...]]) -> RequestRow:
    began, ended = row.began, row.ended
    holders = lists.get(row.holders)
    if holders is None:
        if len(lists) >= _MAX_CACHED_LISTS:
            lists.clear()
        holders = lists[row.holders] = tuple(json.loads(journal.holder_list(row.holders)))
    asked = began.number, began.time_ms, began.peer, f"{began.ip}:{began.port}", began.file, holders, row.total
    if ended is None:
        return RequestRow(*asked, row.result.value, (), 0, 0, "", None)
    return RequestRow(
        *asked,
        ended.result.value,
        tuple((name, pieces) for name, pieces in json.loads(ended.sources)),
        ended.transferred,
        ended.elapsed_ms,
        ended.reason,
        ended.time_ms,
    )
