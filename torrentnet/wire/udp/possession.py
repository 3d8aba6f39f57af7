"""Possession report, a UDP request that lists the pieces that a peer holds.

It is a request of this project's own. The pieces are reported in windows.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from torrentnet.wire.errors import PacketError
from torrentnet.wire.info import MAX_PIECES
from torrentnet.wire.piece_set import MAX_WINDOW, PieceSet, decode_window, encode_window
from torrentnet.wire.udp.extension import REQUEST_HEAD, VERSION, check_version, reply_bytes, unpack_fields
from torrentnet.wire.udp.packets import Action, ReplyPacket

_POSSESSION: Final = struct.Struct(f">{REQUEST_HEAD}BBH20s20sIII")
_REPLY: Final = struct.Struct(">IIBBHIII")


class PossessionReport(NamedTuple):
    """Report of the pieces of one window that a peer holds.

    The window is [first, first + window.size). The report has 72 bytes and the pieces.
    """

    connection_id: int
    transaction_id: int
    port: int
    info_hash: bytes
    peer_id: bytes
    pieces: int
    """Pieces of the whole file."""
    first: int
    window: PieceSet


class PossessionReply(NamedTuple):
    """The reply to a possession report (24 bytes)."""

    transaction_id: int
    keepalive_ms: int
    timeout_ms: int
    held: int
    """Pieces that the peer holds, as the tracker now knows."""


def possession_windows(pieces: int) -> list[tuple[int, int]]:
    """Return the windows (first, count) that cover a file of ``pieces`` pieces.

    Most files need one.
    """
    return [(first, min(MAX_WINDOW, pieces - first)) for first in range(0, pieces, MAX_WINDOW)] or [(0, 0)]


def pack_possession(
    connection_id: int,
    transaction_id: int,
    port: int,
    info_hash: bytes,
    peer_id: bytes,
    held: PieceSet,
    first: int,
    count: int,
) -> bytes:
    """Return the bytes of a possession report.

    The report says which of the ``count`` pieces (at most 11,000) from ``first`` on are in ``held``.
    """
    encoding, data = encode_window(held, first, count)
    return (
        _POSSESSION.pack(
            connection_id,
            Action.POSSESSION,
            transaction_id,
            VERSION,
            encoding,
            port,
            info_hash,
            peer_id,
            held.size,
            first,
            count,
        )
        + data
    )


def parse_possession(data: bytes) -> PossessionReport:
    """Parse a possession report. Raises :class:`PacketError` (sendable)."""
    connection_id, _, tid, version, encoding, port, info_hash, peer_id, pieces, first, count = unpack_fields(
        _POSSESSION, data, "possession"
    )
    check_version(version)
    if pieces > MAX_PIECES or count > MAX_WINDOW or first + count > pieces:
        raise PacketError(f"possession: window {first}+{count} of {pieces} pieces", sendable=True)
    window = decode_window(encoding, data[_POSSESSION.size :], first, count)
    return PossessionReport(connection_id, tid, port, info_hash, peer_id, pieces, first, window)


def pack_possession_reply(reply: PossessionReply) -> bytes:
    """Return the bytes of the reply to a possession report."""
    return _REPLY.pack(
        Action.POSSESSION, reply.transaction_id, VERSION, 0, 0, reply.keepalive_ms, reply.timeout_ms, reply.held
    )


def parse_possession_reply(reply: ReplyPacket) -> PossessionReply:
    """Parse the reply to a possession report. Raises :class:`PacketError`."""
    _, tid, version, _, _, keepalive, timeout, held = unpack_fields(_REPLY, reply_bytes(reply), "possession reply")
    check_version(version)
    return PossessionReply(tid, keepalive, timeout, held)
