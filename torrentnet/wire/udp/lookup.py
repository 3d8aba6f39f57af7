"""Look-up, a request of our own: who has the file of this name whole? The answer names holders, page after page."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from torrentnet.wire.endpoint import Endpoint, pack_endpoint
from torrentnet.wire.errors import InvalidNameError, PacketError
from torrentnet.wire.names import decode_file_name, decode_peer_name
from torrentnet.wire.udp.extension import VERSION, check_version, printable_peer_name, reply_bytes, unpack_fields
from torrentnet.wire.udp.packets import MAX_DATAGRAM, Action, ReplyPacket

_LOOKUP = struct.Struct(">QIIBBHI20sHBB")
_FOUND = struct.Struct(">IIBBHIII20sQIIIHH")
_FOUND_HEAD = struct.Struct(">IIBBHI")
_HOLDER = struct.Struct(">4sHB")
_LOOKUP_ACTION = int(Action.LOOKUP)


class LookupRequest(NamedTuple):
    """Who has the file of this name whole? (48 bytes and the two names)"""

    connection_id: int
    transaction_id: int
    first: int
    """Number of the first holder wanted: longer lists come in pages."""
    request: int
    """Number of the request in the tracker's log; 0 begins a new one."""
    peer_id: bytes
    port: int
    name: str
    peer: str


class LookupHolder(NamedTuple):
    """A peer that has the whole file."""

    endpoint: Endpoint
    name: str


class LookupReply(NamedTuple):
    """The answer to a look-up (68 bytes and the holders)."""

    transaction_id: int
    found: bool
    """Whether the name is bound to a file; when not, everything about the file is zero."""
    request: int
    keepalive_ms: int
    timeout_ms: int
    info_hash: bytes
    size: int
    piece_length: int
    """0 where only standard clients, which do not tell, have published the file."""
    complete: int
    """Complete peers on all pages; the asker is not counted."""
    incomplete: int
    first: int
    holders: tuple[LookupHolder, ...]


def pack_lookup(lookup: LookupRequest) -> bytes:
    """The bytes of a look-up."""
    name, peer = lookup.name.encode("utf-8"), lookup.peer.encode("utf-8")
    return (
        _LOOKUP.pack(
            lookup.connection_id,
            Action.LOOKUP,
            lookup.transaction_id,
            VERSION,
            0,
            lookup.first,
            lookup.request,
            lookup.peer_id,
            lookup.port,
            len(name),
            len(peer),
        )
        + name
        + peer
    )


def parse_lookup(data: bytes) -> LookupRequest:
    """Read a look-up. Raises :class:`PacketError` (sendable)."""
    if len(data) < _LOOKUP.size:
        raise PacketError(f"look-up of {len(data)} bytes, the shortest has {_LOOKUP.size}", sendable=True)
    connection_id, _, tid, version, _, first, request, peer_id, port, name_size, peer_size = _LOOKUP.unpack_from(data)
    if version != VERSION:
        check_version(version)
    middle = _LOOKUP.size + name_size
    end = middle + peer_size
    if len(data) < end:
        raise PacketError("look-up: a name runs past the end of the packet", sendable=True)
    try:
        name = decode_file_name(data[_LOOKUP.size : middle])
        peer = decode_peer_name(data[middle:end])
    except InvalidNameError as error:
        raise PacketError(error.message, sendable=True) from None
    if not port:
        raise PacketError("port 0 cannot be connected to", sendable=True)
    return LookupRequest(connection_id, tid, first, request, peer_id, port, name, peer)


def pack_lookup_reply(found: LookupReply) -> bytes:
    """The bytes of a look-up's answer; holders that do not fit are left for the next page."""
    page = HolderPage()
    for holder in found.holders:
        if not page.add(pack_endpoint(holder.endpoint), holder.name):
            break
    return pack_lookup_page(found, page)


class HolderPage:
    """The holders of one answer, as bytes: as many as fit into a datagram."""

    __slots__ = ("count", "entries")

    def __init__(self) -> None:
        self.count = 0
        self.entries = bytearray()

    def add(self, compact: bytes, name: str) -> bool:
        """One more, its endpoint in compact form (BEP 23); False, and nothing is added, when it does not fit."""
        text = name.encode("utf-8")
        if _FOUND.size + len(self.entries) + len(compact) + 1 + len(text) > MAX_DATAGRAM:
            return False
        self.entries += compact
        self.entries.append(len(text))
        self.entries += text
        self.count += 1
        return True


def pack_lookup_page(found: LookupReply, page: HolderPage) -> bytes:
    """The bytes of a look-up's answer with the holders of ``page``; ``found.holders`` is not looked at."""
    tid, there, request, keepalive_ms, timeout_ms, info_hash, size, piece_length, complete, incomplete, first, _ = found
    return (
        _FOUND.pack(
            _LOOKUP_ACTION,
            tid,
            VERSION,
            there,
            0,
            request,
            keepalive_ms,
            timeout_ms,
            info_hash,
            size,
            piece_length,
            complete,
            incomplete,
            first,
            page.count,
        )
        + page.entries
    )


def lookup_reply_tail(answer: bytes) -> bytes:
    """A look-up's answer from behind the request's number on: what all are told who ask for the same page."""
    return answer[_FOUND_HEAD.size :]


def pack_lookup_reply_tail(transaction_id: int, there: bool, request: int, tail: bytes) -> bytes:
    """The bytes of a look-up's answer (:class:`LookupReply`) with what :func:`lookup_reply_tail` gave."""
    return _FOUND_HEAD.pack(_LOOKUP_ACTION, transaction_id, VERSION, there, 0, request) + tail


def parse_lookup_reply(reply: ReplyPacket) -> LookupReply:
    """Read the body of a look-up's answer. Raises :class:`PacketError`."""
    data = reply_bytes(reply)
    (_, tid, version, flags, _, request, keepalive, timeout, info_hash, size, piece_length) = unpack_fields(
        _FOUND, data, "look-up answer"
    )[:11]
    complete, incomplete, first, count = _FOUND.unpack_from(data)[11:]
    check_version(version)
    holders: list[LookupHolder] = []
    position = _FOUND.size
    for _ in range(count):
        if position + _HOLDER.size > len(data):
            raise PacketError("look-up answer: a holder runs past the end of the packet")
        address, port, name_size = _HOLDER.unpack_from(data, position)
        position += _HOLDER.size
        raw_name = data[position : position + name_size]
        if len(raw_name) < name_size or not port:
            raise PacketError("look-up answer: a holder is cut short or has no port")
        position += name_size
        holders.append(LookupHolder(Endpoint(socket.inet_ntoa(address), port), printable_peer_name(raw_name)))
    return LookupReply(
        tid,
        bool(flags & 1),
        request,
        keepalive,
        timeout,
        info_hash,
        size,
        piece_length,
        complete,
        incomplete,
        first,
        tuple(holders),
    )
