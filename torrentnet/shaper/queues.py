"""The netlink socket that receives packets' numbers and sends verdicts.

The kernel is the other side of the socket.

Tested by tests/integration/test_shaper_calibration.py, tests/unit/shaper/test_main.py.
"""

import contextlib
import errno
import os
import select
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from torrentnet.shaper.corruption import destination_address
from torrentnet.shaper.errors import KernelUnsupportedError
from torrentnet.shaper.netlink import (
    MAX_MESSAGE,
    NETLINK_NETFILTER,
    NetlinkReply,
    PacketVerdict,
    QueuedPacket,
    configure_queue,
    decode,
    describe_error,
    pack_verdict,
)
from torrentnet.shaper.schedule import MAX_WAITING, PacketRelease

KERNEL_QUEUE_LENGTH: Final = 16384
"""Packets that the kernel holds in one queue; at 5 s of delay that is 39 Mbit/s of full packets."""
RECEIVE_BUFFER: Final = 8 * 1024 * 1024
REPLY_TIMEOUT: Final = 2.0
COUNTERS: Final = Path("/proc/self/net/netfilter/nfnetlink_queue")
_SO_RCVBUFFORCE: Final = 33
_SO_TIMESTAMPNS: Final = 35
_SOL_NETLINK: Final = 270
_NETLINK_NO_ENOBUFS: Final = 5


class NetfilterQueues:
    """The shaper's queues in this network namespace.

    Needs CAP_NET_ADMIN, and CAP_NET_RAW for copies.
    """

    def __init__(self) -> None:
        """Open the socket.

        Raises KernelUnsupportedError where the kernel has no netfilter netlink.
        """
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
            self._socket.bind((0, 0))
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
            except PermissionError:
                # In a user namespace the limit is net.core.rmem_max; the kernel caps the size to it.
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        except OSError as error:
            raise KernelUnsupportedError(f"netlink: {describe_error(error.errno or 0)}") from error
        # The kernel counts what does not fit either way; this only suppresses the error at the next receive.
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_NO_ENOBUFS, struct.pack("=i", 1))
        self._socket.setblocking(False)
        # While any socket requests timestamps, the kernel notes the arrival time of every packet.
        self._stamps = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stamps.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._raw: socket.socket | None = None
        self._copying: dict[int, bool] = {}
        self._sequence = 0
        self._buffer = bytearray(MAX_MESSAGE)
        self._early: list[QueuedPacket] = []
        self.failed_copies = 0
        self._has_counters = os.access(COUNTERS, os.R_OK)
        """Whether the kernel's drop counters can be read; not in a user namespace, whose root does not own the file."""
        # Without them our own limit, which is counted, has to be reached before the kernel's.
        self._max_waiting = KERNEL_QUEUE_LENGTH if self._has_counters else 2 * MAX_WAITING
        self._latest: dict[int, int] = {}
        self._missed: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._copying)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close all queues.

        The kernel drops the packets that wait in them, and those that rules still send to them.
        """
        for held in (self._socket, self._stamps, self._raw):
            if held is not None:
                held.close()

    def open(self, queue: int, *, copy: bool) -> None:
        """Bind a queue if necessary, and set whether it copies the packets' bytes.

        Raises KernelUnsupportedError.
        """
        known = self._copying.get(queue)
        if known is copy:
            return
        self._sequence += 1
        request = configure_queue(queue, self._sequence, bind=known is None, copy=copy, max_waiting=self._max_waiting)
        try:
            self._socket.send(request)
            error = self._receive_reply()
        except OSError as failed:
            error = failed.errno or errno.ETIMEDOUT
        if error:
            raise KernelUnsupportedError(f"queue {queue}: {describe_error(error)}")
        self._copying[queue] = copy

    def receive(self, most: int) -> Iterator[QueuedPacket]:
        """Yield the packets that have arrived, without waiting.

        They are read from at most ``most`` messages.
        """
        if self._early:
            early, self._early = self._early, []
            yield from early
        view = memoryview(self._buffer)
        for _ in range(most):
            try:
                size = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                return
            for message in decode(view[:size]):
                # A reply here concerns a packet that the kernel has dropped meanwhile (its interface went down).
                if isinstance(message, QueuedPacket):
                    self._count(message)
                    yield message

    def drops(self) -> dict[int, int]:
        """Return the packets that the kernel dropped because a buffer was full, by queue."""
        if self._has_counters:
            with contextlib.suppress(OSError):
                return kernel_drops(COUNTERS.read_text(encoding="ascii"))
        return dict(self._missed)

    def _count(self, packet: QueuedPacket) -> None:
        # The kernel numbers packets from 1 in each queue: a gap is what did not fit in the socket's buffer.
        missed = packet.number - self._latest.get(packet.queue, 0) - 1
        if missed > 0:
            self._missed[packet.queue] = self._missed.get(packet.queue, 0) + missed
        self._latest[packet.queue] = packet.number

    def drop(self, packet: QueuedPacket) -> None:
        """Let the kernel drop a packet."""
        self._socket.send(pack_verdict(packet.queue, packet.number, PacketVerdict.DROP))

    def release(self, due: Iterable[PacketRelease]) -> int:
        """Release packets in one call to the kernel; returns how many."""
        count = 0
        verdicts = bytearray()
        for release in due:
            count += 1
            if release.number is not None:
                verdicts += pack_verdict(release.queue, release.number, PacketVerdict.ACCEPT, release.payload)
            elif release.payload is not None:
                self._send_copy(release.payload)
        if verdicts:
            self._socket.send(verdicts)
        return count

    def _send_copy(self, packet: bytes) -> None:
        # The copy arrives on the loopback interface, which the shaper's rules exclude.
        try:
            if self._raw is None:
                self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
                self._raw.setblocking(False)
            self._raw.sendto(packet, (destination_address(packet) or "", 0))
        except OSError:
            self.failed_copies += 1

    def _receive_reply(self) -> int:
        """Return the errno of the kernel's reply to the last request.

        The result is 0 where the request was carried out.
        """
        while select.select([self._socket], [], [], REPLY_TIMEOUT)[0]:
            for message in decode(self._socket.recv(MAX_MESSAGE)):
                if isinstance(message, QueuedPacket):
                    self._count(message)
                    self._early.append(message)
                elif isinstance(message, NetlinkReply) and message.sequence == self._sequence:
                    return message.error
        return errno.ETIMEDOUT


def kernel_drops(text: str) -> dict[int, int]:
    """Parse the text of COUNTERS into the number of dropped packets, by queue.

    These are packets that the kernel dropped because a buffer was full.
    """
    drops = {}
    for line in text.splitlines():
        columns = line.split()
        if len(columns) >= 7 and all(column.isdecimal() for column in columns[:7]):
            drops[int(columns[0])] = int(columns[5]) + int(columns[6])
    return drops
