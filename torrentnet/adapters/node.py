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
    next_look: float


class ClientNode:
    """Runs one client. :meth:`run` returns the exit status; :meth:`stop` may be called from anywhere."""

    def __init__(self, name: str, client: ClientAdapter, job: ClientSettings, events: EventLog) -> None:
        self.name = name
        self.client = client
        self.job = job
        self.standing = ClientStatus(0, whole=False, announced=False)
        self.state = "seed" if job.seed else "get"
        self._events = events
        self._ending = StopRequest()
        self._began = 0.0
        self._progress_at = 0.0
        self._told = 0
        self._whole: _Completion | None = None
        self._settled = False

    def stop(self, reason: str) -> None:
        """Say good-bye and end; safe from threads and signal handlers."""
        self._ending.ask(reason)

    def running_for(self) -> float:
        """Seconds since the client was started."""
        return time.monotonic() - self._began

    def run(self) -> int:
        """Work until stopped. Raises :class:`AdapterError` when the client fails."""
        client, job = self.client, self.job
        self._began = time.monotonic()
        version = client.version()
        try:
            client.start()
            self._events.emit("listening", program=client.name, version=version, name=self.name, address=job.listen)
            if not job.seed:
                self._events.emit("state", state="get", file=job.info.name)
            while self._ending.reason is None:
                self._look()
                client.wait(SEED_POLL_INTERVAL if self._settled else POLL_INTERVAL, self._ending.asked)
        finally:
            client.stop(STOP_TIMEOUT)
            self._ending.close()
        self._events.emit("closing", reason=self._ending.reason)
        return 0

    def _look(self) -> None:
        standing = self.standing = self.client.poll()
        now = time.monotonic()
        if not self.job.seed:
            self._tell_progress(standing, now)
        if self._settled or not standing.whole or (self.job.seed and not standing.announced):
            return
        if self._whole is None:
            self._whole = _Completion(now, now)
        if now < self._whole.next_look:
            return
        found = verify_file(self.job.directory / self.job.info.name, self.job.info)
        if found.wrong:
            if now - self._whole.since > FLUSH_TIMEOUT:
                raise AdapterError(f"{self.client.name} calls the file whole, but {found.wrong}")
            self._whole.next_look = now + SEED_POLL_INTERVAL
            return
        self._settled = True
        self._settle(found.sha256, self._whole.since)

    def _tell_progress(self, standing: ClientStatus, now: float) -> None:
        info = self.job.info
        if standing.have == self._told or (now < self._progress_at and standing.have < info.pieces):
            return
        self._told = standing.have
        self._progress_at = now + PROGRESS_INTERVAL
        self._events.emit(
            "progress",
            file=info.name,
            have=standing.have,
            pieces=info.pieces,
            bytes=min(info.length, standing.have * info.piece_length),
            size=info.length,
        )

    def _settle(self, sha256: str, since: float) -> None:
        info = self.job.info
        if self.job.seed:
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
                bytes=self.standing.downloaded,
                ms=round(1000 * (since - self._began)),
                sha256=sha256,
            )
        self.state = "seed"
        self._events.emit("state", state="seed", file=info.name)
