"""What the three requests that are this project's own have in common: look-up, possession, outcome.

They stand behind the connection id and the transaction id of BEP 15, on the same port. docs/protocol.md gives
each byte. Bytes 8 to 11 of every answer begin with the version, 1, so that no dissector takes it for a request.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from torrentnet.wire.errors import InvalidNameError, PacketError
from torrentnet.wire.names import decode_peer_name

if TYPE_CHECKING:
    from torrentnet.wire.udp.packets import ReplyPacket

VERSION = 1


def reply_bytes(reply: ReplyPacket) -> bytes:
    """The datagram that a reply was read from."""
    return struct.pack(">II", reply.action, reply.transaction_id) + reply.body


def unpack_fields(layout: struct.Struct, data: bytes, what: str) -> tuple[Any, ...]:
    """The fields that a datagram begins with. Raises :class:`PacketError` (sendable) where it is too short."""
    if len(data) < layout.size:
        raise PacketError(f"{what} of {len(data)} bytes, the shortest has {layout.size}", sendable=True)
    return layout.unpack_from(data)


def check_version(version: int) -> None:
    """Raises :class:`PacketError` (sendable) for a version that is not ours."""
    if version != VERSION:
        raise PacketError(f"version {version} of the extension is not spoken here", sendable=True)


def printable_peer_name(raw: bytes) -> str:
    """A peer's name for showing only: whatever came, made harmless."""
    try:
        return decode_peer_name(raw)
    except InvalidNameError:
        return "?"
