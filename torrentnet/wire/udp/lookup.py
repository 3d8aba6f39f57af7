"""Look-up, a UDP request for the peers that have the whole file of a name.

It is a request of this project's own. Its replies list the peers in pages.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from torrentnet.wire.endpoint import COMPACT_SIZE, Endpoint, unpack_endpoint
from torrentnet.wire.errors import InvalidNameError, PacketError
from torrentnet.wire.info import MAX_FILE_SIZE, MAX_PIECE_LENGTH, MAX_PIECES, piece_count
from torrentnet.wire.names import canonical_name, decode_file_name, decode_peer_name
from torrentnet.wire.udp.extension import (
    REQUEST_HEAD,
    VERSION,
    check_version,
    printable_peer_name,
    reply_bytes,
    unpack_fields,
)
from torrentnet.wire.udp.packets import MAX_DATAGRAM, Action, ReplyPacket

_BODY: Final = "BxHI20sHBB"
_LOOKUP: Final = struct.Struct(f">{REQUEST_HEAD}{_BODY}")
LOOKUP_FIELDS: Final = struct.Struct(f">{struct.calcsize('>' + REQUEST_HEAD)}x{_BODY}")
"""A look-up without its head: version, first, request, peer id, port, bytes of the file's name, of the peer's."""
_REPLY_HEAD: Final = "IIBBHI"
_REPLY: Final = struct.Struct(f">{_REPLY_HEAD}II20sQIIIHH")
_HEAD: Final = struct.Struct(f">{_REPLY_HEAD}")
_HOLDER_SIZE: Final = COMPACT_SIZE + 1
_ACTION: Final = int(Action.LOOKUP)


class LookupRequest(NamedTuple):
    """Request for the peers that have the whole file of a name.

    It has 48 bytes and the two names.
    """

    connection_id: int
    transaction_id: int
    first: int
    """Number of the first holder wanted: longer lists come in pages."""
    request: int
    """Number of the request in the tracker's log; 0 opens a new one."""
    peer_id: bytes
    port: int
    name: str
    peer: str


class LookupHolder(NamedTuple):
    """A peer that has the whole file."""

    endpoint: Endpoint
    name: str


class LookupReply(NamedTuple):
    """The reply to a look-up (68 bytes and the holders)."""

    transaction_id: int
    found: bool
    """Whether the tracker knows the name; if not, every field about the file is zero."""
    request: int
    keepalive_ms: int
    timeout_ms: int
    info_hash: bytes
    size: int
    piece_length: int
    """0 where only standard clients, which do not say, have published the file."""
    complete: int
    """Complete peers on all pages, without the requester."""
    incomplete: int
    first: int
    holders: tuple[LookupHolder, ...]


def pack_lookup(lookup: LookupRequest) -> bytes:
    """Return the bytes of a look-up."""
    name, peer = lookup.name.encode("utf-8"), lookup.peer.encode("utf-8")
    return (
        _LOOKUP.pack(
            lookup.connection_id,
            _ACTION,
            lookup.transaction_id,
            VERSION,
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
    """Parse a look-up. Raises :class:`PacketError` (sendable)."""
    connection_id, _, tid, version, first, request, peer_id, port, name_size, peer_size = unpack_fields(
        _LOOKUP, data, "look-up"
    )
    check_version(version)
    middle = _LOOKUP.size + name_size
    end = middle + peer_size
    if len(data) < end:
        raise PacketError("look-up: a name runs past the end of the packet", sendable=True)
    try:
        name = canonical_name(decode_file_name(data[_LOOKUP.size : middle]))
        peer = decode_peer_name(data[middle:end])
    except InvalidNameError as error:
        raise PacketError(error.message, sendable=True) from None
    if not port:
        raise PacketError("port 0 cannot be connected to", sendable=True)
    return LookupRequest(connection_id, tid, first, request, peer_id, port, name, peer)


class HolderPage:
    """The holders of one reply, as bytes: as many as fit into a datagram."""

    __slots__ = ("count", "entries")

    def __init__(self) -> None:
        self.count = 0
        self.entries = bytearray()

    def add(self, compact: bytes, name: str) -> bool:
        """Add a holder, and return whether it fits into the datagram.

        ``compact`` is the holder's endpoint in compact form (BEP 23). A holder that does not fit is not added.
        """
        text = name.encode("utf-8")
        if _REPLY.size + len(self.entries) + len(compact) + 1 + len(text) > MAX_DATAGRAM:
            return False
        self.entries += compact
        self.entries.append(len(text))
        self.entries += text
        self.count += 1
        return True


def pack_lookup_page(reply: LookupReply, page: HolderPage) -> bytes:
    """Return the bytes of a look-up's reply with the holders of ``page``.

    They are put in place of ``reply.holders``.
    """
    tid, found, request, keepalive_ms, timeout_ms, info_hash, size, piece_length, complete, incomplete, first, _ = reply
    return (
        _REPLY.pack(
            _ACTION,
            tid,
            VERSION,
            found,
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


def lookup_reply_tail(packet: bytes) -> bytes:
    """Return the part of a look-up's reply behind the request's number.

    It is the same for every request of that page.
    """
    return packet[_HEAD.size :]


def pack_lookup_reply_tail(transaction_id: int, found: bool, request: int, tail: bytes) -> bytes:
    """Return the bytes of a look-up's reply that ends with ``tail``.

    ``tail`` is what :func:`lookup_reply_tail` returned.
    """
    return _HEAD.pack(_ACTION, transaction_id, VERSION, found, 0, request) + tail


def parse_lookup_reply(reply: ReplyPacket) -> LookupReply:
    """Parse the reply to a look-up. Raises :class:`PacketError`."""
    data = reply_bytes(reply)
    fields = unpack_fields(_REPLY, data, "look-up reply")
    _, tid, version, flags, _, request, *about_file, count = fields
    check_version(version)
    size, piece_length = about_file[3:5]
    # The reader allocates memory by these two: the tracker may have them from two strangers.
    if size > MAX_FILE_SIZE or piece_length > MAX_PIECE_LENGTH:
        raise PacketError(f"look-up reply: a file of {size} bytes in pieces of {piece_length}")
    if piece_length and piece_count(size, piece_length) > MAX_PIECES:
        raise PacketError(f"look-up reply: {piece_count(size, piece_length)} pieces, at most {MAX_PIECES} are allowed")
    holders: list[LookupHolder] = []
    position = _REPLY.size
    for _ in range(count):
        if position + _HOLDER_SIZE > len(data):
            raise PacketError("look-up reply: a holder runs past the end of the packet")
        endpoint = unpack_endpoint(data[position : position + COMPACT_SIZE])
        name_size = data[position + COMPACT_SIZE]
        position += _HOLDER_SIZE
        raw_name = data[position : position + name_size]
        if len(raw_name) < name_size or not endpoint.port:
            raise PacketError("look-up reply: a holder is cut short or has no port")
        position += name_size
        holders.append(LookupHolder(endpoint, printable_peer_name(raw_name)))
    return LookupReply._make((tid, bool(flags & 1), request, *about_file, tuple(holders)))
