"""What a download strategy wants done, as data that the loop carries out.

A strategy does no I/O. Each call on it may append effects to :attr:`BaseDownload.effects
<torrentnet.peer.strategies.base.BaseDownload.effects>`; the loop carries them out in order and reports each result
later, by a call on the strategy. The unit is a piece: a block needs no effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from torrentnet.peer.strategies.remote_peer import PeerConnection
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.info import Info

MAX_VERIFYING: Final = 4 * 1024 * 1024
"""Bytes of pieces that may wait to be hashed and written; beyond that, no new piece is requested."""


@dataclass(frozen=True, slots=True)
class OpenExisting:
    """Hash the existing file: then ``existing_opened`` or ``storage_failed``."""

    piece_length: int
    """Bytes; 0 for the length that sharing the file would choose."""


@dataclass(frozen=True, slots=True)
class OpenPart:
    """Open and verify the part file: then ``part_opened`` or ``storage_failed``."""

    info: Info


@dataclass(frozen=True, slots=True)
class WritePiece:
    """Verify and write a piece: ``piece_written`` or ``storage_failed`` follows."""

    piece: int
    data: bytearray


@dataclass(frozen=True, slots=True)
class FinishFile:
    """Rename the complete file: then ``file_finished`` or ``storage_failed``."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect to the single source: then ``connected`` or ``source_failed``."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connection to the single source, if there is one."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect to a peer of the swarm: its events or ``dial_failed`` follow."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close the connection to a peer of the swarm: ``connection_closed`` follows."""

    connection: PeerConnection
    reason: str


Effect: TypeAlias = OpenExisting | OpenPart | WritePiece | FinishFile | Connect | Disconnect | Dial | CloseConnection
