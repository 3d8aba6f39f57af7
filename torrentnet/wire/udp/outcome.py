"""Outcome report, a UDP request that says how a request for a file ended.

It is a request of this project's own. It also names the sources of the file's pieces.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

from torrentnet.wire.endpoint import COMPACT_SIZE, Endpoint, pack_endpoint, unpack_endpoint
from torrentnet.wire.errors import PacketError
from torrentnet.wire.udp.extension import (
    REQUEST_HEAD,
    VERSION,
    check_version,
    printable_peer_name,
    reply_bytes,
    unpack_fields,
)
from torrentnet.wire.udp.packets import Action, ReplyPacket, printable_text

MAX_SOURCES: Final = 8
"""Sources in one report; of a download with more, the caller names those that sent most."""
MAX_REASON: Final = 255
"""Bytes of UTF-8."""

_BODY: Final = "BBH20s20sIQIBB2x"
_OUTCOME: Final = struct.Struct(f">{REQUEST_HEAD}{_BODY}")
OUTCOME_FIELDS: Final = struct.Struct(f">{struct.calcsize('>' + REQUEST_HEAD)}x{_BODY}")
"""A report without its head: version, result, port, info-hash, peer id, request, bytes, ms, number of sources, bytes of
the reason."""
_SOURCE_TAIL: Final = struct.Struct(">IB")
_SOURCE_SIZE: Final = COMPACT_SIZE + _SOURCE_TAIL.size
_REPLY: Final = struct.Struct(">IIBBHI")


class OutcomeResult(IntEnum):
    """How a request ended, as the peer that made it reports."""

    SUCCEEDED = 1
    FAILED = 2


_RESULTS = {int(result): result for result in OutcomeResult}


class OutcomeSource(NamedTuple):
    """A peer that pieces came from."""

    endpoint: Endpoint
    pieces: int
    name: str


class OutcomeReport(NamedTuple):
    """A report of how a request ended (80 bytes, the sources and the reason)."""

    connection_id: int
    transaction_id: int
    result: OutcomeResult
    port: int
    info_hash: bytes
    """Zeros when the tracker never named one."""
    peer_id: bytes
    request: int
    transferred: int
    """Bytes of verified pieces that this request downloaded."""
    elapsed_ms: int
    sources: tuple[OutcomeSource, ...]
    reason: str


def pack_outcome(outcome: OutcomeReport) -> bytes:
    """Return the bytes of a report, cut to 8 sources and 255 bytes of reason."""
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
        )
    ]
    for source in sources:
        name = source.name.encode("utf-8")
        parts += (pack_endpoint(source.endpoint), _SOURCE_TAIL.pack(source.pieces, len(name)), name)
    return b"".join(parts) + reason


def parse_outcome(data: bytes) -> OutcomeReport:
    """Parse a report. Raises :class:`PacketError` (sendable)."""
    fields = unpack_fields(_OUTCOME, data, "outcome")
    connection_id, _, tid, version, result, port, info_hash, peer_id, request, transferred, elapsed = fields[:11]
    count, reason_size = fields[11:]
    check_version(version)
    if result not in _RESULTS or count > MAX_SOURCES:
        raise PacketError(f"outcome: result {result} with {count} sources", sendable=True)
    sources: list[OutcomeSource] = []
    position = _OUTCOME.size
    for _ in range(count):
        if position + _SOURCE_SIZE > len(data):
            raise PacketError("outcome: a source runs past the end of the packet", sendable=True)
        endpoint = unpack_endpoint(data[position : position + COMPACT_SIZE])
        pieces, name_size = _SOURCE_TAIL.unpack_from(data, position + COMPACT_SIZE)
        position += _SOURCE_SIZE
        name = printable_peer_name(data[position : position + name_size])
        position += name_size
        sources.append(OutcomeSource(endpoint, pieces, name))
    if position + reason_size > len(data):
        raise PacketError("outcome: the reason runs past the end of the packet", sendable=True)
    reason = printable_text(data[position : position + reason_size])
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
    """Return the reply to an outcome report (16 bytes).

    ``request`` is the number of the request for a file that the report has closed.
    """
    return _REPLY.pack(Action.OUTCOME, transaction_id, VERSION, 0, 0, request)


def parse_outcome_reply(reply: ReplyPacket) -> int:
    """Return the number of the closed request in the reply to an outcome report.

    Raises :class:`PacketError`.
    """
    _, _, version, _, _, request = unpack_fields(_REPLY, reply_bytes(reply), "outcome reply")
    check_version(version)
    return int(request)
