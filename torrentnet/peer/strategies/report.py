"""Report a download in event lines and in the response log.

Tested by tests/unit/peer/strategies/test_single.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.wire.udp.outcome import MAX_SOURCES, OutcomeSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torrentnet.peer.response_log import ResponseLog
    from torrentnet.wire.info import Info
    from torrentnet.wire.piece_set import PieceSet
    from torrentnet.wire.udp.lookup import LookupHolder, LookupReply

PROGRESS_INTERVAL: Final = 0.25
"""Seconds between two progress events."""
MAX_ARRIVED_CHARS: Final = 4000
"""Characters of a progress event's list of pieces; less than an event's longest value."""
_MAX_LISTED: Final = 20


class DownloadReport:
    """The report of one download; ``emit(event, **fields)`` writes an event line."""

    def __init__(self, name: str, emit: Callable[..., None], log: ResponseLog) -> None:
        self._name = name
        self._emit = emit
        self._log = log
        self._progress_at = 0.0
        self._arrived: list[tuple[LookupHolder, int, float]] = []
        """The source, number and time of each piece since the last progress event."""
        self.progress_due: float | None = None
        """When the pieces that are not reported yet must be; None where there is none."""
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

    def piece_verified(self, source: LookupHolder, piece: int, size: int, elapsed: float, now: float) -> None:
        """Report a piece that is verified and on disk."""
        self._log.add(source.name, f"piece {piece}", size=size, elapsed=elapsed, verdict="verified")
        self._sources[source] = self._sources.get(source, 0) + 1
        self._arrived.append((source, piece, now))
        self.progress_due = self._progress_at
        self.transferred += size

    def piece_discarded(self, source: LookupHolder, piece: int, size: int, elapsed: float) -> None:
        """Report a piece with a wrong hash."""
        self._log.add(source.name, f"piece {piece}", size=size, elapsed=elapsed, verdict="thrown away: wrong hash")
        self._emit("bad_piece", peer=source.name, address=source.endpoint, piece=piece)

    def progress(self, held: PieceSet, size: int, now: float) -> None:
        """Report progress, at most once in :data:`PROGRESS_INTERVAL`, and at the end."""
        if held.is_full or now >= self._progress_at:
            self.flush_progress(held, size, now)

    def flush_progress(self, held: PieceSet, size: int, now: float) -> None:
        """Report the pieces that are not reported yet, in as many events as needed."""
        self._progress_at, self.progress_due = now + PROGRESS_INTERVAL, None
        arrived, self._arrived = self._arrived, []
        name, have, pieces, done = self._name, len(held), held.size, self.transferred
        for text in _arrived_texts(arrived, now):
            self._emit("progress", file=name, have=have, pieces=pieces, bytes=done, size=size, arrived=text)

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


def _arrived_texts(arrived: Iterable[tuple[LookupHolder, int, float]], now: float) -> Iterator[str]:
    """Yield a list of pieces as texts that each fit into an event.

    :mod:`torrentnet.lab.run.facts.arrivals` describes the form.
    """
    groups: dict[LookupHolder, list[tuple[int, int]]] = {}
    for source, piece, moment in arrived:
        groups.setdefault(source, []).append((round((now - moment) * 1000), piece))
    text = ""
    for source, pieces in groups.items():
        head = f"{source.endpoint}/"
        text += f";{head}" if text else head
        separator, last_age = "", -1
        for first, last, age in _runs(pieces):
            item = f"{first}" if first == last else f"{first}-{last}"
            if age != last_age:
                item += f"@{age}"
            if len(text) + len(item) >= MAX_ARRIVED_CHARS:
                yield text
                text, separator = head, ""
                item = item if "@" in item else f"{item}@{age}"
            text += separator + item
            separator, last_age = ",", age
    yield text


def _runs(pieces: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Yield first, last and age of the pieces in a row that have the same age."""
    first = last = age = -1
    for when, piece in pieces:
        if when == age and piece == last + 1:
            last = piece
            continue
        if first >= 0:
            yield first, last, age
        first, last, age = piece, piece, when
    if first >= 0:
        yield first, last, age
