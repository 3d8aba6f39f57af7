"""The three requests that are this project's own: look-up, possession, outcome.

They stand behind the connection id and the transaction id of BEP 15, on the same port. docs/protocol.md gives
each byte. Bytes 8 to 11 of every answer begin with the version, 1, so that no dissector takes it for a request.
"""

from __future__ import annotations

import socket
import struct
from enum import IntEnum
from typing import Any, NamedTuple

from torrentnet.wire.errors import NameRefused, PacketError
from torrentnet.wire.info import MAX_PIECES
from torrentnet.wire.names import decode_file_name, decode_peer_name
from torrentnet.wire.pieces import MAX_WINDOW, PieceSet, decode_window, encode_window
from torrentnet.wire.udp import MAX_DATAGRAM, Action, Endpoint, Reply, pack_endpoint

VERSION = 1
MAX_SOURCES = 8
"""Sources that an outcome names; more than that many changes of seed are summed up by the caller."""
MAX_REASON = 255

_LOOKUP = struct.Struct(">QIIBBHI20sHBB")
_FOUND = struct.Struct(">IIBBHIII20sQIIIHH")
_FOUND_HEAD = struct.Struct(">IIBBHI")
_HOLDER = struct.Struct(">4sHB")
_POSSESSION = struct.Struct(">QIIBBH20s20sIII")
_POSSESSED = struct.Struct(">IIBBHIII")
_OUTCOME = struct.Struct(">QIIBBH20s20sIQIBBH")
_SOURCE = struct.Struct(">4sHIB")
_NOTED = struct.Struct(">IIBBHI")
_LOOKUP_ACTION = int(Action.LOOKUP)


class Result(IntEnum):
    """How a request ended, as the requester reports it."""

    SUCCEEDED = 1
    FAILED = 2


_RESULTS = {int(result): result for result in Result}


class Lookup(NamedTuple):
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


class Holder(NamedTuple):
    """A peer that has the whole file."""

    endpoint: Endpoint
    name: str


class Found(NamedTuple):
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
    holders: tuple[Holder, ...]


class Possession(NamedTuple):
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


class Possessed(NamedTuple):
    """The answer to a possession report (24 bytes)."""

    transaction_id: int
    keepalive_ms: int
    timeout_ms: int
    held: int
    """Pieces that the tracker now knows this peer to hold."""


class Source(NamedTuple):
    """Somebody that pieces came from."""

    endpoint: Endpoint
    pieces: int
    name: str


class Outcome(NamedTuple):
    """How a request ended (80 bytes, the sources and the reason)."""

    connection_id: int
    transaction_id: int
    result: Result
    port: int
    info_hash: bytes
    """Zeros where the tracker never named one."""
    peer_id: bytes
    request: int
    transferred: int
    """Bytes of verified pieces fetched by this request."""
    elapsed_ms: int
    sources: tuple[Source, ...]
    reason: str


def pack_lookup(lookup: Lookup) -> bytes:
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


def parse_lookup(data: bytes) -> Lookup:
    """Read a look-up. Raises :class:`PacketError` (sendable)."""
    if len(data) < _LOOKUP.size:
        raise PacketError(f"look-up of {len(data)} bytes, the shortest has {_LOOKUP.size}", sendable=True)
    connection_id, _, tid, version, _, first, request, peer_id, port, name_size, peer_size = _LOOKUP.unpack_from(data)
    if version != VERSION:
        _check_version(version)
    middle = _LOOKUP.size + name_size
    end = middle + peer_size
    if len(data) < end:
        raise PacketError("look-up: a name runs past the end of the packet", sendable=True)
    try:
        name = decode_file_name(data[_LOOKUP.size : middle])
        peer = decode_peer_name(data[middle:end])
    except NameRefused as error:
        raise PacketError(error.message, sendable=True) from None
    if not port:
        raise PacketError("port 0 cannot be connected to", sendable=True)
    return Lookup(connection_id, tid, first, request, peer_id, port, name, peer)


def pack_found(found: Found) -> bytes:
    """The bytes of a look-up's answer; holders that do not fit are left for the next page."""
    page = HolderPage()
    for holder in found.holders:
        if not page.add(pack_endpoint(holder.endpoint), holder.name):
            break
    return pack_found_page(found, page)


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


def pack_found_page(found: Found, page: HolderPage) -> bytes:
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


def found_tail(answer: bytes) -> bytes:
    """A look-up's answer from behind the request's number on: what all are told who ask for the same page."""
    return answer[_FOUND_HEAD.size :]


def pack_found_tail(transaction_id: int, there: bool, request: int, tail: bytes) -> bytes:
    """The bytes of a look-up's answer (:class:`Found`) with what :func:`found_tail` gave."""
    return _FOUND_HEAD.pack(_LOOKUP_ACTION, transaction_id, VERSION, there, 0, request) + tail


