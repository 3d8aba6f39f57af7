"""What the peers of all simulated worlds have in common that download: real files, and what they tell."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import TYPE_CHECKING

from tests.unit.peer.trackers import EPOCH, Event, Member
from torrentnet.peer.response_log import ResponseLog
from torrentnet.peer.storage.file_store import FileStore, StorageError, default_piece_length, open_complete, open_part
from torrentnet.peer.strategies.base import BaseDownload, Phase
from torrentnet.peer.strategies.report import DownloadReport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.peer.simulation import Simulation, UdpLink
    from tests.unit.peer.trackers import Tracker
    from torrentnet.peer.tracker_client.membership import Membership
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp.packets import Endpoint

DELAY = 0.001
DISK = 0.004
NAME = "myfile.txt"


def nothing(done: int, size: int) -> None:
    """Progress that nobody looks at."""


def never() -> bool:
    """Nobody cancels."""
    return False


class Downloader(Member):
    """A peer whose file is to be at ``path``. Its disk takes a moment for everything."""

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
        self.told: list[Event] = []
        self.log = ResponseLog(lambda: EPOCH + self.simulation.now)
        self.report = DownloadReport(path.name, self._emit, self.log)
        self.stores: list[FileStore] = []
        """To be closed in the end."""
        self.opened_with: int | None = None
        self._tick_at: float | None = None

    @property
    @abstractmethod
    def getting(self) -> BaseDownload:
        """The download."""

    @property
    def exists(self) -> bool:
        """Whether something is there under the file's name."""
        return os.path.lexists(self.path)

    @property
    def now(self) -> float:
        return self.simulation.now

    @property
    def phase(self) -> Phase:
        return self.getting.phase

    @property
    def ended(self) -> bool:
        """Whether the download is done or has failed."""
        return self.phase in {Phase.DONE, Phase.FAILED}

    def named(self, event: str) -> list[dict[str, object]]:
        """The fields of the events of that name."""
        return [one.fields for one in self.told if one.name == event]

    def _emit(self, event: str, /, **fields: object) -> None:
        self.told.append(Event(self.now, event, fields))

    def listen(self) -> None:
        """What the tracker says goes to the download from now on."""
        self.heard = lambda event: self.getting.take_session(event, self.now)

    # The loop

    def come_back_at(self, due: float | None) -> None:
        """Poll again then, unless that is planned already."""
        if due is not None and (self._tick_at is None or due < self._tick_at or self._tick_at <= self.now):
            self._tick_at = due
            self.simulation.at(due, self._ticked)

    def _ticked(self) -> None:
        self._tick_at = None
        self.poll()

    # Disk

    def later(self, job: Callable[[], Callable[[], None]]) -> None:
        """Do a job on the disk, and then what it hands out."""

        def run() -> None:
            if not self.alive:
                return
            try:
                then = job()
            except StorageError as error:
                self.getting.storage_failed(error, self.now)
            else:
                then()
            self.poll()

        self.simulation.after(DISK, run)

    def keep(self, store: FileStore) -> FileStore:
        """Close it in the end."""
        self.stores.append(store)
        return store

    def open_existing(self, piece_length: int) -> None:
        self.opened_with = piece_length

        def job() -> Callable[[], None]:
            length = piece_length or default_piece_length(self.path)
            store = self.keep(open_complete(self.path, length, nothing, never))
            return lambda: self.getting.existing_opened(store, self.now)

        self.later(job)

    def open_part(self, info: Info) -> None:
        def job() -> Callable[[], None]:
            store = self.keep(open_part(self.path, info, nothing, never))
            return lambda: self.getting.part_opened(store, self.now)

        self.later(job)

    def write_piece(self, piece: int, data: bytearray) -> None:
        def job() -> Callable[[], None]:
            verified = self.put(piece, data)
            return lambda: self.written(piece, verified=verified)

        self.later(job)

    def put(self, piece: int, data: bytearray) -> bool:
        """Verify a piece and write it."""
        store = self.getting.store
        assert store is not None
        return store.write_piece(piece, data)

    def written(self, piece: int, *, verified: bool) -> None:
        """A piece was hashed, and written if it was right."""
        self.getting.piece_written(piece, self.now, verified=verified)

    def finish(self) -> None:
        def job() -> Callable[[], None]:
            store = self.getting.store
            assert store is not None
            store.finish()
            return lambda: self.getting.finished(self.now)

        self.later(job)
