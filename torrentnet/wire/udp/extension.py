"""Common parts of the UDP requests that this project adds to BEP 15.

The requests are look-up, possession report and outcome report. Like those of BEP 15, they have a connection id and a
transaction id; docs/protocol.md describes every byte. Bytes 8 to 11 of every reply begin with the version, 1, so that
no dissector takes a reply for a request.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from torrentnet.wire.errors import InvalidNameError, PacketError
from torrentnet.wire.names import decode_peer_name

if TYPE_CHECKING:
    from torrentnet.wire.udp.packets import ReplyPacket

VERSION: Final = 1
REQUEST_HEAD: Final = "QII"
"""``struct`` layout of the head of a request: connection id, action, transaction id."""


def reply_bytes(reply: ReplyPacket) -> bytes:
    """Return the datagram that a reply was parsed from."""
    return struct.pack(">II", reply.action, reply.transaction_id) + reply.body


def unpack_fields(layout: struct.Struct, data: bytes, what: str) -> tuple[Any, ...]:
    """Return the fields at the start of a datagram.

    Raises :class:`PacketError` (sendable) when the datagram is too short.
    """
    if len(data) < layout.size:
        raise PacketError(f"{what} of {len(data)} bytes, the shortest has {layout.size}", sendable=True)
    return layout.unpack_from(data)


def check_version(version: int) -> None:
    """Raise :class:`PacketError` (sendable) for a version that is not ours."""
    if version != VERSION:
        raise PacketError(f"version {version} of the extension is not supported", sendable=True)


def printable_peer_name(raw: bytes) -> str:
    """Return a peer's name that is only displayed; ``?`` for one that is not valid."""
    try:
        return decode_peer_name(raw)
    except InvalidNameError:
        return "?"
