"""The common part of the downloading peers in both simulated worlds.

It has real files, and the peers' events.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import TYPE_CHECKING

from tests.unit.peer.trackers import EPOCH, Event, Member
from torrentnet.lab.run.facts.arrivals import Arrival, arrivals
from torrentnet.peer.response_log import ResponseLog
from torrentnet.peer.storage.file_store import FileStore, StorageError, default_piece_length, open_complete, open_part
from torrentnet.peer.strategies.base import BaseDownload, Phase
from torrentnet.peer.strategies.effects import FinishFile, OpenExisting, OpenPart, WritePiece
from torrentnet.peer.strategies.report import DownloadReport
from torrentnet.runtime.events import format_event, parse_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.peer.simulation import Simulation, UdpLink
    from tests.unit.peer.trackers import Tracker
    from torrentnet.peer.strategies.effects import Effect
    from torrentnet.peer.tracker_client.membership import Membership
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.info import Info

DELAY = 0.001
DISK = 0.004
NAME = "myfile.txt"


def nothing(done: int, size: int) -> None:
    """Ignore the progress."""


def never() -> bool:
    """Never cancel."""
    return False


class Downloader(Member):
    """A peer that downloads to ``path``. Every disk job takes a moment."""

    def __init__(
        self,
        simulation: Simulation,
        link: UdpLink,
        tracker: Tracker,
        path: Path,
        *,
        name: str,
        endpoint: Endpoint,
        seed: int,
        known: Membership | None = None,
    ) -> None:
        super().__init__(simulation, link, tracker, name=name, endpoint=endpoint, seed=seed, known=known)
        self.path = path
        self.event_lines: list[Event] = []
        self.log = ResponseLog(lambda: EPOCH + self.simulation.now)
        self.report = DownloadReport(path.name, self._emit, self.log)
        self.stores: list[FileStore] = []
        """Files to close in the end."""
        self.opened_with: int | None = None
        self._tick_at: float | None = None

    @property
    @abstractmethod
    def running_download(self) -> BaseDownload:
        """The download."""

    @property
    def exists(self) -> bool:
        """Whether the final name exists."""
        return os.path.lexists(self.path)

    @property
    def now(self) -> float:
        return self.simulation.now

    @property
    def phase(self) -> Phase:
        return self.running_download.phase

    @property
    def ended(self) -> bool:
        """Whether the download is done or has failed."""
        return self.phase in {Phase.DONE, Phase.FAILED}

    def fields_of(self, event: str) -> list[dict[str, object]]:
        """Return the fields of the events of that name."""
        return [one.fields for one in self.event_lines if one.name == event]

    @property
    def arrivals(self) -> list[Arrival]:
        """The pieces that were reported, with their sources and times."""
        lines = (format_event(one.time, one.name, one.fields) for one in self.event_lines)
        events = filter(None, map(parse_event, lines))
        return [arrival for event in events for arrival in arrivals(event)]

    def _emit(self, event: str, /, **fields: object) -> None:
        self.event_lines.append(Event(self.now, event, fields))

    def listen(self) -> None:
        """Pass the events of the tracker session to the download."""
        self.heard = lambda event: self.step(lambda it: it.handle_session_event(event, self.now))

    # -- the loop ----------------------------------------------------------------------------------

    def poll_at(self, due: float | None) -> None:
        """Poll again at ``due``, unless that is planned already."""
        if due is not None and (self._tick_at is None or due < self._tick_at or self._tick_at <= self.now):
            self._tick_at = due
            self.simulation.at(due, self._ticked)

    def _ticked(self) -> None:
        self._tick_at = None
        self.poll()

    def step(self, call: Callable[[BaseDownload], None]) -> None:
        """Call the download, then carry out its effects."""
        effects = self.running_download.effects
        try:
            call(self.running_download)
        finally:
            while effects:
                self.carry_out(effects.popleft())

    def carry_out(self, effect: Effect) -> None:
        """Carry out one effect."""
        match effect:
            case OpenExisting(piece_length):
                self.opened_with = piece_length
                self.later(lambda: self._open_existing(piece_length))
            case OpenPart(info):
                self.later(lambda: self._open_part(info))
            case WritePiece(piece, data):
                self.later(lambda: self._write_piece(piece, data))
            case FinishFile():
                self.later(self._finish_file)
            case _:
                raise AssertionError(effect)

    # -- disk --------------------------------------------------------------------------------------

    def later(self, job: Callable[[], Callable[[BaseDownload], None]]) -> None:
        """Run a disk job, and then the step that it returns."""

        def run() -> None:
            if not self.alive:
                return
            try:
                then = job()
            except StorageError as error:
                failure = error
                self.step(lambda it: it.storage_failed(failure, self.now))
            else:
                self.step(then)
            self.poll()

        self.simulation.after(DISK, run)

    def keep(self, store: FileStore) -> FileStore:
        """Close a file in the end."""
        self.stores.append(store)
        return store

    def _open_existing(self, piece_length: int) -> Callable[[BaseDownload], None]:
        length = piece_length or default_piece_length(self.path)
        store = self.keep(open_complete(self.path, length, nothing, never))
        return lambda it: it.existing_opened(store, self.now)

    def _open_part(self, info: Info) -> Callable[[BaseDownload], None]:
        store = self.keep(open_part(self.path, info, nothing, never))
        return lambda it: it.part_opened(store, self.now)

    def _write_piece(self, piece: int, data: bytearray) -> Callable[[BaseDownload], None]:
        verified = self.put(piece, data)

        def then(it: BaseDownload) -> None:
            it.piece_written(piece, self.now, verified=verified)
            if verified:
                self.announce(piece)

        return then

    def put(self, piece: int, data: bytearray) -> bool:
        """Verify a piece and write it."""
        store = self.running_download.store
        assert store is not None
        return store.write_piece(piece, data)

    def announce(self, piece: int) -> None:
        """Announce a verified piece."""

    def _finish_file(self) -> Callable[[BaseDownload], None]:
        store = self.running_download.store
        assert store is not None
        store.finish()
        return lambda it: it.file_finished(self.now)
