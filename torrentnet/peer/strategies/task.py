"""The task of one ``get``, whichever strategy downloads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torrentnet.peer.strategies.report import DownloadReport
    from torrentnet.peer.tracker_client.membership import AnnounceIdentity
    from torrentnet.peer.tracker_client.session import TrackerSession
    from torrentnet.wire.info import Info


@dataclass(frozen=True, slots=True)
class Timeouts:
    """When a download replaces a source, and when it fails."""

    stall: float = 15.0
    """Seconds without useful data after which a source is replaced."""
    give_up: float = 60.0
    """Seconds without a new piece after which the download fails."""
    min_rate: float = 16 * 1024.0
    """Bytes a second; a slower source is replaced while an untried source is left."""


@dataclass(frozen=True, slots=True)
class DownloadTask:
    """Download the file called ``name``."""

    name: str
    identity: AnnounceIdentity
    session: TrackerSession
    report: DownloadReport
    timeouts: Timeouts
    file_exists: bool
    """Whether a file with the final name exists at the start."""
    info: Info | None = None
    """The info dictionary from a .torrent, if there is one."""
