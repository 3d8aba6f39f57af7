"""The packet loop: receive datagrams, have the core handle them, send the answers."""

from __future__ import annotations

import contextlib
import errno
import math
import selectors
import socket
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.system import MACHINE
from torrentnet.tracker.fastpath.datagram_batch import (
    IP_PKTINFO,
    MAX_BATCH_SIZE,
    DatagramBatch,
    is_available,
    receives_at_every_address,
)
from torrentnet.tracker.fastpath.fast_path import FastPath
from torrentnet.tracker.refusals import RefusalReason
from torrentnet.wire.errors import LocalError
from torrentnet.wire.udp.packets import ANNOUNCE_SIZE, Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.runtime.system import System
    from torrentnet.tracker.core import Core

MAX_DATAGRAM_SIZE: Final = 2048
"""Larger than any datagram that arrives unfragmented."""
RECEIVE_BUFFER_SIZE: Final = 4 * 1024 * 1024
"""Large, so that no packets are lost when all peers start at once. The kernel may grant less."""
MAX_DATAGRAMS_PER_TURN: Final = 256
"""Datagrams that are handled between two checks for expired peers and for :meth:`TrackerServer.stop`."""
CONTROL_SIZE: Final = 64
"""Room for the control message with a datagram's local address."""
MAX_WAIT: Final = 60.0
MAX_ERRORS: Final = 1_000
"""Number of consecutive failures to receive after which the socket is considered broken."""
_ANNOUNCE: Final = int(Action.ANNOUNCE)
_LOOKUP: Final = int(Action.LOOKUP)
_OUTCOME: Final = int(Action.OUTCOME)
_BIND_HINTS: Final = {
    errno.EADDRINUSE: "another program listens there; choose another port, or 0 for any free one",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "ports below 1024 need a privilege; choose a higher one",
}


class TrackerServer:
    """Serves ``core`` on a UDP socket; calls ``trouble`` with a sentence on a failure."""

    def __init__(
        self, sock: socket.socket, core: Core, trouble: Callable[[str], None], system: System = MACHINE
    ) -> None:
        self._socket = sock
        self._core = core
        self._clock = system.monotonic
        self._trouble = trouble
        self._selector = system.make_selector()
        self._wake, self._waker = system.make_socket_pair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        for readable in (sock, self._wake):
            self._selector.register(readable, selectors.EVENT_READ)
        self._fast_path = FastPath(core)
        self._batch = DatagramBatch(sock) if is_available() else None
        if self._batch is None and receives_at_every_address(sock):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self._reason = ""

    def stop(self, reason: str) -> None:
        """Make :meth:`run` return soon; safe in any thread and in signal handlers."""
        self._reason = self._reason or reason
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def run(self) -> str:
        """Serve until :meth:`stop`; return the first reason given to it.

        Raises OSError when the socket is broken.
        """
        core, clock = self._core, self._clock
        errors = 0
        while not self._reason:
            wait = min(core.next_deadline - clock(), MAX_WAIT)
            # Rounded up to whole milliseconds: otherwise the loop would spin during the last one.
            self._selector.select(max(0, math.ceil(wait * 1000)) / 1000)
            try:
                self._drain()
                errors = 0
            except OSError as error:
                # An ICMP error for an earlier answer, or a short lack of memory: the next call may succeed.
                errors += 1
                if errors >= MAX_ERRORS:
                    raise
                self._core.refusals.count(RefusalReason.INTERNAL)
                self._trouble(f"receiving failed: {error.strerror or error}")
            now = clock()
            if core.next_deadline <= now:
                core.expire(now)
        return self._reason

    def close(self) -> None:
        """Close the sockets."""
        for closing in (self._selector, self._socket, self._wake, self._waker):
            closing.close()

    def _drain(self) -> None:
        if self._batch is None:
            self._drain_singly()
            return
        batch, clock = self._batch, self._clock
        core = self._core
        announce, oldest_id = self._fast_path.announce, core.ids.oldest
        others = {_LOOKUP: self._fast_path.lookup, _OUTCOME: self._fast_path.outcome}
        for _ in range(MAX_DATAGRAMS_PER_TURN // MAX_BATCH_SIZE):
            count = batch.receive()
            if not count:
                return
            now = clock()
            oldest = oldest_id(now)
            fast = 0
            for index, fields in enumerate(batch.fields()):
                size = batch.sizes[index]
                try:
                    if fields[2] == _ANNOUNCE:
                        options = b"" if size <= ANNOUNCE_SIZE else batch.options(index)
                        answer = announce(fields, size, options, oldest, now)
                        data = batch.data(index) if answer is None else b""
                    else:
                        data = batch.data(index)
                        other = others.get(fields[2])
                        answer = None if other is None else other(fields, data, oldest, now)
                    if answer is not None:
                        fast += 1
                    else:
                        answer = core.handle(data, batch.source(index), now)
                except Exception as error:  # a bug that one datagram triggers must not end the service for all
                    self._report_bug(size, error)
                    answer = None
                if answer is None:
                    batch.skip(index)
                elif len(answer) > MAX_DATAGRAM_SIZE:
                    batch.skip(index)
                    core.unsent += 1
                else:
                    batch.answer(index, answer)
            core.received += fast
            core.audit_log.flush()
            core.unsent += batch.send()
            if count < MAX_BATCH_SIZE:
                return

    def _drain_singly(self) -> None:
        """Handle datagrams one by one, on a system without calls for batches."""
        receive, send, clock = self._socket.recvmsg, self._socket.sendmsg, self._clock
        for _ in range(MAX_DATAGRAMS_PER_TURN):
            try:
                data, control, _, source = receive(MAX_DATAGRAM_SIZE, CONTROL_SIZE)
            except BlockingIOError:
                return
            try:
                answer = self._core.handle(data, source, clock())
            except Exception as error:
                self._report_bug(len(data), error)
                continue
            if answer is not None:
                try:
                    # From the address that the datagram came to, through whatever interface leads to its sender.
                    send([answer], [(level, kind, bytes(4) + info[4:]) for level, kind, info in control], 0, source)
                except OSError:
                    self._core.unsent += 1

    def _report_bug(self, size: int, error: Exception) -> None:
        self._core.refusals.count(RefusalReason.INTERNAL)
        self._trouble(f"a datagram of {size} bytes: {type(error).__name__}: {error}")


def bind(host: str, port: int, system: System = MACHINE) -> socket.socket:
    """Return a UDP socket bound to an address or host. Raises :class:`LocalError`."""
    try:
        ip = system.resolve_host(host)
    except (OSError, UnicodeError):
        raise LocalError(
            f"no IPv4 address is known for {host!r}", hint="check the spelling, or give the address"
        ) from None
    sock = system.make_socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_SIZE)
        sock.setblocking(False)
        sock.bind((ip, port))
    except OSError as error:
        sock.close()
        raise LocalError(
            f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}",
            hint=_BIND_HINTS.get(error.errno or 0, "choose another address or port"),
        ) from None
    return sock
