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
    """When a download abandons a source, and when it fails. Seconds, but for the rate."""

    stall: float = 15.0
    """Without useful data from a source: the next source is selected."""
    give_up: float = 60.0
    """Without a new piece: the download fails."""
    min_rate: float = 16 * 1024.0
    """Bytes a second; a slower source is abandoned if another one is left to try."""


@dataclass(frozen=True, slots=True)
class DownloadTask:
    """Download the file called ``name``."""

    name: str
    identity: AnnounceIdentity
    """This peer, as the tracker knows it."""
    session: TrackerSession
    report: DownloadReport
    timeouts: Timeouts
    file_exists: bool
    """Whether the final name exists at the start."""
    info: Info | None = None
    """The info dictionary, where a .torrent provides it."""
