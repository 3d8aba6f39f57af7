"""Replay the parts of a block to the state and the events of its requests.

Tested by tests/unit/tracker/journal/test_request_store.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from torrentnet.runtime.units import format_size
from torrentnet.tracker.journal.records import FileEventKind, RequestState
from torrentnet.tracker.journal.request_parts import ClosedEntry, OpenedEntry, RequestPart, unpack_part

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

SELECT_PARTS: Final = "SELECT data FROM request_parts WHERE block = ? ORDER BY id"
_WAITING: Final = RequestState.WAITING.value
_SUCCEEDED: Final = RequestState.SUCCEEDED.value
_LOST: Final = RequestState.LOST.value


@dataclass(slots=True)
class LoggedRequest:
    """A request of the log and its state."""

    opened: OpenedEntry
    info_hash: bytes | None
    holders: str
    holder_count: int
    closed: ClosedEntry | None = None

    @property
    def state(self) -> RequestState:
        """State of the request."""
        return RequestState.WAITING if self.closed is None else self.closed.state


class FileEvent(NamedTuple):
    """What a request meant for its file."""

    serial: int
    time_ms: int
    kind: str
    peer: str
    detail: str


def replay(parts: Iterable[RequestPart], file: str | None = None) -> list[LoggedRequest]:
    """Return the requests of a block, of one file if given, from all its parts."""
    found: dict[int, LoggedRequest] = {}
    for part in parts:
        for entry in part.in_order():
            if isinstance(entry, OpenedEntry):
                if file is None or entry.file == file:
                    found[entry.number] = LoggedRequest(entry, entry.info_hash, entry.holders, entry.holder_count)
                continue
            request = found.get(entry.number)
            if request is None:
                continue
            if isinstance(entry, ClosedEntry):
                request.closed = entry
                request.info_hash = entry.info_hash or request.info_hash
            else:
                request.closed, request.info_hash = None, entry.info_hash
                if entry.holders is not None:
                    request.holders, request.holder_count = entry.holders, entry.holder_count
    return [found[number] for number in sorted(found)]


def file_events(part: RequestPart, info_hash: bytes) -> list[FileEvent]:
    """Return the events of a part for the file with that info-hash."""
    opened = [_opened_event(entry) for entry in part.opened if entry.info_hash == info_hash]
    return opened + [_closed_event(entry) for entry in part.closed if entry.info_hash == info_hash]


def read_block(database: sqlite3.Connection, block: int) -> list[LoggedRequest]:
    """Return the requests of a block. Raises what sqlite3 raises."""
    return replay(unpack_part(data) for (data,) in database.execute(SELECT_PARTS, (block,)))


def _opened_event(entry: OpenedEntry) -> FileEvent:
    detail = describe_holders(entry.holder_count)
    return FileEvent(entry.serial, entry.time_ms, FileEventKind.REQUESTED.value, entry.peer, detail)


def _closed_event(entry: ClosedEntry) -> FileEvent:
    names = [name for name, _ in json.loads(entry.sources)]
    state = entry.state.value
    detail = describe_detail(state, names, entry.transferred, entry.elapsed_ms, entry.reason)
    return FileEvent(entry.serial, entry.time_ms, state, entry.peer, detail)


# -- in words ----------------------------------------------------------------------------------------


def describe_outcome(state: str, names: Sequence[str], transferred: int, elapsed_ms: int, reason: str) -> str:
    """Describe an outcome: ``succeeded from seeder-2 (8 MiB in 0.12 s)``."""
    if state == _WAITING:
        return "waiting"
    if state == _LOST:
        return "lost with the peer"
    if state == _SUCCEEDED:
        return f"succeeded {_describe_success(names, transferred, elapsed_ms)}"
    text = f"failed: {reason}" if reason else "failed"
    return f"{text} ({format_size(transferred)} from {', '.join(names)})" if names else text


def describe_detail(state: str, names: Sequence[str], transferred: int, elapsed_ms: int, reason: str) -> str:
    """Describe an outcome without its state, for the log of a file."""
    if state == _SUCCEEDED:
        return _describe_success(names, transferred, elapsed_ms)
    if state == _LOST or not names:
        return reason
    return f"{reason} ({format_size(transferred)} from {', '.join(names)})".lstrip()


def describe_holders(count: int) -> str:
    """Describe how many complete peers a request found."""
    return f"{count or 'no'} complete {'holder' if count == 1 else 'holders'}"


def _describe_success(names: Sequence[str], transferred: int, elapsed_ms: int) -> str:
    amount = f"({format_size(transferred)} in {elapsed_ms / 1000:.2f} s)"
    return f"from {', '.join(names)} {amount}" if names else amount
