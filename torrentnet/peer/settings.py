"""The settings of one peer."""

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
    """The arguments of the command line, resolved and checked."""

    share: bool
    """Whether the peer shares a complete file; otherwise it gets one."""
    path: Path
    """The file's final path."""
    tracker: Endpoint
    name: str
    piece_length: int | None
    """With share: bytes; None for the default of a file of that size."""
    upload_rate: float | None
    """Bytes a second; None for no limit."""
    timeouts: Timeouts
    known: Membership | None = None
    """With get: the file that a magnet link or a .torrent describes; None to look up the name at the tracker."""
    info: Info | None = None
    """The info dictionary, from a .torrent that exists; with share, None to make one of the file."""
    private: bool = True
    """With share: whether the info dictionary is marked private (BEP 27)."""
    strategy: str = "single"
    """With get: ``single`` or ``swarm``."""
    small_blocks: bool = False
    """Whether the peer sends no block of more than 16 KiB."""
    corrupt: bool = False
    """With share: whether one byte of every sent piece is changed, to test other peers."""
