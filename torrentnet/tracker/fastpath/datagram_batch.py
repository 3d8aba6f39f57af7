"""Receive and send many datagrams per call: ``recvmmsg`` and ``sendmmsg``.

Python's ``recvfrom`` and ``sendto`` each cost a system call, an object for the datagram, and a tuple and a string for
the address. Here the kernel writes up to :data:`MAX_BATCH_SIZE` datagrams, each behind its sender's address, into one
permanent buffer, and one ``struct`` unpacks the announce fields of all of them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from array import array
from typing import TYPE_CHECKING, Any, Final

from torrentnet.wire.endpoint import address_text
from torrentnet.wire.udp.packets import ANNOUNCE_FIELDS, ANNOUNCE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BATCH_SIZE: Final = 32
"""Datagrams per call. A larger batch is not faster, and delays the answer to its first datagram."""
_ADDRESS: Final = 16
"""Size of a ``sockaddr_in``."""
_STRIDE: Final = 2048
"""Bytes from one datagram to the next: the address, and more than any datagram that arrives unfragmented."""
_FIELDS: Final = struct.Struct(f">4xI8x{ANNOUNCE_FIELDS}{_STRIDE - _ADDRESS - ANNOUNCE_SIZE}x")

_SOURCE: Final = struct.Struct(">2xHI")

IP_PKTINFO: Final = 8
"""Option and message of ip(7) that carry the local address of a datagram; Python has no name for them."""
_CONTROL: Final = 32
"""Bytes of the control message: a header of 16, then interface, local address and destination, 4 each, and padding."""


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iov_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Mmsghdr(ctypes.Structure):
    _fields_ = (("header", _Msghdr), ("size", ctypes.c_uint))


def is_available() -> bool:
    """Return whether this system has ``recvmmsg`` and ``sendmmsg``."""
    library = ctypes.CDLL(None)
    return sys.platform == "linux" and hasattr(library, "recvmmsg") and hasattr(library, "sendmmsg")


class DatagramBatch:
    """Receives datagrams of an IPv4 UDP socket and sends one answer to each.

    After :meth:`receive`, read the datagrams by their index, from 0 on, call :meth:`answer` or :meth:`skip` for each of
    them, and then :meth:`send`.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._control: memoryview | None = None
        library = ctypes.CDLL(None, use_errno=True)
        self._recvmmsg, self._sendmmsg = library.recvmmsg, library.sendmmsg
        self._fd = sock.fileno()
        self.sizes: list[int] = []
        """Size of each received datagram."""
        self._skipped: list[int] = []
        self._in = bytearray(MAX_BATCH_SIZE * _STRIDE)
        self._out = bytearray(MAX_BATCH_SIZE * _STRIDE)
        self._in_view = memoryview(self._in)
        self._out_view = memoryview(self._out)
        room_in = (ctypes.c_char * len(self._in)).from_buffer(self._in)
        room_out = (ctypes.c_char * len(self._out)).from_buffer(self._out)
        start_in, start_out = ctypes.addressof(room_in), ctypes.addressof(room_out)
        parts_in, parts_out = (_Iovec * MAX_BATCH_SIZE)(), (_Iovec * MAX_BATCH_SIZE)()
        heads_in, heads_out = (_Mmsghdr * MAX_BATCH_SIZE)(), (_Mmsghdr * MAX_BATCH_SIZE)()
        for index in range(MAX_BATCH_SIZE):
            address = start_in + index * _STRIDE
            parts_in[index] = _Iovec(address + _ADDRESS, _STRIDE - _ADDRESS)
            parts_out[index] = _Iovec(start_out + index * _STRIDE, 0)
            for heads, parts in ((heads_in, parts_in), (heads_out, parts_out)):
                header = heads[index].header
                # An answer goes to the source of the datagram with the same index: both headers share one address.
                header.name, header.name_size = address, _ADDRESS
                header.iov, header.iov_count = ctypes.addressof(parts[index]), 1
        self._heads_in = ctypes.byref(heads_in)
        self._heads_out = ctypes.addressof(heads_out)
        if receives_at_every_address(sock):
            # An answer leaves from the address that the datagram came to: both headers share one control message, too.
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            room = (ctypes.c_uint32 * (MAX_BATCH_SIZE * _CONTROL // 4))()
            for index in range(MAX_BATCH_SIZE):
                for heads in (heads_in, heads_out):
                    header = heads[index].header
                    header.control, header.control_size = ctypes.addressof(room) + index * _CONTROL, _CONTROL
            self._control = memoryview(room).cast("B").cast("I")
            self._control_sizes = (
                memoryview(heads_in)
                .cast("B")
                .cast("L")[_Msghdr.control_size.offset // 8 :: ctypes.sizeof(_Mmsghdr) // 8]
            )
        every = ctypes.sizeof(_Mmsghdr) // 4
        received = memoryview(heads_in).cast("B").cast("I")
        self._received = received[_Mmsghdr.size.offset // 4 :: every]
        self._sizes_out = memoryview(parts_out).cast("B").cast("L")[1::2]
        # The kernel has only the addresses of these buffers: they must live as long as this object.
        self._kept: tuple[Any, ...] = (room_in, room_out, parts_in, parts_out, heads_in, heads_out)

    def receive(self) -> int:
        """Receive waiting datagrams and return their number. Raises OSError."""
        if self._control is not None:
            self._control_sizes[:] = _FULL_CONTROLS
        count: int = self._recvmmsg(self._fd, self._heads_in, MAX_BATCH_SIZE, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            self.sizes = []
            if number in {errno.EAGAIN, errno.EINTR}:
                return 0
            raise OSError(number, os.strerror(number))
        self.sizes = self._received[:count].tolist()
        self._skipped.clear()
        return count

    def fields(self) -> Iterator[tuple[Any, ...]]:
        """Yield, for each datagram, its source address as a number and its fields.

        The fields are ``ANNOUNCE_FIELDS``, whatever kind of packet the datagram is.

        Values behind the end of a datagram shorter than an announce are undefined.
        """
        return _FIELDS.iter_unpack(self._in_view[: len(self.sizes) * _STRIDE])

    def data(self, index: int) -> bytes:
        """Return a datagram."""
        start = index * _STRIDE + _ADDRESS
        return bytes(self._in_view[start : start + self.sizes[index]])

    def options(self, index: int) -> bytes:
        """Return the options behind the fields of an announce (BEP 41)."""
        start = index * _STRIDE + _ADDRESS
        return bytes(self._in_view[start + ANNOUNCE_SIZE : start + self.sizes[index]])

    def source(self, index: int) -> tuple[str, int]:
        """Return the address and the port that a datagram came from."""
        port, address = _SOURCE.unpack_from(self._in, index * _STRIDE)
        return address_text(address), port

    def answer(self, index: int, answer: bytes | bytearray) -> None:
        """Store the answer to a datagram. Raises ValueError for a too long answer."""
        start = index * _STRIDE
        size = len(answer)
        self._out_view[start : start + size] = answer
        self._sizes_out[index] = size

    def skip(self, index: int) -> None:
        """Send no answer to a datagram; indices must be ascending."""
        self._skipped.append(index)

    def send(self) -> int:
        """Send the answers and return how many the kernel did not accept."""
        if self._control is not None:
            # The routes decide through which interface an answer leaves, not where the datagram came in.
            self._control[4 :: _CONTROL // 4] = _NO_INTERFACES
        failed = start = 0
        for end in (*self._skipped, len(self.sizes)):
            while start < end:
                count = self._sendmmsg(
                    self._fd, ctypes.c_void_p(self._heads_out + start * _HEAD), end - start, socket.MSG_DONTWAIT
                )
                if count <= 0:
                    # The kernel rejected the first of these answers; it may accept the second.
                    failed += 1
                    count = 1
                start += count
            start = end + 1
        return failed


def receives_at_every_address(sock: socket.socket) -> bool:
    """Return whether a socket is bound to no address of its own (0.0.0.0).

    False where the system is not Linux: IP_PKTINFO has another number there.
    """
    return sys.platform == "linux" and bool(sock.getsockname()[0] == "0.0.0.0")


_FULL_CONTROLS: Final = memoryview(array("L", [_CONTROL] * MAX_BATCH_SIZE))
_NO_INTERFACES: Final = memoryview(array("I", [0] * MAX_BATCH_SIZE))
_HEAD: Final = ctypes.sizeof(_Mmsghdr)
