"""The I/O that a download strategy requests, as data.

A strategy does no I/O. Each of its methods may append effects to :attr:`BaseDownload.effects
<torrentnet.peer.strategies.base.BaseDownload.effects>`. The loop carries them out in order, and reports each result
later by the method that the effect names. The unit is a piece: a block needs no effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from torrentnet.peer.transfer.connection import Connection
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.info import Info

MAX_VERIFYING: Final = 4 * 1024 * 1024
"""Bytes of pieces that wait to be hashed and written, from which on no new piece is requested."""


@dataclass(frozen=True, slots=True)
class OpenExisting:
    """Hash the existing file; ``existing_opened`` or ``storage_failed`` follows."""

    piece_length: int
    """Bytes; 0 for the default of a file of that size."""


@dataclass(frozen=True, slots=True)
class OpenPart:
    """Open and verify the part file; ``part_opened`` or ``storage_failed`` follows."""

    info: Info


@dataclass(frozen=True, slots=True)
class WritePiece:
    """Verify and write a piece; ``piece_written`` or ``storage_failed`` follows."""

    piece: int
    data: bytearray


@dataclass(frozen=True, slots=True)
class FinishFile:
    """Rename the complete file; ``file_finished`` or ``storage_failed`` follows."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect to the single source; ``connected`` or ``source_failed`` follows."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connection to the single source, if there is one."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect to a peer of the swarm; its events or ``dial_failed`` follow."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close the connection to a peer of the swarm; ``connection_closed`` follows."""

    connection: Connection
    reason: str


Effect: TypeAlias = OpenExisting | OpenPart | WritePiece | FinishFile | Connect | Disconnect | Dial | CloseConnection
