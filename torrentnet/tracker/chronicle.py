"""What happened, told twice: as an event line at once, and as a record for the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.tracker.records import (
    FileKnown,
    HolderCame,
    HolderCompleted,
    HolderHolds,
    HolderWent,
    Kind,
    Place,
    Record,
    RequestBegan,
    RequestEnded,
    RequestSeesHolders,
    Result,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.tracker.refusals import Emit
    from torrentnet.tracker.requests import Row
    from torrentnet.tracker.swarm import Holder, Swarm

_MOST = (1 << 63) - 1
"""Largest integer that the journal's database keeps; the wire's have 64 bits without a sign."""


class Chronicle:
    """``emit`` writes event lines, ``write`` takes journal records, ``wall`` reads the time of day in seconds."""

    def __init__(self, emit: Emit, write: Callable[[Record], None], wall: Callable[[], float]) -> None:
        self._emit = emit
        self._write = write
        self._wall = wall

    def file_known(self, swarm: Swarm) -> None:
        """A swarm is new, or more is known of its file."""
        self._write(FileKnown(self._now(), swarm.info_hash, swarm.name, swarm.size, swarm.piece_length, swarm.pieces))

    def came(self, holder: Holder) -> None:
        """A peer is in the swarm: ``published`` when it has the whole file, else ``joined``."""
        swarm = holder.swarm
        if holder.complete:
            self._emit(
                "published",
                file=swarm.label,
                peer=holder.name,
                address=holder.endpoint,
                size=swarm.size,
                pieces=swarm.pieces,
                info_hash=swarm.info_hash.hex(),
            )
        else:
            self._emit("joined", file=swarm.label, peer=holder.name, address=holder.endpoint)
        self._write(HolderCame(self._now(), _place(holder), holder.complete, holder.holds()))

    def completed(self, holder: Holder) -> None:
        """A leecher has the whole file now."""
        self._emit("completed", file=holder.swarm.label, peer=holder.name, address=holder.endpoint)
        self._write(HolderCompleted(self._now(), _place(holder), holder.holds()))

    def holds(self, holder: Holder) -> None:
        """What a leecher has is another than before. No event line: peers tell their progress themselves."""
        if holder.pieces is None:
            self._write(HolderHolds(_place(holder), holder.holds()))
        else:
            self._write(HolderHolds(_place(holder), "", holder.pieces.size, holder.pieces.bitfield()))

    def left(self, holder: Holder) -> None:
        """A peer has said good-bye."""
        self._emit("left", file=holder.swarm.label, peer=holder.name, address=holder.endpoint)
        self._write(HolderWent(self._now(), _place(holder), Kind.LEFT, "said good-bye"))

    def forgotten(self, holder: Holder, silent: float, *, replaced: bool = False) -> None:
        """A peer was silent for ``silent`` seconds, or another one has come up at its address."""
        self._emit(
            "forgotten",
            file=holder.swarm.label,
            peer=holder.name,
            address=holder.endpoint,
            silent_ms=round(silent * 1000),
        )
        why = "started anew without a good-bye" if replaced else f"silent for {silent:.1f} s"
        self._write(HolderWent(self._now(), _place(holder), Kind.FORGOTTEN, why))

    def request(self, row: Row, names: tuple[str, ...]) -> None:
        """A new row; ``names`` are those that have the file now."""
        asked = row.question
        self._emit("request", id=row.number, peer=asked.peer, file=asked.file, holders=row.holders)
        time_ms = round(self._wall() * 1000)
        self._write(
            RequestBegan(
                time_ms,
                row.number,
                asked.peer,
                asked.ip,
                asked.port,
                asked.peer_id,
                asked.file,
                row.info_hash,
                names,
                row.holders,
            )
        )

    def request_goes_on(self, row: Row, names: tuple[str, ...] | None) -> None:
        """A row has its first holders, or is open again."""
        self._write(RequestSeesHolders(row.number, row.info_hash, names, row.holders))

    def outcome(
        self,
        row: Row,
        result: Result,
        *,
        sources: tuple[tuple[str, int], ...] = (),
        transferred: int = 0,
        elapsed_ms: int = 0,
        reason: str = "",
    ) -> None:
        """A row has ended."""
        told = result is not Result.LOST
        asked = row.question
        self._emit(
            "outcome",
            id=row.number,
            peer=asked.peer,
            file=asked.file,
            result=result.value,
            from_=",".join([name for name, _ in sources]) if sources else None,
            bytes=transferred if told else None,
            ms=elapsed_ms if told else None,
            reason=reason or None,
        )
        transferred = min(transferred, _MOST)
        time_ms = round(self._wall() * 1000)
        self._write(
            RequestEnded(
                time_ms, row.number, asked.peer, row.info_hash, result, sources, transferred, elapsed_ms, reason
            )
        )

    def _now(self) -> int:
        return round(self._wall() * 1000)


def _place(holder: Holder) -> Place:
    return Place(holder.swarm.info_hash, holder.name, holder.ip, holder.port)
