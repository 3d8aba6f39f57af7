"""A node that runs a client, emits its progress as events, and stops it."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Final

from torrentnet.adapters.adapter import AdapterError, ClientStatus
from torrentnet.adapters.program_node import ProgramNode
from torrentnet.wire.errors import os_error_text

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.adapters.adapter import ClientAdapter, ClientSettings
    from torrentnet.runtime.events import EventLog
    from torrentnet.wire.info import Info

POLL_INTERVAL: Final = 0.05
"""Seconds between two polls of a client that downloads or verifies."""
SEED_POLL_INTERVAL: Final = 0.5
"""Seconds between two polls of a seed."""
PROGRESS_INTERVAL: Final = 0.25
"""Seconds between two progress events."""
FLUSH_TIMEOUT: Final = 15.0
"""Seconds that a client may take to write its last bytes after it has reported a complete file."""
STOP_TIMEOUT: Final = 2.5
"""A quarter of what a container has. Transmission sends its stopped event at once, but exits five seconds later."""


class ClientNode(ProgramNode):
    """A node that runs one client, emits its progress, and verifies its file.

    The file is verified when the client reports it as complete.
    """

    def __init__(self, name: str, adapter: ClientAdapter, settings: ClientSettings, events: EventLog) -> None:
        super().__init__(name, events)
        self.adapter = adapter
        self.settings = settings
        self.status = ClientStatus(0, complete=False, announced=False)
        self.state = "seed" if settings.seed else "get"
        self._progress_at = 0.0
        self._reported = 0
        self._completed_at: float | None = None
        self._next_verification = 0.0
        self._verified = False

    def _start(self) -> None:
        client, settings = self.adapter, self.settings
        version = client.version()
        client.start()
        self._events.emit("listening", program=client.name, version=version, name=self.name, address=settings.listen)
        if not settings.seed:
            self._events.emit("state", state="get", file=settings.info.name)

    def _check(self) -> None:
        status = self.status = self.adapter.poll()
        now = time.monotonic()
        if not self.settings.seed:
            self._report_progress(status, now)
        if status.complete and not self._verified and (status.announced or not self.settings.seed):
            self._verify(now)
        self.adapter.wait(SEED_POLL_INTERVAL if self._verified else POLL_INTERVAL, self._stop_requested)

    def _end(self) -> None:
        self.adapter.stop(STOP_TIMEOUT)

    def _verify(self, now: float) -> None:
        if self._completed_at is None:
            self._completed_at = now
        if now < self._next_verification:
            return
        try:
            sha256 = verify_file(self.settings.directory / self.settings.info.name, self.settings.info)
        except VerificationError as error:
            if now - self._completed_at > FLUSH_TIMEOUT:
                raise AdapterError(f"{self.adapter.name} reports a complete file, but {error.message}") from None
            self._next_verification = now + SEED_POLL_INTERVAL
            return
        self._verified = True
        self._report_complete(sha256, self._completed_at)

    def _report_progress(self, status: ClientStatus, now: float) -> None:
        info = self.settings.info
        if status.pieces_held == self._reported or (now < self._progress_at and status.pieces_held < info.pieces):
            return
        self._reported = status.pieces_held
        self._progress_at = now + PROGRESS_INTERVAL
        self._events.emit(
            "progress",
            file=info.name,
            have=status.pieces_held,
            pieces=info.pieces,
            bytes=min(info.length, status.pieces_held * info.piece_length),
            size=info.length,
        )

    def _report_complete(self, sha256: str, completed_at: float) -> None:
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
                ms=round(1000 * (completed_at - self._started_at)),
                sha256=sha256,
            )
        self.state = "seed"
        self._events.emit("state", state="seed", file=info.name)


class VerificationError(AdapterError):
    """The file is not the one that its info dictionary describes."""


def verify_file(path: Path, info: Info) -> str:
    """Check the SHA-1 of each piece of a file; return the file's SHA-256.

    The SHA-256 is returned in hexadecimal digits. Raises :class:`VerificationError`, also if the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            for piece in range(info.pieces):
                data = file.read(info.piece_size(piece))
                if hashlib.sha1(data, usedforsecurity=False).digest() != info.piece_hash(piece):
                    raise VerificationError(f"piece {piece} of {path} has the wrong SHA-1")
                digest.update(data)
            if file.read(1):
                raise VerificationError(f"{path} is longer than its .torrent says")
    except OSError as error:
        raise VerificationError(f"{path}: {os_error_text(error)}") from None
    return digest.hexdigest()
