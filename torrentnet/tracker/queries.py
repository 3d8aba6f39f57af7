"""What the journal is asked. Long answers come page by page, so memory stays flat and the writer gets its turn."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.tracker.holder_lists import NAMES
from torrentnet.tracker.schema import ALIVE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from torrentnet.tracker.journal import Journal

PAGE: Final = 500
"""Rows that are held at once."""
SUGGESTIONS: Final = 10
"""Names that an error message lists."""
_SEARCHED: Final = 2_000
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
    condition, values = ("file = ?", (file,)) if file is not None else ("1", ())
    after = 0
    if last is not None:
        newest = journal.read(
            f"SELECT id FROM requests WHERE {condition} ORDER BY id DESC LIMIT 1 OFFSET ?", (*values, last)
        )
        after = newest[0][0] if newest else 0
    for row in _pages(
        journal,
        f"SELECT id, time_ms, peer, ip, port, file, {NAMES}, total, result, sources, transferred, elapsed_ms, reason,"
        f" ended_ms FROM requests WHERE {condition} AND id > ? ORDER BY id LIMIT {PAGE}",
        values,
        after,
    ):
        number, time_ms, peer, ip, port, asked, holders, total, result, sources, transferred, elapsed, reason, ended = (
            row
        )
        yield RequestRow(
            number,
            time_ms,
            peer,
            f"{ip}:{port}",
            asked,
            tuple(json.loads(holders)),
            total,
            result,
            tuple((name, pieces) for name, pieces in json.loads(sources or "[]")),
            transferred or 0,
            elapsed or 0,
            reason or "",
            ended,
        )


def files(journal: Journal, name: str | None = None) -> Iterator[FileRow]:
    """All files by name, or those of one name (one name may have stood for several contents, one after the other).

    A file without a name is found by its info-hash in hex.
    """
    columns = (
        "SELECT info_hash, name, size, piece_length, pieces, known_ms, published_ms, published_by, published_from"
        " FROM files"
    )
    if name is not None:
        found = journal.read(f"{columns} WHERE name = ? ORDER BY known_ms LIMIT {PAGE}", (name,))
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
            f" ORDER BY coalesce(name, ''), info_hash LIMIT {PAGE}",
            after,
        )
        for row in page:
            file = FileRow(*row)
            after = file.name or "", file.info_hash
            yield file
        if len(page) < PAGE:
            return


def holders(journal: Journal, info_hash: bytes) -> Iterator[HolderRow]:
    """Those that hold or held something of a file, in the order of their first coming."""
    for row in _pages(
        journal,
        "SELECT id, peer, ip, port, holds, since_ms, state, gone_ms, why FROM holdings"
        f" WHERE info_hash = ? AND id > ? ORDER BY id LIMIT {PAGE}",
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
    for _, time_ms, kind, peer, detail in _pages(
        journal,
        f"SELECT id, time_ms, kind, peer, detail FROM events WHERE info_hash = ? AND id > ? ORDER BY id LIMIT {PAGE}",
        (info_hash,),
        0,
    ):
        yield EventRow(time_ms, kind, peer, detail)


def names(journal: Journal, most: int) -> list[str]:
    """At most ``most`` files by name, for completion."""
    rows = journal.read("SELECT DISTINCT coalesce(name, lower(hex(info_hash))) FROM files ORDER BY 1 LIMIT ?", (most,))
    return [row[0] for row in rows]


def similar(journal: Journal, name: str) -> list[str]:
    """Names of files that ``name`` may have been meant for."""
    return difflib.get_close_matches(name, names(journal, _SEARCHED), n=3, cutoff=0.6)


def count(journal: Journal) -> tuple[int, int]:
    """Files and requests in the journal."""
    found = journal.read("SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM requests)", ())
    return found[0][0], found[0][1]


def _pages(journal: Journal, query: str, values: tuple[object, ...], after: int) -> Iterator[tuple[Any, ...]]:
    """Rows of a query whose last two parameters are ``id > ?`` and whose first column is the id."""
    while True:
        page = journal.read(query, (*values, after))
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1][0]
