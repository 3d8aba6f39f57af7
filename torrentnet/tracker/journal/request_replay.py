"""Replay the parts of a block: find the state and the events of its requests.

Tested by tests/unit/tracker/journal/test_request_store.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from torrentnet.runtime.units import format_size
from torrentnet.tracker.journal.records import FileEventKind, RequestState
from torrentnet.tracker.journal.request_parts import ClosedEntry, OpenedEntry, RequestPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_WAITING: Final = RequestState.WAITING.value
_SUCCEEDED: Final = RequestState.SUCCEEDED.value
_LOST: Final = RequestState.LOST.value


@dataclass(slots=True)
class LoggedRequest:
    """A request of the log, with the latest values of what may change."""

    opened: OpenedEntry
    info_hash: bytes | None
    holders: str
    holder_count: int
    closed: ClosedEntry | None = None
    """None while the request waits for its outcome."""


class FileEvent(NamedTuple):
    """An event of a file: a change of one of its holders or requests."""

    serial: int
    """Number that orders the events of a file."""
    time_ms: int
    kind: str
    peer: str
    detail: str


def replay(parts: Iterable[RequestPart], file: str | None = None) -> list[LoggedRequest]:
    """Return the requests of a block, in order; with ``file``, only those for it."""
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


def file_events(part: RequestPart, info_hash: bytes) -> Iterator[FileEvent]:
    """Yield the events of a file that a part contains, in no order."""
    for entry in part.opened:
        if entry.info_hash == info_hash:
            detail = f"{entry.holder_count or 'no'} complete {'holder' if entry.holder_count == 1 else 'holders'}"
            yield FileEvent(entry.serial, entry.time_ms, FileEventKind.REQUESTED.value, entry.peer, detail)
    for end in part.closed:
        if end.info_hash == info_hash:
            state, names = end.state.value, [name for name, _ in json.loads(end.sources)]
            detail = _describe_end(state, names, end.transferred, end.elapsed_ms, end.reason)
            yield FileEvent(end.serial, end.time_ms, state, end.peer, detail)


def describe_outcome(state: str, names: Sequence[str], transferred: int, elapsed_ms: int, reason: str) -> str:
    """Describe an outcome: ``succeeded from seeder-2 (8 MiB in 0.12 s)``."""
    if state == _WAITING:
        return "waiting"
    if state == _LOST:
        return "lost with the peer"
    word = "failed:" if state != _SUCCEEDED and reason else state
    return f"{word} {_describe_end(state, names, transferred, elapsed_ms, reason)}".rstrip()


def _describe_end(state: str, names: Sequence[str], transferred: int, elapsed_ms: int, reason: str) -> str:
    """Describe an outcome without its state."""
    sources = f"from {', '.join(names)}"
    if state == _SUCCEEDED:
        amount = f"({format_size(transferred)} in {elapsed_ms / 1000:.2f} s)"
        return f"{sources} {amount}" if names else amount
    if state == _LOST or not names:
        return reason
    return f"{reason} ({format_size(transferred)} {sources})".lstrip()
