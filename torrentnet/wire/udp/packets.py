"""The UDP tracker protocol (BEP 15): connect, announce, scrape, error.

All numbers are big-endian.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from torrentnet.wire.endpoint import COMPACT_SIZE, unpack_endpoints
from torrentnet.wire.errors import PacketError

if TYPE_CHECKING:
    from torrentnet.wire.endpoint import Endpoint

PROTOCOL_ID: Final = 0x41727101980
MAX_DATAGRAM: Final = 1472
"""Bytes that fit into one Ethernet frame over IPv4 without fragments."""
DEFAULT_WANT: Final = -1
MAX_SCRAPE: Final = 74
"""Info-hashes in one scrape (BEP 15)."""
MAX_PEERS: Final = 200
"""Peers in one announce reply: 1,220 bytes."""


class Action(IntEnum):
    """Kind of a packet.

    The last three are this project's own (see docs/protocol.md).
    """

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


_PAUSED: Final = 4
"""Event of a partial seed (BEP 21), which libtorrent sends over UDP, too: for the tracker, it is no event."""
_CONNECT_REPLY: Final = struct.Struct(">IIQ")
_HEAD: Final = struct.Struct(">QII")
_ANNOUNCE: Final = struct.Struct(">QII20s20sQQQIIIiH")
ANNOUNCE_REPLY_HEAD: Final = struct.Struct(">IIIII")
_REPLY_HEAD: Final = struct.Struct(">II")
_COUNTS: Final = struct.Struct(">III")
_HASH_SIZE: Final = 20

REQUEST_HEAD: Final = _HEAD.size
unpack_head: Final = _HEAD.unpack_from
"""Return connection id, action and transaction id of a datagram that is known to be long enough."""
ANNOUNCE_SIZE: Final = _ANNOUNCE.size
ANNOUNCE_FIELDS: Final = "QII20s20s8xQ8xII4xiH"
"""``struct`` layout of :data:`ANNOUNCE_SIZE` bytes, with the fields that a tracker needs: connection id, action,
transaction id, info-hash, peer id, left, event, ip, want, port."""


class RequestHead(NamedTuple):
    """The head of every request (16 bytes)."""

    connection_id: int
    action: int
    transaction_id: int


class AnnounceRequest(NamedTuple):
    """An announce request (98 bytes, and BEP 41 options behind them)."""

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
    """Ignored: the packet's source is the peer's address (BEP 7 says why)."""
    key: int
    want: int
    port: int
    """The TCP port that the peer listens on."""
    options: bytes = b""
    """BEP 41 options, undecoded."""


class AnnounceReply(NamedTuple):
    """The reply to an announce."""

    transaction_id: int
    interval: int
    """Seconds until the next announce is expected."""
    leechers: int
    seeders: int
    peers: tuple[Endpoint, ...]


class ScrapeCounts(NamedTuple):
    """The numbers of one info-hash in a scrape reply."""

    seeders: int
    completed: int
    leechers: int


class ReplyPacket(NamedTuple):
    """The head of a reply, and the rest undecoded."""

    action: int
    transaction_id: int
    body: bytes
    """Everything behind the first 8 bytes."""


def parse_head(data: bytes) -> RequestHead:
    """Parse the first 16 bytes of a request.

    Raises :class:`PacketError` when the request is shorter.
    """
    if len(data) < _HEAD.size:
        raise PacketError(f"request of {len(data)} bytes, the shortest has {_HEAD.size}")
    return RequestHead(*_HEAD.unpack_from(data))


def pack_connect(transaction_id: int) -> bytes:
    """Return a connect request (16 bytes)."""
    return _HEAD.pack(PROTOCOL_ID, Action.CONNECT, transaction_id)


def pack_connect_reply(transaction_id: int, connection_id: int) -> bytes:
    """Return the reply to a connect request.

    It has exactly 16 bytes, because real clients refuse a longer one.
    """
    return _CONNECT_REPLY.pack(Action.CONNECT, transaction_id, connection_id)


def parse_connect_reply(reply: ReplyPacket) -> int:
    """Return the connection id in a connect reply. Raises :class:`PacketError`."""
    if len(reply.body) < 8:
        raise PacketError("connect reply is cut short")
    return int.from_bytes(reply.body[:8], "big")


def pack_announce(announce: AnnounceRequest) -> bytes:
    """Return an announce request with its BEP 41 options."""
    connection_id, transaction_id, *fields, options = announce
    return _ANNOUNCE.pack(connection_id, Action.ANNOUNCE, transaction_id, *fields) + options


def parse_announce(data: bytes) -> AnnounceRequest:
    """Parse an announce request.

    Raises :class:`PacketError` (sendable) when the request is short, or has a wrong event or port 0.
    """
    if len(data) < _ANNOUNCE.size:
        raise PacketError(f"announce of {len(data)} bytes, the shortest has {_ANNOUNCE.size}", sendable=True)
    fields = _ANNOUNCE.unpack_from(data)
    announce = AnnounceRequest._make((fields[0], *fields[2:], data[_ANNOUNCE.size :]))
    if announce.event == _PAUSED:
        announce = announce._replace(event=int(AnnounceEvent.NONE))
    if announce.event > AnnounceEvent.STOPPED:
        raise PacketError(f"unknown event {announce.event}", sendable=True)
    if not announce.port:
        raise PacketError("port 0 cannot be connected to", sendable=True)
    return announce


def pack_announce_reply(
    transaction_id: int, interval: int, leechers: int, seeders: int, peers: bytes | bytearray
) -> bytes:
    """Return the reply to an announce; ``peers`` are in compact form, 6 bytes each.

    ``interval`` is in seconds and must not be 1 or 2: Wireshark would take the reply for a request.
    """
    if interval in {1, 2}:
        raise ValueError("an interval of 1 or 2 makes dissectors take the reply for a request")
    return ANNOUNCE_REPLY_HEAD.pack(Action.ANNOUNCE, transaction_id, interval, leechers, seeders) + peers


def parse_announce_reply(reply: ReplyPacket) -> AnnounceReply:
    """Parse the reply to an announce. Raises :class:`PacketError`."""
    compact = reply.body[_COUNTS.size :]
    if len(reply.body) < _COUNTS.size or len(compact) % COMPACT_SIZE:
        raise PacketError(f"announce reply of {len(reply.body) + _REPLY_HEAD.size} bytes")
    interval, leechers, seeders = _COUNTS.unpack_from(reply.body)
    return AnnounceReply(reply.transaction_id, interval, leechers, seeders, unpack_endpoints(compact))


def pack_scrape(connection_id: int, transaction_id: int, info_hashes: tuple[bytes, ...]) -> bytes:
    """Return a scrape request for at most 74 info-hashes."""
    return _HEAD.pack(connection_id, Action.SCRAPE, transaction_id) + b"".join(info_hashes)


def parse_scrape(data: bytes) -> tuple[bytes, ...]:
    """Return the info-hashes of a scrape request.

    Raises :class:`PacketError` (sendable).
    """
    tail = data[_HEAD.size :]
    if not tail or len(tail) % _HASH_SIZE:
        raise PacketError("scrape must name one or more info-hashes of 20 bytes", sendable=True)
    hashes = tuple(tail[start : start + _HASH_SIZE] for start in range(0, len(tail), _HASH_SIZE))
    if len(hashes) > MAX_SCRAPE:
        raise PacketError(f"scrape of {len(hashes)} info-hashes, at most {MAX_SCRAPE}", sendable=True)
    return hashes


def pack_scrape_reply(transaction_id: int, swarms: tuple[ScrapeCounts, ...]) -> bytes:
    """Return the reply to a scrape, in the order of the request."""
    return _REPLY_HEAD.pack(Action.SCRAPE, transaction_id) + b"".join(_COUNTS.pack(*swarm) for swarm in swarms)


def parse_scrape_reply(reply: ReplyPacket) -> tuple[ScrapeCounts, ...]:
    """Parse the reply to a scrape. Raises :class:`PacketError`."""
    if len(reply.body) % _COUNTS.size:
        raise PacketError("scrape reply is cut short")
    return tuple(ScrapeCounts(*fields) for fields in _COUNTS.iter_unpack(reply.body))


def pack_error(transaction_id: int, message: str) -> bytes:
    """Return an error reply with the text ``message``.

    The text is cut, between two characters, so that the datagram is not fragmented.
    """
    text = message.encode("utf-8", "replace")[: MAX_DATAGRAM - _REPLY_HEAD.size].decode("utf-8", "ignore")
    return _REPLY_HEAD.pack(Action.ERROR, transaction_id) + text.encode("utf-8")


def parse_error(reply: ReplyPacket) -> str:
    """Return the text of an error reply, made safe to show on a terminal.

    The text is on one line and has no characters that could act on a terminal.
    """
    return printable_text(reply.body[: MAX_DATAGRAM - _REPLY_HEAD.size].rstrip(b"\0"))


def printable_text(raw: bytes) -> str:
    """Decode UTF-8 from the network into text that is safe on a terminal.

    A ``?`` replaces every character that could act on a terminal.
    """
    text = raw.decode("utf-8", "replace")
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def parse_reply(data: bytes) -> ReplyPacket:
    """Parse the head of any reply.

    Raises :class:`PacketError` when the reply is shorter than 8 bytes.
    """
    if len(data) < _REPLY_HEAD.size:
        raise PacketError(f"reply of {len(data)} bytes, the shortest has {_REPLY_HEAD.size}")
    action, transaction_id = _REPLY_HEAD.unpack_from(data)
    return ReplyPacket(action, transaction_id, data[_REPLY_HEAD.size :])
