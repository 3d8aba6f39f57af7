"""What happened, told twice: as an event line at once, and as a record for the journal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.events import format_field, format_timestamp
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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torrentnet.tracker.refusals import Emit
    from torrentnet.tracker.swarms.open_requests import OpenRequest
    from torrentnet.tracker.swarms.swarm import Swarm, SwarmMember

_SUCCEEDED, _LOST = RequestState.SUCCEEDED, RequestState.LOST
_MAX_SQLITE_INTEGER: Final = (1 << 63) - 1
"""Largest integer that the journal's database keeps; the wire's have 64 bits without a sign."""


class AuditLog:
    """``emit`` writes an event, ``tell`` event lines that are put together here, ``write`` takes journal records.

    ``wall`` reads the time of day in seconds. What is told of requests, which may be very many, is gathered until
    :meth:`flush`; all is told and written in the order in which it happened.
    """

    def __init__(
        self,
        emit: Emit,
        tell: Callable[[Sequence[str]], None],
        write: Callable[[Sequence[Record]], None],
        wall: Callable[[], float],
    ) -> None:
        self._emit_one = emit
        self._tell = tell
        self._write_all = write
        self._wall = wall
        self._lines: list[str] = []
        self._records: list[Record] = []
        self._moment = math.nan
        self._time_ms = 0
        self._stamp = ""

    def flush(self) -> None:
        """Write what was gathered, then tell it: whoever sees an event and asks for the log finds it there."""
        if self._records:
            records, self._records = self._records, []
            self._write_all(records)
        if self._lines:
            lines, self._lines = self._lines, []
            self._tell(lines)

    def emit(self, event: str, /, **fields: object) -> None:
        """Write an event behind those that were gathered."""
        self.flush()
        self._emit_one(event, **fields)

    def file_known(self, swarm: Swarm) -> None:
        """A swarm is new, or more is known of its file."""
        self._write(FileUpdated(self._now(), swarm.info_hash, swarm.name, swarm.size, swarm.piece_length, swarm.pieces))

    def came(self, holder: SwarmMember) -> None:
        """A peer is in the swarm: ``published`` when it has the whole file, else ``joined``."""
        swarm = holder.swarm
        self._write(HolderAdded(self._now(), _place(holder), holder.complete, holder.holds()))
        if holder.complete:
            self.emit(
                "published",
                file=swarm.label,
                peer=holder.name,
                address=holder.endpoint,
                size=swarm.size,
                pieces=swarm.pieces,
                info_hash=swarm.info_hash.hex(),
            )
        else:
            self.emit("joined", file=swarm.label, peer=holder.name, address=holder.endpoint)

    def completed(self, holder: SwarmMember) -> None:
        """A leecher has the whole file now."""
        self._write(HolderCompleted(self._now(), _place(holder), holder.holds()))
        self.emit("completed", file=holder.swarm.label, peer=holder.name, address=holder.endpoint)

    def holds(self, holder: SwarmMember) -> None:
        """What a leecher has is another than before. No event line: peers tell their progress themselves."""
        if holder.pieces is None:
            self._write(HoldingChanged(_place(holder), holder.holds()))
        else:
            self._write(HoldingChanged(_place(holder), "", holder.pieces.size, holder.pieces.bitfield()))

    def left(self, holder: SwarmMember) -> None:
        """A peer has said good-bye."""
        self._write(HolderRemoved(self._now(), _place(holder), FileEventKind.LEFT, "said good-bye"))
        self.emit("left", file=holder.swarm.label, peer=holder.name, address=holder.endpoint)

    def forgotten(self, holder: SwarmMember, silent: float, *, replaced: bool = False) -> None:
        """A peer was silent for ``silent`` seconds, or another one has come up at its address."""
        why = "started anew without a good-bye" if replaced else f"silent for {silent:.1f} s"
        self._write(HolderRemoved(self._now(), _place(holder), FileEventKind.FORGOTTEN, why))
        self.emit(
            "forgotten",
            file=holder.swarm.label,
            peer=holder.name,
            address=holder.endpoint,
            silent_ms=round(silent * 1000),
        )

    def request(self, row: OpenRequest, names: tuple[str, ...], now: float) -> None:
        """A new row, at the clock's reading ``now``; ``names`` are those that have the file then."""
        if now is not self._moment:
            self._look_at_the_clock(now)
        number, peer, file, holders = row.number, row.peer, row.file, row.holders
        self._lines.append(f"{self._stamp} request id={number}{row.told or _who(peer, file)} holders={holders}")
        # A named tuple without its own constructor, which takes twice as long.
        record = self._time_ms, number, peer, row.ip, row.port, row.peer_id, file, row.info_hash, names, holders
        self._records.append(tuple.__new__(RequestOpened, record))

    def request_goes_on(self, row: OpenRequest, names: tuple[str, ...] | None) -> None:
        """A row has its first holders, or is open again."""
        self._write(RequestUpdated(row.number, row.info_hash, names, row.holders))

    def outcome(
        self,
        row: OpenRequest,
        result: RequestState,
        now: float,
        *,
        sources: tuple[tuple[str, int], ...] = (),
        transferred: int = 0,
        elapsed_ms: int = 0,
        reason: str = "",
    ) -> None:
        """A row has ended at ``now``."""
        if now is not self._moment:
            self._look_at_the_clock(now)
        number, peer = row.number, row.peer
        if result is _LOST:
            more = "lost"
        else:
            origin = f" from={format_field(','.join([name for name, _ in sources]))}" if sources else ""
            word = "succeeded" if result is _SUCCEEDED else "failed"
            more = f"{word}{origin} bytes={transferred} ms={elapsed_ms}"
        if reason:
            more += f" reason={format_field(reason)}"
        self._lines.append(f"{self._stamp} outcome id={number}{row.told or _who(peer, row.file)} result={more}")
        transferred = min(transferred, _MAX_SQLITE_INTEGER)
        record = self._time_ms, number, peer, row.info_hash, result, sources, transferred, elapsed_ms, reason
        self._records.append(tuple.__new__(RequestClosed, record))

    def _look_at_the_clock(self, now: float) -> None:
        # Once for all datagrams that came together.
        self._moment = now
        wall = self._wall()
        self._time_ms = round(wall * 1000)
        self._stamp = format_timestamp(wall)

    def _write(self, record: Record) -> None:
        self._records.append(record)

    def _now(self) -> int:
        return round(self._wall() * 1000)


def _who(peer: str, file: str) -> str:
    """What each line about a request says of peer and file."""
    return f" peer={format_field(peer)} file={format_field(file)}"


def _place(holder: SwarmMember) -> HoldingKey:
    return HoldingKey(holder.swarm.info_hash, holder.name, holder.ip, holder.port)
