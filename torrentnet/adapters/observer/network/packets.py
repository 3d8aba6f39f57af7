"""Packets of this network: UDP datagrams, and the ends of TCP connections.

A packet socket (packet(7)) with a filter in the kernel sees them; what the filter refuses costs nothing. Needs the
capability CAP_NET_RAW.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from dataclasses import dataclass
from typing import Final

from torrentnet.wire.endpoint import Endpoint

UDP: Final = socket.IPPROTO_UDP
TCP: Final = socket.IPPROTO_TCP
FIN, SYN, ACK = 0x01, 0x02, 0x10
MAX_WORDS: Final = 1400
"""Payload bytes of the largest TCP packet that is captured."""
RECEIVE_BUFFER: Final = 4 << 20
MAX_PACKET: Final = 65_535

_ETH_P_ALL: Final = 3
_ETH_P_IP: Final = 0x0800
_PACKET_OUTGOING: Final = 4
_PACKET_HOST: Final = 0
_PACKET_STATISTICS: Final = 6
_SOL_PACKET: Final = 263
_SO_ATTACH_FILTER: Final = 26
_LOOPBACK: Final = "lo"
_FRAGMENT_OFFSET: Final = 0x1FFF
_ALL: Final = 0x40000
_IP_HEADER: Final = struct.Struct(">BxHxxHxBxx4s4s")
_UDP_HEADER: Final = struct.Struct(">HHH")
_TCP_HEADER: Final = struct.Struct(">HHIxxxxBB")
_INSTRUCTION: Final = struct.Struct("=HBBI")

# Classic BPF (linux/filter.h, linux/bpf_common.h).
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _LOAD_BYTE_AT_X = 0x20, 0x28, 0x30, 0x50
_LOAD_X_HEADER_LENGTH, _LOAD_MEMORY, _STORE = 0xB1, 0x60, 0x02
_SUBTRACT_X, _AND, _SHIFT_RIGHT, _TO_X = 0x1C, 0x54, 0x74, 0x07
_IF_EQUAL, _IF_GREATER, _IF_ANY_BIT, _GO, _RETURN = 0x15, 0x25, 0x45, 0x05, 0x06
_PROTOCOL, _PACKET_TYPE = 0xFFFFF000, 0xFFFFF004


@dataclass(frozen=True, slots=True)
class Packet:
    """One IPv4 packet of UDP or TCP."""

    protocol: int
    """:data:`UDP` or :data:`TCP`."""
    outgoing: bool
    source: Endpoint
    target: Endpoint
    payload: bytes
    """Of a datagram in fragments, the first one's part."""
    length: int
    """Bytes of the whole payload."""
    flags: int = 0
    """Of TCP: :data:`SYN` and the like."""
    sequence: int = 0
    """Of TCP: the number of the first byte."""


def make_filter(*, datagrams: bool, words: bool) -> bytes:
    """Return a filter that passes TCP packets with SYN or FIN.

    ``datagrams`` passes UDP, too, and ``words`` outgoing TCP packets with little payload.
    """
    # Each jump counts the instructions that it passes over; a label is resolved below.
    code: list[tuple[int, str, str, int]] = [
        (_LOAD_WORD, "", "", _PROTOCOL),
        (_IF_EQUAL, "", "drop", _ETH_P_IP),
        (_LOAD_HALF, "", "", 6),
        (_IF_ANY_BIT, "drop", "", _FRAGMENT_OFFSET),
        (_LOAD_BYTE, "", "", 9),
        (_IF_EQUAL, "pass" if datagrams else "drop", "", UDP),
        (_IF_EQUAL, "", "drop", TCP),
        (_LOAD_X_HEADER_LENGTH, "", "", 0),
        (_LOAD_BYTE_AT_X, "", "", 13),
        (_IF_ANY_BIT, "pass", "" if words else "drop", SYN | FIN),
    ]
    if words:
        code += [
            (_LOAD_WORD, "", "", _PACKET_TYPE),
            (_IF_EQUAL, "", "drop", _PACKET_OUTGOING),
            (_LOAD_HALF, "", "", 2),
            (_SUBTRACT_X, "", "", 0),
            (_STORE, "", "", 0),
            (_LOAD_BYTE_AT_X, "", "", 12),
            (_AND, "", "", 0xF0),
            (_SHIFT_RIGHT, "", "", 2),
            (_TO_X, "", "", 0),
            (_LOAD_MEMORY, "", "", 0),
            (_SUBTRACT_X, "", "", 0),
            (_IF_EQUAL, "drop", "", 0),
            (_IF_GREATER, "drop", "", MAX_WORDS),
        ]
    code += [(_RETURN, "", "", _ALL), (_RETURN, "", "", 0)]
    labels = {"pass": len(code) - 2, "drop": len(code) - 1}
    return b"".join(
        _INSTRUCTION.pack(
            operation,
            labels[then] - at - 1 if then else 0,
            labels[otherwise] - at - 1 if otherwise else 0,
            value,
        )
        for at, (operation, then, otherwise, value) in enumerate(code)
    )


def parse_packet(data: bytes, *, outgoing: bool) -> Packet | None:
    """Parse an IPv4 packet; None for one that is cut short or of another protocol."""
    if len(data) < _IP_HEADER.size:
        return None
    first, total, _, protocol, source, target = _IP_HEADER.unpack_from(data)
    header = (first & 15) * 4
    body = data[header:total]
    here, there = socket.inet_ntoa(source), socket.inet_ntoa(target)
    if protocol == UDP and len(body) >= 8:
        source_port, target_port, length = _UDP_HEADER.unpack_from(body)
        payload = body[8:length]
        return Packet(
            UDP, outgoing, Endpoint(here, source_port), Endpoint(there, target_port), payload, max(0, length - 8)
        )
    if protocol == TCP and len(body) >= 20:
        source_port, target_port, sequence, offset, flags = _TCP_HEADER.unpack_from(body)
        payload = body[(offset >> 4) * 4 :]
        ends = Endpoint(here, source_port), Endpoint(there, target_port)
        # A captured packet may be longer than what the interface sends.
        length = max(0, total - header - (offset >> 4) * 4)
        return Packet(TCP, outgoing, *ends, payload, length, flags, sequence)
    return None


class PacketCapture:
    """The packet socket. Raises OSError without the capability.

    In a ``shared`` network the packets of all are seen, at the loopback interface.
    """

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        # Until the filter is set, packets of every kind may come in: read() passes over them.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def set_filter(self, *, datagrams: bool, words: bool) -> None:
        """Choose what is captured from now on."""
        code = make_filter(datagrams=datagrams, words=words)
        buffer = ctypes.create_string_buffer(code, len(code))
        count = len(code) // _INSTRUCTION.size
        self._socket.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", count, ctypes.addressof(buffer))
        )

    def read(self) -> Packet | None:
        """Return the next packet; raise BlockingIOError when there is none.

        None stands for a packet that does not count.
        """
        data, (interface, _, kind, *_) = self._socket.recvfrom(MAX_PACKET)
        if interface == _LOOPBACK and (not self._shared or kind != _PACKET_HOST):
            # The loopback interface shows every packet twice.
            return None
        return parse_packet(data, outgoing=kind == _PACKET_OUTGOING)

    def lost(self) -> int:
        """Return the packets that the kernel has dropped since the last call."""
        return int(struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1])

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
