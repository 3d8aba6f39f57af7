"""Possession, a request of our own: which pieces a peer holds, told to the tracker window after window."""

from __future__ import annotations

import struct
from typing import NamedTuple

from torrentnet.wire.errors import PacketError
from torrentnet.wire.info import MAX_PIECES
from torrentnet.wire.piece_set import MAX_WINDOW, PieceSet, decode_window, encode_window
from torrentnet.wire.udp.extension import VERSION, check_version, reply_bytes, unpack_fields
from torrentnet.wire.udp.packets import Action, ReplyPacket

_POSSESSION = struct.Struct(">QIIBBH20s20sIII")
_POSSESSED = struct.Struct(">IIBBHIII")


class PossessionReport(NamedTuple):
    """Which pieces a peer holds of the window [first, first + window.size) (72 bytes and the pieces)."""

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
    """The answer to a possession report (24 bytes)."""

    transaction_id: int
    keepalive_ms: int
    timeout_ms: int
    held: int
    """Pieces that the tracker now knows this peer to hold."""


def possession_windows(pieces: int) -> list[tuple[int, int]]:
    """The (first, count) windows that speak of a file of ``pieces`` pieces; one for most files."""
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
    """The bytes of a report of what ``held`` holds from ``first`` on, ``count`` pieces (at most 11,000)."""
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
    """Read a possession report. Raises :class:`PacketError` (sendable)."""
    connection_id, _, tid, version, encoding, port, info_hash, peer_id, pieces, first, count = unpack_fields(
        _POSSESSION, data, "possession"
    )
    check_version(version)
    if pieces > MAX_PIECES or count > MAX_WINDOW or first + count > pieces:
        raise PacketError(f"possession: window {first}+{count} of {pieces} pieces", sendable=True)
    window = decode_window(encoding, data[_POSSESSION.size :], first, count)
    return PossessionReport(connection_id, tid, port, info_hash, peer_id, pieces, first, window)


def pack_possession_reply(possessed: PossessionReply) -> bytes:
    """The bytes of the answer to a possession report."""
    return _POSSESSED.pack(
        Action.POSSESSION,
        possessed.transaction_id,
        VERSION,
        0,
        0,
        possessed.keepalive_ms,
        possessed.timeout_ms,
        possessed.held,
    )


def parse_possession_reply(reply: ReplyPacket) -> PossessionReply:
    """Read the body of a possession's answer. Raises :class:`PacketError`."""
    _, tid, version, _, _, keepalive, timeout, held = unpack_fields(_POSSESSED, reply_bytes(reply), "possession answer")
    check_version(version)
    return PossessionReply(tid, keepalive, timeout, held)
