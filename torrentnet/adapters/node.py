"""A client as a node: started, followed, told of in event lines, and ended with a good-bye."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.adapters.adapter import AdapterError, ClientStatus
from torrentnet.adapters.stop_request import StopRequest
from torrentnet.adapters.verification import verify_file

if TYPE_CHECKING:
    from torrentnet.adapters.adapter import ClientAdapter, ClientSettings
    from torrentnet.runtime.events import EventLog

POLL_INTERVAL = 0.05
"""Seconds between two looks at a client that has work to do."""
SEED_POLL_INTERVAL = 0.5
"""The same, once it is a seed."""
PROGRESS_INTERVAL = 0.25
FLUSH_TIMEOUT = 15.0
"""So long after a client calls the file whole its last bytes may reach the disk."""
STOP_TIMEOUT = 2.5
"""Half of what a stopped container is given. The good-bye goes out at once; to end takes Transmission five more."""


@dataclass(slots=True)
class _Completion:
    """The client calls the file whole."""

    since: float
    next_check: float


class ClientNode:
    """Runs one client. :meth:`run` returns the exit status; :meth:`stop` may be called from anywhere."""

    def __init__(self, name: str, adapter: ClientAdapter, settings: ClientSettings, events: EventLog) -> None:
        self.name = name
        self.adapter = adapter
        self.settings = settings
        self.status = ClientStatus(0, complete=False, announced=False)
        self.state = "seed" if settings.seed else "get"
        self._events = events
        self._stop_request = StopRequest()
        self._started_at = 0.0
        self._progress_at = 0.0
        self._reported = 0
        self._completion: _Completion | None = None
        self._verified = False

    def stop(self, reason: str) -> None:
        """Say good-bye and end; safe from threads and signal handlers."""
        self._stop_request.request(reason)

    def uptime(self) -> float:
        """Seconds since the client was started."""
        return time.monotonic() - self._started_at

    def run(self) -> int:
        """Work until stopped. Raises :class:`AdapterError` when the client fails."""
        client, job = self.adapter, self.settings
        self._started_at = time.monotonic()
        version = client.version()
        try:
            client.start()
            self._events.emit("listening", program=client.name, version=version, name=self.name, address=job.listen)
            if not job.seed:
                self._events.emit("state", state="get", file=job.info.name)
            while self._stop_request.reason is None:
                self._check()
                client.wait(SEED_POLL_INTERVAL if self._verified else POLL_INTERVAL, self._stop_request.descriptor)
        finally:
            client.stop(STOP_TIMEOUT)
            self._stop_request.close()
        self._events.emit("closing", reason=self._stop_request.reason)
        return 0

    def _check(self) -> None:
        standing = self.status = self.adapter.poll()
        now = time.monotonic()
        if not self.settings.seed:
            self._report_progress(standing, now)
        if self._verified or not standing.complete or (self.settings.seed and not standing.announced):
            return
        if self._completion is None:
            self._completion = _Completion(now, now)
        if now < self._completion.next_check:
            return
        found = verify_file(self.settings.directory / self.settings.info.name, self.settings.info)
        if found.problem:
            if now - self._completion.since > FLUSH_TIMEOUT:
                raise AdapterError(f"{self.adapter.name} calls the file whole, but {found.problem}")
            self._completion.next_check = now + SEED_POLL_INTERVAL
            return
        self._verified = True
        self._report_complete(found.sha256, self._completion.since)

    def _report_progress(self, standing: ClientStatus, now: float) -> None:
        info = self.settings.info
        if standing.pieces_held == self._reported or (now < self._progress_at and standing.pieces_held < info.pieces):
            return
        self._reported = standing.pieces_held
        self._progress_at = now + PROGRESS_INTERVAL
        self._events.emit(
            "progress",
            file=info.name,
            have=standing.pieces_held,
            pieces=info.pieces,
            bytes=min(info.length, standing.pieces_held * info.piece_length),
            size=info.length,
        )

    def _report_complete(self, sha256: str, since: float) -> None:
        info = self.settings.info
        if self.settings.seed:
            self._events.emit(
                "published",
                file=info.name,
                size=info.length,
                pieces=info.pieces,
                info_hash=info.info_hash.hex(),
                sha256=sha256,
            )
        else:
            self._events.emit(
                "completed",
                file=info.name,
                bytes=self.status.downloaded,
                ms=round(1000 * (since - self._started_at)),
                sha256=sha256,
            )
        self.state = "seed"
        self._events.emit("state", state="seed", file=info.name)
