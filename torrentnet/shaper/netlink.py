"""NFQUEUE messages of netlink, parsed and packed. No socket.

Source of all layouts: linux/netlink.h, linux/netfilter/nfnetlink.h and linux/netfilter/nfnetlink_queue.h. Headers are
in the machine's byte order, netfilter's fields in network byte order.
"""

import errno
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

NETLINK_NETFILTER: Final = 12
AF_INET: Final = 2
NLM_F_REQUEST: Final = 1
NLM_F_ACK: Final = 4
NLMSG_ERROR: Final = 2
MAX_MESSAGE: Final = 1 << 17
"""Bytes; more than a packet of 64 KiB with all its attributes."""

_MESSAGE: Final = struct.Struct("=IHHII")
_FAMILY: Final = struct.Struct("!BBH")
_ATTRIBUTE: Final = struct.Struct("=HH")
_TYPE_MASK: Final = 0x3FFF
_PACKET_HEADER: Final = struct.Struct("!IHB")
_TIMESTAMP: Final = struct.Struct("!QQ")
_NUMBER: Final = struct.Struct("!I")
_ERROR: Final = struct.Struct("=i")
_PARAMETERS: Final = struct.Struct("!IB")
_VERDICT: Final = struct.Struct("!II")
_COMMAND: Final = struct.Struct("!BBH")
_HEADERS: Final = _MESSAGE.size + _FAMILY.size


class _Type(IntEnum):
    PACKET = 3 << 8
    VERDICT = 3 << 8 | 1
    CONFIG = 3 << 8 | 2


class _Attribute(IntEnum):
    PACKET_HEADER = 1
    VERDICT_HEADER = 2
    TIMESTAMP = 4
    PAYLOAD = 10


class _Setting(IntEnum):
    COMMAND = 1
    PARAMETERS = 2
    MAX_LENGTH = 3
    MASK = 4
    FLAGS = 5


class PacketVerdict(IntEnum):
    """What the kernel does with a packet."""

    DROP = 0
    ACCEPT = 1


class NetlinkFormatError(ValueError):
    """Bytes that are not a netlink message of the expected kinds."""


@dataclass(frozen=True, slots=True)
class QueuedPacket:
    """A packet that the kernel holds until its verdict."""

    queue: int
    number: int
    """The kernel's number for the packet in its queue."""
    received_ns: int | None
    """When the interface received it, in ns of CLOCK_REALTIME (in steps of 1 us); None without a timestamp."""
    payload: bytes | None
    """The whole packet from its IP header on; None where the queue does not copy bytes."""


@dataclass(frozen=True, slots=True)
class NetlinkReply:
    """The kernel's reply to a request: 0, or an errno."""

    error: int
    sequence: int


def configure_queue(queue: int, sequence: int, *, bind: bool, copy: bool, max_waiting: int) -> bytes:
    """Return the request that sets up a queue (0 to 65535), in one message.

    With ``bind`` the request opens the queue first.

    ``copy``: the kernel passes the packets' bytes, each TCP segment separately. Without it the kernel passes only their
    numbers, and does not split a large segment. ``max_waiting``: the kernel drops, and counts, packets beyond it.
    """
    segments_whole = 4  # NFQA_CFG_F_GSO, and no other flag: fail-open would let packets pass unshaped.
    body = _attribute(_Setting.COMMAND, _COMMAND.pack(1, 0, AF_INET)) if bind else b""
    body += _attribute(_Setting.PARAMETERS, _PARAMETERS.pack(0xFFFF if copy else 0, 2 if copy else 1))
    body += _attribute(_Setting.MAX_LENGTH, _NUMBER.pack(max_waiting))
    body += _attribute(_Setting.MASK, _NUMBER.pack(segments_whole))
    body += _attribute(_Setting.FLAGS, _NUMBER.pack(0 if copy else segments_whole))
    return _message(_Type.CONFIG, queue, body, NLM_F_REQUEST | NLM_F_ACK, sequence)


def pack_verdict(queue: int, number: int, decision: PacketVerdict, payload: bytes | None = None) -> bytes:
    """Return the message that accepts, replaces or drops a packet.

    An accepted packet is replaced by ``payload`` where there is one. Messages may be joined.
    """
    body = _attribute(_Attribute.VERDICT_HEADER, _VERDICT.pack(decision, number))
    if payload is not None:
        body += _attribute(_Attribute.PAYLOAD, payload)
    return _message(_Type.VERDICT, queue, body, NLM_F_REQUEST, 0)


def decode(data: bytes | bytearray | memoryview) -> Iterator[QueuedPacket | NetlinkReply]:
    """Yield the messages that one receive call returned.

    Messages of other kinds are skipped. Raises NetlinkFormatError.
    """
    at = 0
    while at + _MESSAGE.size <= len(data):
        length, kind, _, sequence, _ = _MESSAGE.unpack_from(data, at)
        if length < _MESSAGE.size or at + length > len(data):
            raise NetlinkFormatError(f"a message of {length} bytes where {len(data) - at} are left")
        if kind == _Type.PACKET:
            yield _packet(data, at, at + length)
        elif kind == NLMSG_ERROR:
            if length < _MESSAGE.size + _ERROR.size:
                raise NetlinkFormatError("a reply without its error number")
            yield NetlinkReply(error=-_ERROR.unpack_from(data, at + _MESSAGE.size)[0], sequence=sequence)
        at += length + 3 & ~3


def describe_error(error: int) -> str:
    """Return what an errno means as the reply to :func:`configure_queue`."""
    if error == errno.EBUSY:
        return "another program has bound this queue"
    if error == errno.EPERM:
        return "not permitted: it needs CAP_NET_ADMIN (docker exec --privileged -u 0)"
    if error in {errno.EINVAL, errno.ENOENT, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP}:
        return "the kernel has no NFQUEUE (nfnetlink_queue)"
    return errno.errorcode.get(error, str(error))


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def _message(kind: int, queue: int, body: bytes, flags: int, sequence: int) -> bytes:
    return _MESSAGE.pack(_HEADERS + len(body), kind, flags, sequence, 0) + _FAMILY.pack(0, 0, queue) + body


def _packet(data: bytes | bytearray | memoryview, start: int, end: int) -> QueuedPacket:
    if start + _HEADERS > end:
        raise NetlinkFormatError("a packet message without its queue")
    queue = data[start + _HEADERS - 2] << 8 | data[start + _HEADERS - 1]
    number = received_ns = payload = None
    at = start + _HEADERS
    while at + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        value = at + _ATTRIBUTE.size
        size = length - _ATTRIBUTE.size
        if size < 0 or at + length > end:
            raise NetlinkFormatError(f"an attribute of {length} bytes where {end - at} are left")
        kind &= _TYPE_MASK
        if kind == _Attribute.PACKET_HEADER and size >= _PACKET_HEADER.size:
            number = _NUMBER.unpack_from(data, value)[0]
        elif kind == _Attribute.TIMESTAMP and size >= _TIMESTAMP.size:
            seconds, micro = _TIMESTAMP.unpack_from(data, value)
            received_ns = seconds * 1_000_000_000 + micro * 1_000
        elif kind == _Attribute.PAYLOAD:
            payload = bytes(data[value : value + size])
        at += length + 3 & ~3
    if number is None:
        raise NetlinkFormatError("a packet without a number")
    return QueuedPacket(queue, number, received_ns, payload)
