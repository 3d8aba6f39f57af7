"""Record everything that happens, as an event and as a record of the journal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.events import format_field, format_timestamp
from torrentnet.tracker.journal.line_budget import LineBudget
from torrentnet.tracker.journal.records import (
    FileEventKind,
    FileUpdated,
    HolderAdded,
    HolderCompleted,
    HolderRemoved,
    HoldingChanged,
    HoldingKey,
    Record,
    RequestClosed,
    RequestOpened,
    RequestState,
    RequestUpdated,
)
from torrentnet.wire.names import canonical_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torrentnet.tracker.swarms.open_requests import OpenRequest
    from torrentnet.tracker.swarms.swarm import Swarm, SwarmMember
    from torrentnet.wire.info import Info

_SUCCEEDED: Final = RequestState.SUCCEEDED
_LOST: Final = RequestState.LOST
_MAX_SQLITE_INTEGER: Final = (1 << 63) - 1
"""SQLite's integers are signed; those of the protocol are not."""
_LINE_SIZE: Final = 160
"""Bytes of a line about a peer, besides the names in it."""
_TOO_MANY: Final = "packets caused more lines than an address, or all together, may cause"


class AuditLog:
    """Writes events and journal records in the order in which things happen.

    ``emit`` writes one event, ``emit_lines`` finished event lines, ``write`` journal records; ``wall_clock`` returns
    the time of day in seconds. Lines and records are buffered until :meth:`flush`, because a batch of datagrams may
    open many requests.
    """

    def __init__(
        self,
        emit: Callable[..., None],
        emit_lines: Callable[[Sequence[str]], None],
        write: Callable[[Sequence[Record]], None],
        wall_clock: Callable[[], float],
    ) -> None:
        self._emit = emit
        self._emit_lines = emit_lines
        self._write = write
        self._wall_clock = wall_clock
        self._lines: list[str] = []
        self._records: list[Record] = []
        self._now = math.nan
        self._time_ms = 0
        self._timestamp = ""
        self._budget = LineBudget()

    def flush(self) -> None:
        """Write the records, then the lines: an event that is visible is in the journal."""
        if self._records:
            records, self._records = self._records, []
            self._write(records)
        if self._lines:
            lines, self._lines = self._lines, []
            self._emit_lines(lines)

    def emit(self, event: str, /, **fields: object) -> None:
        """Flush, then write an event."""
        self.flush()
        self._emit(event, **fields)

    def file_updated(self, swarm: Swarm) -> None:
        """Record a new swarm, or new information about its file."""
        self._records.append(
            FileUpdated(self._wall_ms(), swarm.info_hash, swarm.name, swarm.size, swarm.piece_length, swarm.pieces)
        )

    def file_known(self, info: Info) -> None:
        """Record a file whose .torrent the tracker has."""
        name = canonical_name(info.name)
        self._records.append(
            FileUpdated(self._wall_ms(), info.info_hash, name, info.length, info.piece_length, info.pieces)
        )

    def member_added(self, member: SwarmMember) -> None:
        """Record that a peer, complete (``published``) or not (``joined``), was added."""
        swarm = member.swarm
        record = HolderAdded(self._wall_ms(), _holding_key(member), member.complete, member.describe_pieces())
        if member.complete:
            info_hash = swarm.info_hash.hex()
            self._record(record, "published", member, size=swarm.size, pieces=swarm.pieces, info_hash=info_hash)
        else:
            self._record(record, "joined", member)

    def member_completed(self, member: SwarmMember) -> None:
        """Record that a leecher has become a seed."""
        record = HolderCompleted(self._wall_ms(), _holding_key(member), member.describe_pieces())
        self._record(record, "completed", member)

    def pieces_changed(self, member: SwarmMember) -> None:
        """Record the progress of a leecher. No event is emitted: the peer emits its own."""
        text = member.describe_pieces() if member.pieces is None else ""
        self._records.append(HoldingChanged(_holding_key(member), text, member.pieces))

    def member_left(self, member: SwarmMember) -> None:
        """Record that a peer has announced ``stopped``."""
        record = HolderRemoved(self._wall_ms(), _holding_key(member), FileEventKind.LEFT, "said good-bye")
        self._record(record, "left", member)

    def member_expired(self, member: SwarmMember, silent: float, *, replaced: bool = False) -> None:
        """Record that a peer was silent for too long, or was replaced at its endpoint."""
        why = "restarted without a good-bye" if replaced else f"silent for {silent:.1f} s"
        record = HolderRemoved(self._wall_ms(), _holding_key(member), FileEventKind.FORGOTTEN, why)
        self._record(record, "forgotten", member, silent_ms=round(silent * 1000))

    def request_opened(self, request: OpenRequest, holders: tuple[str, ...], now: float) -> None:
        """Record a new request; ``holders`` are names of complete peers at that time."""
        if now is not self._now:
            self._read_wall_clock(now)
        number, peer, file, count = request.number, request.peer, request.file, request.holder_count
        fields = request.log_fields or _log_fields(peer, file)
        line = f"{self._timestamp} request id={number}{fields} holders={count}"
        if self._budget.admits(request.ip, len(line)):
            self._lines.append(line)
        # The constructor of the named tuple would take twice as long.
        record = (
            self._time_ms,
            number,
            peer,
            request.ip,
            request.port,
            request.peer_id,
            file,
            request.info_hash,
            holders,
            count,
        )
        self._records.append(tuple.__new__(RequestOpened, record))

    def request_updated(self, request: OpenRequest, holders: tuple[str, ...] | None) -> None:
        """Record that a request has its first holders, or is open again."""
        self._records.append(RequestUpdated(request.number, request.info_hash, holders, request.holder_count))

    def request_closed(
        self,
        request: OpenRequest,
        state: RequestState,
        now: float,
        *,
        sources: tuple[tuple[str, int], ...] = (),
        transferred: int = 0,
        elapsed_ms: int = 0,
        reason: str = "",
    ) -> None:
        """Record the outcome of a request; ``sources`` are names and piece counts."""
        if now is not self._now:
            self._read_wall_clock(now)
        number, peer = request.number, request.peer
        if state is _LOST:
            result = "lost"
        else:
            origin = f" from={format_field(','.join([name for name, _ in sources]))}" if sources else ""
            word = "succeeded" if state is _SUCCEEDED else "failed"
            result = f"{word}{origin} bytes={transferred} ms={elapsed_ms}"
        if reason:
            result += f" reason={format_field(reason)}"
        fields = request.log_fields or _log_fields(peer, request.file)
        line = f"{self._timestamp} outcome id={number}{fields} result={result}"
        if self._budget.admits(request.ip, len(line)):
            self._lines.append(line)
        transferred = min(transferred, _MAX_SQLITE_INTEGER)
        record = self._time_ms, number, peer, request.info_hash, state, sources, transferred, elapsed_ms, reason
        self._records.append(tuple.__new__(RequestClosed, record))

    def _record(self, record: Record, event: str, member: SwarmMember, **fields: object) -> None:
        self._records.append(record)
        label, ip = member.swarm.label, member.endpoint.ip
        if not self._budget.admits(ip, _LINE_SIZE + len(label) + len(member.name)):
            return
        self.flush()
        self._emit(event, file=label, peer=member.name, address=member.endpoint, **fields)

    def _read_wall_clock(self, now: float) -> None:
        # Read once per batch of datagrams, which all have the same ``now``.
        self._now = now
        wall = self._wall_clock()
        self._time_ms = round(wall * 1000)
        self._timestamp = format_timestamp(wall)
        self._renew_budget(self._time_ms)

    def _wall_ms(self) -> int:
        time_ms = round(self._wall_clock() * 1000)
        self._renew_budget(time_ms)
        return time_ms

    def _renew_budget(self, time_ms: int) -> None:
        if self._budget.has_passed(time_ms):
            left_out = self._budget.renew(time_ms)
            if left_out:
                self.emit("left_out", lines=left_out, reason=_TOO_MANY)


def _log_fields(peer: str, file: str) -> str:
    return f" peer={format_field(peer)} file={format_field(file)}"


def _holding_key(member: SwarmMember) -> HoldingKey:
    return HoldingKey(member.swarm.info_hash, member.name, *member.endpoint)
