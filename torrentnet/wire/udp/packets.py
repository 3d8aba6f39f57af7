"""The UDP tracker protocol (BEP 15): connect, announce, scrape, error. All numbers are big-endian."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from torrentnet.wire.endpoint import COMPACT_SIZE, unpack_endpoints
from torrentnet.wire.errors import PacketError

if TYPE_CHECKING:
    from torrentnet.wire.endpoint import Endpoint

PROTOCOL_ID = 0x41727101980
MAX_DATAGRAM = 1472
"""Bytes that fit into one Ethernet frame over IPv4 without fragments."""
DEFAULT_WANT = -1
MAX_SCRAPE = 74
"""BEP 15: about 74 info-hashes fit into one scrape."""
MAX_PEERS = 200
"""Peers in one announce answer: 1,220 bytes."""


class Action(IntEnum):
    """What a packet is; the last three are this project's own (see docs/protocol.md)."""

    CONNECT = 0
    ANNOUNCE = 1
    SCRAPE = 2
    ERROR = 3
    LOOKUP = 0x544E0001
    POSSESSION = 0x544E0002
    OUTCOME = 0x544E0003


class AnnounceEvent(IntEnum):
    """Why a peer announces; NONE is the periodic announce, our keep-alive."""

    NONE = 0
    COMPLETED = 1
    STARTED = 2
    STOPPED = 3


_CONNECT = struct.Struct(">QII")
_CONNECTED = struct.Struct(">IIQ")
_HEAD = struct.Struct(">QII")
_ANNOUNCE = struct.Struct(">QII20s20sQQQIIIiH")
_ANNOUNCED = struct.Struct(">IIIII")
_REPLY = struct.Struct(">II")
_SCRAPED = struct.Struct(">III")

REQUEST_HEAD = _HEAD.size
unpack_head = _HEAD.unpack_from
"""Connection id, action and transaction id of a datagram that is known to be long enough."""
ANNOUNCE_SIZE = _ANNOUNCE.size
ANNOUNCE_FIELDS = "QII20s20s8xQ8xII4xiH"
"""What a tracker needs of an announce, for ``struct``: connection id, action, transaction id, info-hash, peer id, left,
event, ip, want, port. It is as long as :data:`ANNOUNCE_SIZE` says."""


class RequestHead(NamedTuple):
    """What every request begins with (16 bytes)."""

    connection_id: int
    action: int
    transaction_id: int


class AnnounceRequest(NamedTuple):
    """An announce request (98 bytes, and BEP 41 options behind it)."""

    connection_id: int
    transaction_id: int
    info_hash: bytes
    peer_id: bytes
    downloaded: int
    left: int
    """Bytes that the peer still lacks; 0 makes it a seed."""
    uploaded: int
    event: int
    ip: int
    """Ignored: the packet's source is the peer's address (BEP 7 on why)."""
    key: int
    want: int
    port: int
    """The TCP port that the peer listens on."""
    options: bytes = b""
    """BEP 41 options as they came."""


class AnnounceReply(NamedTuple):
    """The answer to an announce."""

    transaction_id: int
    interval: int
    """Seconds until the next announce is expected."""
    leechers: int
    seeders: int
    peers: tuple[Endpoint, ...]


class ScrapeCounts(NamedTuple):
    """What a scrape says of one info-hash."""

    seeders: int
    completed: int
    leechers: int


class ReplyPacket(NamedTuple):
    """What every answer begins with, and the rest of it."""

    action: int
    transaction_id: int
    body: bytes
    """Everything behind the first 8 bytes."""


def parse_head(data: bytes) -> RequestHead:
    """The first 16 bytes of a request. Raises :class:`PacketError` when it is shorter."""
    if len(data) < _HEAD.size:
        raise PacketError(f"request of {len(data)} bytes, the shortest has {_HEAD.size}")
    return RequestHead(*_HEAD.unpack_from(data))


def pack_connect(transaction_id: int) -> bytes:
    """A connect request (16 bytes)."""
    return _CONNECT.pack(PROTOCOL_ID, Action.CONNECT, transaction_id)


def pack_connect_reply(transaction_id: int, connection_id: int) -> bytes:
    """The answer to a connect: exactly 16 bytes, real clients refuse a longer one."""
    return _CONNECTED.pack(Action.CONNECT, transaction_id, connection_id)


def pack_announce(announce: AnnounceRequest) -> bytes:
    """An announce request with its BEP 41 options."""
    return (
        _ANNOUNCE.pack(
            announce.connection_id,
            Action.ANNOUNCE,
            announce.transaction_id,
            announce.info_hash,
            announce.peer_id,
            announce.downloaded,
            announce.left,
            announce.uploaded,
            announce.event,
            announce.ip,
            announce.key,
            announce.want,
            announce.port,
        )
        + announce.options
    )


