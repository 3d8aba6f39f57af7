"""TCP connections with their byte counts, from the kernel (sock_diag(7)).

A dump has the sockets that exist. For the connections among them the kernel walks through those of all network
namespaces, which takes a millisecond and more; the sockets that listen take a hundredth of that. The multicast group
of destroyed sockets has the last counts of each connection that has ended, however short it was. Source of all
layouts: linux/inet_diag.h, linux/sock_diag.h, linux/tcp.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.wire.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

NETLINK_SOCK_DIAG: Final = 4
DESTROYED_TCP: Final = 1 << 0
"""Multicast group SKNLGRP_INET_TCP_DESTROY."""
TCPDIAG_GETSOCK: Final = 18
"""The older message type: its dump has all address families at once."""
SOCK_DIAG_BY_FAMILY: Final = 20
RECEIVE_BUFFER: Final = 1 << 20
READ_BYTES: Final = 1 << 17
DUMP_TIMEOUT: Final = 1.0

_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_NLM_F_DUMP_REQUEST: Final = 0x301
_MESSAGE: Final = struct.Struct("=IHHII")
_REQUEST: Final = struct.Struct("=xxxB48xIxxxx")
_SOCKET: Final = struct.Struct("=BBBx2s2s16s16sIIIIIIII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_TYPE_MASK: Final = 0x3FFF
_INET_DIAG_INFO: Final = 2
_ACKED_AND_RECEIVED: Final = struct.Struct("=QQ")
_ACKED_AT: Final = 120
_SENT_AND_RETRANSMITTED: Final = struct.Struct("=QQ")
_SENT_AT: Final = 200
# Half-open and TIME_WAIT sockets have moved nothing, or have been counted as destroyed.
_CONNECTED: Final = sum(1 << state for state in (1, 4, 5, 7, 8, 9, 11))
CONNECTING: Final = 2
"""State of a socket whose SYN has not been answered."""
_LISTENING: Final = 1 << 10
_STATE_LISTEN: Final = 10
_MAPPED: Final = bytes(10) + b"\xff\xff"


@dataclass(frozen=True, slots=True)
class TcpConnection:
    """One end of a TCP connection, and what has passed through it."""

    cookie: int
    """Number of the socket, never used again."""
    local: Endpoint
    remote: Endpoint
    received: int
    """Bytes received; the other side's FIN counts as one."""
    sent: int
    """Payload bytes that the other side has acknowledged."""
    state: int
    user: int
    inode: int
    """0 once the program has closed the socket."""


@dataclass(frozen=True, slots=True)
class TcpListener:
    """A TCP socket that listens."""

    address: Endpoint
    user: int
    inode: int


def dump_request(states: int) -> bytes:
    """Return the request for all TCP sockets in these states."""
    body = _REQUEST.pack(1 << (_INET_DIAG_INFO - 1), states)
    return _MESSAGE.pack(_MESSAGE.size + len(body), TCPDIAG_GETSOCK, _NLM_F_DUMP_REQUEST, 0, 0) + body


def parse_messages(data: bytes) -> Iterator[TcpConnection | TcpListener | int | None]:
    """Yield the sockets in a datagram of the kernel's.

    None marks the end of a dump, a number an error. Sockets with IPv6 addresses are left out.
    """
    at = 0
    while at + _MESSAGE.size <= len(data):
        length, kind, *_ = _MESSAGE.unpack_from(data, at)
        if length < _MESSAGE.size or at + length > len(data):
            return
        body = data[at + _MESSAGE.size : at + length]
        if kind == _NLMSG_DONE:
            yield None
        elif kind == _NLMSG_ERROR:
            yield -struct.unpack_from("=i", body)[0] if len(body) >= 4 else errno.EBADMSG
        elif kind in {TCPDIAG_GETSOCK, SOCK_DIAG_BY_FAMILY} and (found := _parse_socket(body)) is not None:
            yield found
        at += (length + 3) & ~3


def _parse_socket(body: bytes) -> TcpConnection | TcpListener | None:
    if len(body) < _SOCKET.size:
        return None
    fields = _SOCKET.unpack_from(body)
    family, state, _, local_port, remote_port, local, remote = fields[:7]
    cookie = fields[8] | fields[9] << 32
    user, inode = fields[13], fields[14]
    ends = [_address(family, raw) for raw in (local, remote)]
    here = Endpoint(str(ends[0]), int.from_bytes(local_port, "big"))
    if state == _STATE_LISTEN:
        return None if ends[0] is None else TcpListener(here, user, inode)
    info = _attribute(body, _SOCKET.size, _INET_DIAG_INFO)
    # A listening socket has no far end.
    if None in ends or not any(remote_port) or len(info) < _ACKED_AT + _ACKED_AND_RECEIVED.size:
        return None
    acked, received = _ACKED_AND_RECEIVED.unpack_from(info, _ACKED_AT)
    if len(info) >= _SENT_AT + _SENT_AND_RETRANSMITTED.size:
        # The acknowledged bytes count SYN and FIN, the sent ones do not.
        total, again = _SENT_AND_RETRANSMITTED.unpack_from(info, _SENT_AT)
        acked = min(acked, max(0, total - again))
    there = Endpoint(str(ends[1]), int.from_bytes(remote_port, "big"))
    return TcpConnection(cookie, here, there, received, acked, state, user, inode)


def _address(family: int, raw: bytes) -> str | None:
    if family == socket.AF_INET:
        return socket.inet_ntoa(raw[:4])
    if raw == bytes(16):
        return "0.0.0.0"
    return socket.inet_ntoa(raw[len(_MAPPED) :]) if raw.startswith(_MAPPED) else None


def _attribute(body: bytes, at: int, wanted: int) -> bytes:
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            break
        if kind & _TYPE_MASK == wanted:
            return body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return b""


class ConnectionSource:
    """Two netlink sockets: one for dumps, one for the connections that end.

    Raises OSError if the kernel has no socket diagnostics.
    """

    def __init__(self) -> None:
        self._dumps = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._ended = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        try:
            self._dumps.settimeout(DUMP_TIMEOUT)
            self._ended.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._ended.setblocking(False)
            self._ended.bind((0, DESTROYED_TCP))
            self.existing()
        except OSError:
            self.close()
            raise

    def existing(self) -> list[TcpConnection]:
        """Return the connections that exist or are being opened. Raises OSError."""
        return [one for one in self._dump(_CONNECTED | 1 << CONNECTING) if isinstance(one, TcpConnection)]

    def listening(self) -> list[TcpListener]:
        """Return the sockets that listen. Raises OSError."""
        return [one for one in self._dump(_LISTENING) if isinstance(one, TcpListener)]

    def _dump(self, states: int) -> Iterator[TcpConnection | TcpListener]:
        self._dumps.send(dump_request(states))
        while True:
            for message in parse_messages(self._dumps.recv(READ_BYTES)):
                if message is None:
                    return
                if isinstance(message, int):
                    raise OSError(message, "socket diagnostics")
                yield message

    def ended(self) -> list[TcpConnection]:
        """Return the connections that have ended since the last call."""
        found: list[TcpConnection] = []
        while True:
            try:
                data = self._ended.recv(READ_BYTES)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                # Some were lost: what the last dump had of them counts.
                continue
            found += [one for one in parse_messages(data) if isinstance(one, TcpConnection)]

    def close(self) -> None:
        """Close both sockets."""
        self._dumps.close()
        self._ended.close()
