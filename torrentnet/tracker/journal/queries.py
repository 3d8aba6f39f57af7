"""Queries of the journal.

Long results are read page by page, to limit the memory and to let the writing thread run between two pages.

Tested by tests/unit/tracker/journal/test_journal.py, tests/unit/tracker/test_commands.py.
"""

from __future__ import annotations

import difflib
import heapq
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.tracker.journal.records import RequestState
from torrentnet.tracker.journal.request_parts import BLOCK_BITS
from torrentnet.tracker.journal.request_replay import FileEvent, file_events, replay
from torrentnet.tracker.journal.request_store import NAME_DELIMITER
from torrentnet.tracker.journal.schema import ALIVE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from torrentnet.tracker.journal.journal import Journal
    from torrentnet.tracker.journal.request_replay import LoggedRequest

PAGE_SIZE: Final = 500
"""Rows per page."""
MAX_SUGGESTIONS: Final = 10
"""Names that an error message lists at most."""
_MAX_CACHED_LISTS: Final = 500
"""Lists of holders that are cached, because consecutive requests often have the same list."""
_MAX_NAMES_SEARCHED: Final = 2_000
"""Names that are searched for similar ones."""


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One row of the request log."""

    number: int
    time_ms: int
    peer: str
    address: str
    file: str
    holders: tuple[str, ...]
    """Names of complete peers at that time, at most :attr:`Limits.named_holders`."""
    holder_count: int
    """Number of complete peers at that time."""
    state: str
    sources: tuple[tuple[str, int], ...]
    """Names of the peers that sent pieces, and how many each of them sent."""
    transferred: int
    elapsed_ms: int
    reason: str
    ended_ms: int | None


@dataclass(frozen=True, slots=True)
class FileRow:
    """One known file; fields that no peer has published are None."""

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
        """Name of the file, or its info-hash in hex."""
        return self.name if self.name is not None else self.info_hash.hex()


@dataclass(frozen=True, slots=True)
class HolderRow:
    """One peer that holds or held pieces of a file."""

    peer: str
    address: str
    pieces: str
    since_ms: int
    state: str
    gone_ms: int | None
    why: str | None


def requests(journal: Journal, *, file: str | None = None, last: int | None = None) -> Iterator[RequestRow]:
    """Yield the rows of the request log, oldest first; with ``last``, only the last."""
    first = 0 if last is None else _number_from_the_end(journal, file, last)
    lists: dict[str, tuple[str, ...]] = {}
    for block in _blocks(journal, file, first >> BLOCK_BITS):
        for request in _read_block(journal, block, file):
            if request.opened.number >= first:
                yield _request_row(journal, request, lists)


def files(journal: Journal, name: str | None = None) -> Iterator[FileRow]:
    """Yield all files, ordered by name, or only those named ``name``.

    ``name`` may also be the info-hash of a file in hex.
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
    """Yield the peers that hold or held pieces of a file, in order of joining."""
    query = (
        "SELECT id, peer, ip || ':' || port, pieces, since_ms, state, gone_ms, why FROM holdings"
        f" WHERE info_hash = ? AND id > ? ORDER BY id LIMIT {PAGE_SIZE}"
    )
    for row in _pages(journal, query, (info_hash,), 0):
        yield HolderRow(*row[1:])


def count_holders(journal: Journal, info_hash: bytes) -> tuple[int, int, int]:
    """Return the numbers of alive, of alive and complete, and of earlier holders."""
    rows = journal.read(
        "SELECT state, complete, count(*) FROM holdings WHERE info_hash = ? GROUP BY state, complete", (info_hash,)
    )
    alive = sum(count for state, _, count in rows if state == ALIVE)
    complete = sum(count for state, complete, count in rows if state == ALIVE and complete)
    return alive, complete, sum(count for state, _, count in rows if state != ALIVE)