def parse_announce(data: bytes) -> AnnounceRequest:
    """Read an announce request. Raises :class:`PacketError` (sendable) when short, with a wrong event or port 0."""
    if len(data) < _ANNOUNCE.size:
        raise PacketError(f"announce of {len(data)} bytes, the shortest has {_ANNOUNCE.size}", sendable=True)
    fields = _ANNOUNCE.unpack_from(data)
    announce = AnnounceRequest._make((fields[0], *fields[2:], data[_ANNOUNCE.size :]))
    if announce.event > AnnounceEvent.STOPPED:
        raise PacketError(f"unknown event {announce.event}", sendable=True)
    if not announce.port:
        raise PacketError("port 0 cannot be connected to", sendable=True)
    return announce


def pack_announce_reply(
    transaction_id: int, interval: int, leechers: int, seeders: int, peers: bytes | bytearray
) -> bytes:
    """The answer to an announce; ``peers`` in compact form, 6 bytes each.

    ``interval`` is in seconds and must not be 1 or 2: Wireshark would take the answer for a request.
    """
    if interval in {1, 2}:
        raise ValueError("an interval of 1 or 2 makes dissectors take the answer for a request")
    return _ANNOUNCED.pack(Action.ANNOUNCE, transaction_id, interval, leechers, seeders) + peers


def parse_announce_reply(reply: ReplyPacket) -> AnnounceReply:
    """Read the body of an announce answer. Raises :class:`PacketError`."""
    body = reply.body
    if len(body) < 12 or (len(body) - 12) % COMPACT_SIZE:
        raise PacketError(f"announce answer of {len(body) + 8} bytes")
    interval, leechers, seeders = struct.unpack_from(">III", body)
    peers = unpack_endpoints(body[12:])
    return AnnounceReply(reply.transaction_id, interval, leechers, seeders, peers)


def pack_scrape(connection_id: int, transaction_id: int, info_hashes: tuple[bytes, ...]) -> bytes:
    """A scrape request for at most 74 info-hashes."""
    return _HEAD.pack(connection_id, Action.SCRAPE, transaction_id) + b"".join(info_hashes)


def parse_scrape(data: bytes) -> tuple[bytes, ...]:
    """The info-hashes of a scrape request. Raises :class:`PacketError` (sendable)."""
    tail = data[_HEAD.size :]
    if not tail or len(tail) % 20:
        raise PacketError("scrape must name one or more info-hashes of 20 bytes", sendable=True)
    hashes = tuple(tail[start : start + 20] for start in range(0, len(tail), 20))
    if len(hashes) > MAX_SCRAPE:
        raise PacketError(f"scrape of {len(hashes)} info-hashes, at most {MAX_SCRAPE}", sendable=True)
    return hashes


def pack_scrape_reply(transaction_id: int, swarms: tuple[ScrapeCounts, ...]) -> bytes:
    """The answer to a scrape, in the order of the question."""
    return _REPLY.pack(Action.SCRAPE, transaction_id) + b"".join(_SCRAPED.pack(*swarm) for swarm in swarms)


def parse_scrape_reply(reply: ReplyPacket) -> tuple[ScrapeCounts, ...]:
    """Read the body of a scrape answer. Raises :class:`PacketError`."""
    if len(reply.body) % _SCRAPED.size:
        raise PacketError("scrape answer is cut short")
    return tuple(ScrapeCounts(*fields) for fields in _SCRAPED.iter_unpack(reply.body))


def pack_error(transaction_id: int, message: str) -> bytes:
    """An error answer; ``message`` is cut, between two characters, so that the datagram stays whole."""
    text = message.encode("utf-8", "replace")[: MAX_DATAGRAM - _REPLY.size].decode("utf-8", "ignore")
    return _REPLY.pack(Action.ERROR, transaction_id) + text.encode("utf-8")


def parse_error(reply: ReplyPacket) -> str:
    """The text of an error answer, in one line and without what could steer a terminal."""
    text = reply.body[: MAX_DATAGRAM - _REPLY.size].decode("utf-8", "replace").rstrip("\0")
    return "".join(character if character.isprintable() else "?" for character in text)


def parse_reply(data: bytes) -> ReplyPacket:
    """The head of any answer. Raises :class:`PacketError` when it is shorter than 8 bytes."""
    if len(data) < _REPLY.size:
        raise PacketError(f"answer of {len(data)} bytes, the shortest has {_REPLY.size}")
    action, transaction_id = _REPLY.unpack_from(data)
    return ReplyPacket(action, transaction_id, data[_REPLY.size :])


def parse_connect_reply(reply: ReplyPacket) -> int:
    """The connection id in a connect answer. Raises :class:`PacketError`."""
    if len(reply.body) < 8:
        raise PacketError("connect answer is cut short")
    return int.from_bytes(reply.body[:8], "big")
