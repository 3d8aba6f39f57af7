"""What a peer is started with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.peer.strategies.task import Timeouts
    from torrentnet.peer.tracker_client.membership import Membership
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.info import Info


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """The command line, looked up and checked."""

    share: bool
    path: Path
    """Where the file is, or will be."""
    tracker: Endpoint
    name: str
    piece_length: int | None
    upload_rate: float | None
    """Bytes a second; None is no limit."""
    timeouts: Timeouts
    known: Membership | None = None
    """With get: what a magnet link or a .torrent says of the file; None asks the tracker for it by name."""
    info: Info | None = None
    """With get: the info dictionary, from a .torrent."""
    private: bool = True
    """With share: whether the info dictionary says so (BEP 27)."""
    strategy: str = "single"
    """``single`` or ``swarm``."""
    corrupt: bool = False
    """Whether each piece is sent with a byte changed: for tests of others."""
