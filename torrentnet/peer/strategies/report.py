"""Report a download in event lines and in the response log.

Tested by tests/unit/peer/strategies/test_single.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.wire.udp.outcome import MAX_SOURCES, OutcomeSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.peer.response_log import ResponseLog
    from torrentnet.wire.info import Info
    from torrentnet.wire.piece_set import PieceSet
    from torrentnet.wire.udp.lookup import LookupHolder, LookupReply

PROGRESS_INTERVAL: Final = 0.25
"""Seconds between two progress events."""
_MAX_LISTED: Final = 20


class DownloadReport:
    """The report of one download; ``emit(event, **fields)`` writes an event line."""

    def __init__(self, name: str, emit: Callable[..., None], log: ResponseLog) -> None:
        self._name = name
        self._emit = emit
        self._log = log
        self._progress_at = 0.0
        self._refusal = ""
        self._sources: dict[LookupHolder, int] = {}
        self.transferred = 0
        """Bytes of verified pieces that were downloaded."""

    def lookup(self, found: LookupReply, holders: tuple[LookupHolder, ...]) -> None:
        """Report the tracker's answer to a look-up."""
        seeds, request = found.complete, found.request
        self._emit("lookup", file=self._name, found=found.found, size=found.size, seeds=seeds, request=request)
        if not found.found:
            self._log.add("tracker", f"{self._name}: no such file")
            return
        names = ", ".join(holder.name for holder in holders[:_MAX_LISTED]) or "nobody"
        more = f" and {found.complete - _MAX_LISTED} more" if found.complete > _MAX_LISTED else ""
        self._log.add("tracker", f"{self._name}: {found.size} bytes, complete at {names}{more}", verdict="claimed")

    def tracker_refused(self, what: str, message: str) -> None:
        """Report a request that the tracker has refused."""
        if message != self._refusal:
            self._refusal = message
            self._emit("tracker_refused", reason=message)
        self._log.add("tracker", f"{what} of {self._name}", verdict=f"refused: {message}")

    def tracker_silence(self, *, silent: bool) -> None:
        """Report that the tracker does not answer, or answers again."""
        self._emit("tracker_silent" if silent else "tracker_back")
        self._log.add("tracker", "does not answer" if silent else "answers again")

    def rejoined(self) -> None:
        """Report that the tracker has registered this peer again."""
        self._log.add("tracker", "knows this peer again")

    def source_selected(self, source: LookupHolder, among: int) -> None:
        """Report a source that was selected at random."""
        self._emit("picked", peer=source.name, address=source.endpoint, among=among)
        self._log.add(source.name, f"picked among {among}")

    def source_lost(self, source: LookupHolder, reason: str, have: int) -> None:
        """Report a source that cannot be used any more."""
        self._emit("source_lost", peer=source.name, address=source.endpoint, reason=reason, have=have)
        self._log.add(source.name, "source lost", verdict=reason)

    def metadata_received(self, source: LookupHolder, info: Info, elapsed: float) -> None:
        """Report the info dictionary, received and verified."""
        what = f"info dictionary of {info.pieces} pieces"
        self._log.add(source.name, what, size=len(info.raw), elapsed=elapsed, verdict="verified")

    def resumed(self, held: PieceSet) -> None:
        """Report the verified pieces of an earlier run, if there are any."""
        if len(held):
            self._emit("resumed", file=self._name, have=len(held), pieces=held.size)
            self._log.add("disk", f"pieces {held.describe()}", verdict="verified")

    def piece_verified(self, source: LookupHolder, piece: int, size: int, elapsed: float) -> None:
        """Report a piece that is verified and on disk."""
        self._log.add(source.name, f"piece {piece}", size=size, elapsed=elapsed, verdict="verified")
        self._sources[source] = self._sources.get(source, 0) + 1
        self.transferred += size

    def piece_discarded(self, source: LookupHolder, piece: int, size: int, elapsed: float) -> None:
        """Report a piece with a wrong hash."""
        self._log.add(source.name, f"piece {piece}", size=size, elapsed=elapsed, verdict="thrown away: wrong hash")
        self._emit("bad_piece", peer=source.name, address=source.endpoint, piece=piece)

    def progress(self, held: PieceSet, size: int, now: float) -> None:
        """Report progress, at most once in :data:`PROGRESS_INTERVAL`, and at the end."""
        if not held.is_full and now < self._progress_at:
            return
        self._progress_at = now + PROGRESS_INTERVAL
        self._emit("progress", file=self._name, have=len(held), pieces=held.size, bytes=self.transferred, size=size)

    def completed(self, size: int, elapsed_ms: int) -> None:
        """Report that the file is complete under its final name."""
        listed = ",".join(f"{holder.name}:{count}" for holder, count in self._sources.items())
        self._emit("completed", file=self._name, bytes=self.transferred, ms=elapsed_ms, sources=listed or "disk")
        self._log.add("disk", f"{self._name} is complete", size=size, verdict="completed")

    def failed(self, reason: str) -> None:
        """Report that the download has failed."""
        self._emit("failed", file=self._name, reason=reason)
        self._log.add("peer", f"{self._name} failed", verdict=reason)

    def sources(self) -> tuple[OutcomeSource, ...]:
        """Return the sources of most pieces, for the tracker's log."""
        most = sorted(self._sources.items(), key=lambda item: -item[1])[:MAX_SOURCES]
        return tuple(OutcomeSource(holder.endpoint, count, holder.name) for holder, count in most)