def events(journal: Journal, info_hash: bytes) -> Iterator[FileEvent]:
    """Yield the events of a file, in order."""
    query = (
        "SELECT id, serial, time_ms, kind, peer, detail FROM events"
        f" WHERE info_hash = ? AND id > ? ORDER BY id LIMIT {PAGE_SIZE}"
    )
    of_holders = (FileEvent(*row[1:]) for row in _pages(journal, query, (info_hash,), 0))
    return heapq.merge(of_holders, _events_of_requests(journal, info_hash))


def _events_of_requests(journal: Journal, info_hash: bytes) -> Iterator[FileEvent]:
    # The times of blocks overlap: an outcome may come after requests of later blocks. No outcome precedes its request.
    ahead: list[FileEvent] = []
    query = (
        "SELECT DISTINCT block FROM request_parts WHERE instr(hashes, ?) AND block > ?"
        f" ORDER BY block LIMIT {PAGE_SIZE}"
    )
    for (block,) in _pages(journal, query, (info_hash,), -1):
        parts = journal.request_parts(block)
        first = min((entry.serial for part in parts for entry in part.opened), default=0)
        while ahead and ahead[0].serial < first:
            yield heapq.heappop(ahead)
        for part in parts:
            for event in file_events(part, info_hash):
                heapq.heappush(ahead, event)
    while ahead:
        yield heapq.heappop(ahead)


def file_names(journal: Journal, limit: int) -> list[str]:
    """Return the names of at most ``limit`` files, in order; an info-hash if unnamed."""
    rows = journal.read("SELECT DISTINCT coalesce(name, lower(hex(info_hash))) FROM files ORDER BY 1 LIMIT ?", (limit,))
    return [row[0] for row in rows]


def similar_names(journal: Journal, name: str) -> list[str]:
    """Return names of files that ``name`` may be a misspelling of."""
    return difflib.get_close_matches(name, file_names(journal, _MAX_NAMES_SEARCHED), n=3, cutoff=0.6)


def count_rows(journal: Journal) -> tuple[int, int]:
    """Return the numbers of files and of requests in the journal."""
    found = journal.read(
        "SELECT (SELECT count(*) FROM files), (SELECT coalesce(sum(opened), 0) FROM request_parts)", ()
    )
    return found[0][0], found[0][1]


def _pages(journal: Journal, query: str, values: tuple[object, ...], after: int) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query, page by page.

    The first column is an id, and the last parameter of the query is the id that the rows follow: first ``after``.
    """
    while True:
        page = journal.read(query, (*values, after))
        yield from page
        if len(page) < PAGE_SIZE:
            return
        after = page[-1][0]


def _blocks(journal: Journal, file: str | None, first: int, *, backwards: bool = False) -> Iterator[int]:
    """Yield the blocks with requests for a file, from ``first`` on or from the end."""
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


def _read_block(journal: Journal, block: int, file: str | None) -> list[LoggedRequest]:
    return replay(journal.request_parts(block), file)


def _number_from_the_end(journal: Journal, file: str | None, last: int) -> int:
    """Return the number of the first of the ``last`` rows; 0 when there are fewer."""
    for block in _blocks(journal, file, 0, backwards=True):
        found = _read_block(journal, block, file)
        if len(found) >= last:
            return found[-last].opened.number
        last -= len(found)
    return 0


def _request_row(journal: Journal, request: LoggedRequest, lists: dict[str, tuple[str, ...]]) -> RequestRow:
    opened, closed = request.opened, request.closed
    names = lists.get(request.holders)
    if names is None:
        if len(lists) >= _MAX_CACHED_LISTS:
            lists.clear()
        names = lists[request.holders] = tuple(json.loads(journal.holder_list(request.holders)))
    endpoint = f"{opened.ip}:{opened.port}"
    known = opened.number, opened.time_ms, opened.peer, endpoint, opened.file, names, request.holder_count
    if closed is None:
        return RequestRow(*known, RequestState.WAITING.value, (), 0, 0, "", None)
    state, sources = closed.state.value, tuple(map(tuple, json.loads(closed.sources)))
    return RequestRow(*known, state, sources, closed.transferred, closed.elapsed_ms, closed.reason, closed.time_ms)
