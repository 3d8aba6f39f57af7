"""Outcome, a request of our own: how a peer's request for a file ended, and whom its pieces came from."""

from __future__ import annotations

import socket
import struct
from enum import IntEnum
from typing import NamedTuple

from torrentnet.wire.endpoint import Endpoint, pack_endpoint
from torrentnet.wire.errors import PacketError
from torrentnet.wire.udp.extension import VERSION, check_version, printable_peer_name, reply_bytes, unpack_fields
from torrentnet.wire.udp.packets import Action, ReplyPacket

MAX_SOURCES = 8
"""Sources that an outcome names; more than that many changes of seed are summed up by the caller."""
MAX_REASON = 255

_OUTCOME = struct.Struct(">QIIBBH20s20sIQIBBH")
_SOURCE = struct.Struct(">4sHIB")
_NOTED = struct.Struct(">IIBBHI")


class OutcomeResult(IntEnum):
    """How a request ended, as the requester reports it."""

    SUCCEEDED = 1
    FAILED = 2


_RESULTS = {int(result): result for result in OutcomeResult}


class OutcomeSource(NamedTuple):
    """Somebody that pieces came from."""

    endpoint: Endpoint
    pieces: int
    name: str


class OutcomeReport(NamedTuple):
    """How a request ended (80 bytes, the sources and the reason)."""

    connection_id: int
    transaction_id: int
    result: OutcomeResult
    port: int
    info_hash: bytes
    """Zeros where the tracker never named one."""
    peer_id: bytes
    request: int
    transferred: int
    """Bytes of verified pieces fetched by this request."""
    elapsed_ms: int
    sources: tuple[OutcomeSource, ...]
    reason: str


def pack_outcome(outcome: OutcomeReport) -> bytes:
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


def parse_outcome(data: bytes) -> OutcomeReport:
    """Read an outcome. Raises :class:`PacketError` (sendable)."""
    fields = unpack_fields(_OUTCOME, data, "outcome")
    connection_id, _, tid, version, result, port, info_hash, peer_id, request, transferred, elapsed = fields[:11]
    count, reason_size, _ = fields[11:]
    if version != VERSION:
        check_version(version)
    if result not in _RESULTS or count > MAX_SOURCES:
        raise PacketError(f"outcome: result {result} with {count} sources", sendable=True)
    sources: list[OutcomeSource] = []
    position = _OUTCOME.size
    for _ in range(count):
        if position + _SOURCE.size > len(data):
            raise PacketError("outcome: a source runs past the end of the packet", sendable=True)
        address, source_port, pieces, name_size = _SOURCE.unpack_from(data, position)
        position += _SOURCE.size
        name = printable_peer_name(data[position : position + name_size])
        position += name_size
        sources.append(OutcomeSource(Endpoint(socket.inet_ntoa(address), source_port), pieces, name))
    if position + reason_size > len(data):
        raise PacketError("outcome: the reason runs past the end of the packet", sendable=True)
    reason = data[position : position + reason_size].decode("utf-8", "replace")
    if not reason.isprintable():
        reason = "".join(character if character.isprintable() else "?" for character in reason)
    return OutcomeReport(
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


def pack_outcome_reply(transaction_id: int, request: int) -> bytes:
    """The answer to an outcome (16 bytes): the number of the request that is closed now."""
    return _NOTED.pack(Action.OUTCOME, transaction_id, VERSION, 0, 0, request)


def parse_outcome_reply(reply: ReplyPacket) -> int:
    """The request's number in the answer to an outcome. Raises :class:`PacketError`."""
    _, _, version, _, _, request = unpack_fields(_NOTED, reply_bytes(reply), "outcome answer")
    check_version(version)
    return int(request)