def parse_found(reply: Reply) -> Found:
    """Read the body of a look-up's answer. Raises :class:`PacketError`."""
    data = _restore(reply)
    (_, tid, version, flags, _, request, keepalive, timeout, info_hash, size, piece_length) = _unpack(
        _FOUND, data, "look-up answer"
    )[:11]
    complete, incomplete, first, count = _FOUND.unpack_from(data)[11:]
    _check_version(version)
    holders: list[Holder] = []
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
        holders.append(Holder(Endpoint(socket.inet_ntoa(address), port), _peer_name(raw_name)))
    return Found(
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


def windows(pieces: int) -> list[tuple[int, int]]:
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


def parse_possession(data: bytes) -> Possession:
    """Read a possession report. Raises :class:`PacketError` (sendable)."""
    connection_id, _, tid, version, encoding, port, info_hash, peer_id, pieces, first, count = _unpack(
        _POSSESSION, data, "possession"
    )
    _check_version(version)
    if pieces > MAX_PIECES or count > MAX_WINDOW or first + count > pieces:
        raise PacketError(f"possession: window {first}+{count} of {pieces} pieces", sendable=True)
    window = decode_window(encoding, data[_POSSESSION.size :], first, count)
    return Possession(connection_id, tid, port, info_hash, peer_id, pieces, first, window)


def pack_possessed(possessed: Possessed) -> bytes:
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


def parse_possessed(reply: Reply) -> Possessed:
    """Read the body of a possession's answer. Raises :class:`PacketError`."""
    _, tid, version, _, _, keepalive, timeout, held = _unpack(_POSSESSED, _restore(reply), "possession answer")
    _check_version(version)
    return Possessed(tid, keepalive, timeout, held)


def pack_outcome(outcome: Outcome) -> bytes:
    """The bytes of an outcome; at most 8 sources and 255 bytes of reason are kept."""
    sources = outcome.sources[:MAX_SOURCES]
    reason = outcome.reason.encode("utf-8", "replace")[:MAX_REASON].decode("utf-8", "ignore").encode("utf-8")
    parts = [
        _OUTCOME.pack(
            outcome.connection_id,
            Action.OUTCOME,
            outcome.transaction_id,
            VERSION,
            outcome.result,
            outcome.port,
            outcome.info_hash,
            outcome.peer_id,
            outcome.request,
            outcome.transferred,
            min(outcome.elapsed_ms, 0xFFFFFFFF),
            len(sources),
            len(reason),
            0,
        )
    ]
    for source in sources:
        name = source.name.encode("utf-8")
        parts += (pack_endpoint(source.endpoint), struct.pack(">IB", source.pieces, len(name)), name)
    return b"".join(parts) + reason


def parse_outcome(data: bytes) -> Outcome:
    """Read an outcome. Raises :class:`PacketError` (sendable)."""
    fields = _unpack(_OUTCOME, data, "outcome")
    connection_id, _, tid, version, result, port, info_hash, peer_id, request, transferred, elapsed = fields[:11]
    count, reason_size, _ = fields[11:]
    if version != VERSION:
        _check_version(version)
    if result not in _RESULTS or count > MAX_SOURCES:
        raise PacketError(f"outcome: result {result} with {count} sources", sendable=True)
    sources: list[Source] = []
    position = _OUTCOME.size
    for _ in range(count):
        if position + _SOURCE.size > len(data):
            raise PacketError("outcome: a source runs past the end of the packet", sendable=True)
        address, source_port, pieces, name_size = _SOURCE.unpack_from(data, position)
        position += _SOURCE.size
        name = _peer_name(data[position : position + name_size])
        position += name_size
        sources.append(Source(Endpoint(socket.inet_ntoa(address), source_port), pieces, name))
    if position + reason_size > len(data):
        raise PacketError("outcome: the reason runs past the end of the packet", sendable=True)
    reason = data[position : position + reason_size].decode("utf-8", "replace")
    if not reason.isprintable():
        reason = "".join(character if character.isprintable() else "?" for character in reason)
    return Outcome(
        connection_id,
        tid,
        _RESULTS[result],
        port,
        info_hash,
        peer_id,
        request,
        transferred,
        elapsed,
        tuple(sources),
        reason,
    )


def pack_noted(transaction_id: int, request: int) -> bytes:
    """The answer to an outcome (16 bytes): the number of the request that is closed now."""
    return _NOTED.pack(Action.OUTCOME, transaction_id, VERSION, 0, 0, request)


def parse_noted(reply: Reply) -> int:
    """The request's number in the answer to an outcome. Raises :class:`PacketError`."""
    _, _, version, _, _, request = _unpack(_NOTED, _restore(reply), "outcome answer")
    _check_version(version)
    return int(request)


def _restore(reply: Reply) -> bytes:
    return struct.pack(">II", reply.action, reply.transaction_id) + reply.body


def _unpack(layout: struct.Struct, data: bytes, what: str) -> tuple[Any, ...]:
    if len(data) < layout.size:
        raise PacketError(f"{what} of {len(data)} bytes, the shortest has {layout.size}", sendable=True)
    return layout.unpack_from(data)


def _check_version(version: int) -> None:
    if version != VERSION:
        raise PacketError(f"version {version} of the extension is not spoken here", sendable=True)


def _peer_name(raw: bytes) -> str:
    """A name for showing only: whatever came, made harmless."""
    try:
        return decode_peer_name(raw)
    except NameRefused:
        return "?"
