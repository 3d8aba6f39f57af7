"""Many datagrams in two system calls: ``recvmmsg`` and ``sendmmsg``, which Python's sockets do not have.

Python's ``recvfrom`` and ``sendto`` each cost a system call, an object for the datagram, a tuple and a text for the
address. Here the kernel puts up to :data:`MAX_BATCH_SIZE` datagrams, each behind its sender's address, into one kept
buffer,
and one ``struct`` takes all their announce fields out of it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, Final

from torrentnet.wire.endpoint import address_text
from torrentnet.wire.udp.packets import ANNOUNCE_FIELDS, ANNOUNCE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BATCH_SIZE: Final = 32
"""Datagrams that are taken at once. More gain nothing, and the first of them would wait for the last one's answer."""
_ADDRESS: Final = 16
"""Bytes of a ``sockaddr_in``."""
_STRIDE: Final = 2048
"""Bytes between two datagrams' places: the address, and more than any datagram that comes unfragmented."""
_FIELDS: Final = struct.Struct(f">4xI8x{ANNOUNCE_FIELDS}{_STRIDE - _ADDRESS - ANNOUNCE_SIZE}x")

_SOURCE: Final = struct.Struct(">2xHI")


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
    """Whether this system has the two calls."""
    library = ctypes.CDLL(None)
    return sys.platform == "linux" and hasattr(library, "recvmmsg") and hasattr(library, "sendmmsg")


class DatagramBatch:
    """Takes datagrams of a non-blocking IPv4 UDP socket, and sends one answer at most to each.

    First :meth:`receive`; then, for datagram ``index`` in the order of their coming, :attr:`sizes`, :meth:`fields`,
    :meth:`data` and :meth:`source` say what it is, and :meth:`answer` puts an answer down; :meth:`send` sends them.
    """

    def __init__(self, sock: socket.socket) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self._recvmmsg, self._sendmmsg = library.recvmmsg, library.sendmmsg
        self._fd = sock.fileno()
        self.sizes: list[int] = []
        """Bytes of each datagram that was received."""
        self._silent: list[int] = []
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
                # Answers go to where the datagram of the same index came from: both use one address.
                header.name, header.name_size = address, _ADDRESS
                header.iov, header.iov_count = ctypes.addressof(parts[index]), 1
        self._heads_in = ctypes.byref(heads_in)
        self._heads_out = ctypes.addressof(heads_out)
        every = ctypes.sizeof(_Mmsghdr) // 4
        received = memoryview(heads_in).cast("B").cast("I")
        self._received = received[_Mmsghdr.size.offset // 4 :: every]
        self._sizes_out = memoryview(parts_out).cast("B").cast("L")[1::2]
        # What the kernel knows by its address alone must live as long as this.
        self._kept: tuple[Any, ...] = (room_in, room_out, parts_in, parts_out, heads_in, heads_out)

    def receive(self) -> int:
        """Take what has come, at most :data:`MAX_BATCH_SIZE`; gives how many, 0 when there is nothing. Raises
        OSError."""
        count: int = self._recvmmsg(self._fd, self._heads_in, MAX_BATCH_SIZE, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            self.sizes = []
            if number in {errno.EAGAIN, errno.EINTR}:
                return 0
            raise OSError(number, os.strerror(number))
        self.sizes = self._received[:count].tolist()
        self._silent.clear()
        return count

    def fields(self) -> Iterator[tuple[Any, ...]]:
        """The sender's address (a number) and :data:`~torrentnet.wire.udp.packets.ANNOUNCE_FIELDS` of each datagram.

        They are rubbish from where a datagram is shorter than an announce.
        """
        return _FIELDS.iter_unpack(self._in_view[: len(self.sizes) * _STRIDE])

    def data(self, index: int) -> bytes:
        """A datagram."""
        start = index * _STRIDE + _ADDRESS
        return bytes(self._in_view[start : start + self.sizes[index]])

    def options(self, index: int) -> bytes:
        """What stands behind an announce's fields."""
        start = index * _STRIDE + _ADDRESS
        return bytes(self._in_view[start + ANNOUNCE_SIZE : start + self.sizes[index]])

    def source(self, index: int) -> tuple[str, int]:
        """Where a datagram came from."""
        port, address = _SOURCE.unpack_from(self._in, index * _STRIDE)
        return address_text(address), port

    def answer(self, index: int, answer: bytes | bytearray) -> None:
        """Put down the answer to a datagram, one at most to each. Raises ValueError when it is too long."""
        start = index * _STRIDE
        size = len(answer)
        self._out_view[start : start + size] = answer
        self._sizes_out[index] = size

    def silence(self, index: int) -> None:
        """Note that a datagram gets no answer."""
        self._silent.append(index)

    def send(self) -> int:
        """Send the answers; each datagram has one, or was passed to :meth:`silence`. Gives how many did not go."""
        failed = start = 0
        for end in (*self._silent, len(self.sizes)):
            while start < end:
                count = self._sendmmsg(
                    self._fd, ctypes.c_void_p(self._heads_out + start * _HEAD), end - start, socket.MSG_DONTWAIT
                )
                if count <= 0:
                    # The kernel did not take the first of these; the next one may be another matter.
                    failed += 1
                    count = 1
                start += count
            start = end + 1
        return failed


_HEAD: Final = ctypes.sizeof(_Mmsghdr)
