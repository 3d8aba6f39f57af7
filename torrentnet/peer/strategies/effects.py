"""What a download asks of the file system, and how much of it may wait there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torrentnet.wire.info import Info

MAX_VERIFYING = 4 * 1024 * 1024
"""Bytes of pieces that may wait to be hashed and written; past it nothing new is asked for."""


class Disk(Protocol):
    """Where a download's file is to be.

    Each answer comes back by a call on :class:`~torrentnet.peer.strategies.base.BaseDownload`, later.
    """

    def open_existing(self, piece_length: int) -> None:
        """Hash the file that is there under the final name: ``existing_opened`` or ``storage_failed`` follows.

        ``piece_length`` 0: the one that sharing the file would take.
        """

    def open_part(self, info: Info) -> None:
        """Open the file's part and check it: ``part_opened`` or ``storage_failed`` follows."""

    def write_piece(self, piece: int, data: bytearray) -> None:
        """Verify and write a piece: ``piece_written`` or ``storage_failed`` follows."""

    def finish(self) -> None:
        """Give the file its name: ``finished`` or ``storage_failed`` follows."""
