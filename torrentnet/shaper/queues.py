"""The kernel's side: the netlink socket on which packets' numbers come in and verdicts go out."""

import contextlib
import errno
import os
import select
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from torrentnet.shaper.corruption import destination_address
from torrentnet.shaper.errors import KernelUnsupportedError
from torrentnet.shaper.netlink import (
    MAX_MESSAGE,
    NETLINK_NETFILTER,
    NetlinkReply,
    PacketVerdict,
    QueuedPacket,
    bind_queue,
    change_queue,
    decode,
    describe_error,
    pack_verdict,
)
from torrentnet.shaper.schedule import MAX_WAITING, PacketRelease

KERNEL_QUEUE_LENGTH = 16384
"""Packets that the kernel keeps in one queue; at 5 s of delay that is 39 Mbit/s of full packets."""
RECEIVE_BUFFER = 8 * 1024 * 1024
REPLY_TIMEOUT = 2.0
COUNTERS = Path("/proc/self/net/netfilter/nfnetlink_queue")
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_SOL_NETLINK = 270
_NETLINK_NO_ENOBUFS = 5


class NetfilterQueues:
    """The queues of this network namespace that are ours. Needs CAP_NET_ADMIN, and CAP_NET_RAW for copies."""

    def __init__(self) -> None:
        """Raises KernelRefused where there is no netlink for netfilter."""
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
            self._socket.bind((0, 0))
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
            except PermissionError:
                # In a user namespace, where nobody may go beyond net.core.rmem_max: the kernel gives as much as that.
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        except OSError as error:
            raise KernelUnsupportedError(f"netlink: {describe_error(error.errno or 0)}") from error
        # What does not fit is counted by the kernel either way; this only spares us the error at the next receive.
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_NO_ENOBUFS, struct.pack("=i", 1))
        self._socket.setblocking(False)
        # As long as any socket asks for time stamps, the kernel takes the time of every packet when it comes in.
        self._stamps = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stamps.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._raw: socket.socket | None = None
        self._copying: dict[int, bool] = {}
        self._sequence = 0
        self._buffer = bytearray(MAX_MESSAGE)
        self._early: list[QueuedPacket] = []
        self.failed_copies = 0
        self._told = os.access(COUNTERS, os.R_OK)
        """Whether the kernel tells what it has dropped; not in a user namespace, whose root does not own that file."""
        # Untold: our own limit, which is counted, has to come before the kernel's.
        self._kernel_keeps = KERNEL_QUEUE_LENGTH if self._told else 2 * MAX_WAITING
        self._latest: dict[int, int] = {}
        self._missed: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._copying)

    def fileno(self) -> int:
        """The socket to wait at."""
        return self._socket.fileno()

    def close(self) -> None:
        """Lets go of all queues: the kernel drops what waits in them, and what their rules send them from then on."""
        for held in (self._socket, self._stamps, self._raw):
            if held is not None:
                held.close()

    def open(self, queue: int, *, copy: bool) -> None:
        """Makes sure that a queue is ours, and copies its packets or not. Raises KernelRefused."""
        known = self._copying.get(queue)
        if known is copy:
            return
        self._sequence += 1
        make = bind_queue if known is None else change_queue
        try:
            self._socket.send(make(queue, self._sequence, copy=copy, max_waiting=self._kernel_keeps))
            error = self._answer()
        except OSError as failed:
            error = failed.errno or errno.ETIMEDOUT
        if error:
            raise KernelUnsupportedError(f"queue {queue}: {describe_error(error)}")
        self._copying[queue] = copy

    def receive(self, most: int) -> Iterator[QueuedPacket]:
        """The packets that came in, without waiting, from at most `most` messages."""
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
                # An answer here is about a packet that the kernel dropped meanwhile (its interface went down).
                if isinstance(message, QueuedPacket):
                    self._count(message)
                    yield message

    def drops(self) -> dict[int, int]:
        """Packets that never reached us for want of room, by queue."""
        if self._told:
            with contextlib.suppress(OSError):
                return kernel_drops(COUNTERS.read_text(encoding="ascii"))
        return dict(self._missed)

    def _count(self, packet: QueuedPacket) -> None:
        # The kernel numbers what it hands over, from 1 on in each queue: a gap is what the socket had no room for.
        missed = packet.number - self._latest.get(packet.queue, 0) - 1
        if missed > 0:
            self._missed[packet.queue] = self._missed.get(packet.queue, 0) + missed
        self._latest[packet.queue] = packet.number

    def drop(self, packet: QueuedPacket) -> None:
        """Gives a packet up."""
        self._socket.send(pack_verdict(packet.queue, packet.number, PacketVerdict.DROP))

    def release(self, due: Iterable[PacketRelease]) -> int:
        """Lets packets go on, all in one call to the kernel; returns how many."""
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
        # It comes in again over the loopback interface, which our rules leave alone.
        try:
            if self._raw is None:
                self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
                self._raw.setblocking(False)
            self._raw.sendto(packet, (destination_address(packet) or "", 0))
        except OSError:
            self.failed_copies += 1

    def _answer(self) -> int:
        while select.select([self._socket], [], [], REPLY_TIMEOUT)[0]:
            for message in decode(self._socket.recv(MAX_MESSAGE)):
                if isinstance(message, QueuedPacket):
                    self._count(message)
                    self._early.append(message)
                elif isinstance(message, NetlinkReply) and message.sequence == self._sequence:
                    return message.error
        return errno.ETIMEDOUT


def kernel_drops(text: str) -> dict[int, int]:
    """Packets that the kernel dropped for want of room, by queue, from the text of COUNTERS."""
    drops = {}
    for line in text.splitlines():
        columns = line.split()
        if len(columns) >= 7 and all(column.isdecimal() for column in columns[:7]):
            drops[int(columns[0])] = int(columns[5]) + int(columns[6])
    return drops
