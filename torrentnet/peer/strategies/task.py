"""What one ``get`` is to do, with what, and how patiently, whichever strategy does it."""

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
    """How long a download waits for whom, in seconds."""

    stall: float = 15.0
    """Without anything useful from the source, before the next one is picked."""
    give_up: float = 60.0
    """Without a new piece, before the download fails."""
    min_rate: float = 16 * 1024.0
    """Bytes a second below which a source is left, if there is another one to try."""


@dataclass(frozen=True, slots=True)
class DownloadTask:
    """Get the file called ``name``, as the peer ``identity``, who speaks with the tracker by ``session``."""

    name: str
    identity: AnnounceIdentity
    session: TrackerSession
    report: DownloadReport
    """Who is told how it goes."""
    patience: Timeouts
    exists: bool
    """Whether something is there under the file's name when it begins."""
    info: Info | None = None
    """The info dictionary where it is known from the start, by a .torrent."""
