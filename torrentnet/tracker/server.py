"""The packet loop: datagrams from a socket to the core and back, and nothing else."""

from __future__ import annotations

import contextlib
import errno
import math
import select
import socket
from typing import TYPE_CHECKING, Final

from torrentnet.tracker.fastpath.datagram_batch import MAX_BATCH_SIZE, DatagramBatch, is_available
from torrentnet.tracker.refusals import RefusalReason
from torrentnet.wire.errors import LocalError
from torrentnet.wire.udp.packets import ANNOUNCE_SIZE, Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.tracker.core import Core

MAX_DATAGRAM_SIZE: Final = 2048
"""More than any datagram that comes unfragmented."""
RECEIVE_BUFFER_SIZE: Final = 4 * 1024 * 1024
"""Asked of the kernel, which gives what it allows: peers that all start at once must not lose their first packet."""
MAX_DATAGRAMS_PER_TURN: Final = 256
"""Datagrams that are taken between two looks at the clock for expiry, and at the order to stop."""
MAX_WAIT: Final = 60.0
MAX_ERRORS: Final = 1_000
"""Failed receives without a good one in between, after which the socket is taken for broken."""
_ANNOUNCE: Final = int(Action.ANNOUNCE)
_LOOKUP: Final = int(Action.LOOKUP)
_OUTCOME: Final = int(Action.OUTCOME)
_BIND_HINTS: Final = {
    "EADDRINUSE": "another program listens there; choose another port, or 0 for any free one",
    "EADDRNOTAVAIL": "this machine does not have that address",
    "EACCES": "ports below 1024 need a privilege; choose a higher one",
}


class TrackerServer:
    """Owns the UDP socket of ``core``; ``clock`` gives the seconds for the core, ``trouble`` hears of bugs."""

    def __init__(
        self, sock: socket.socket, core: Core, clock: Callable[[], float], trouble: Callable[[str], None]
    ) -> None:
        self._socket = sock
        self._core = core
        self._clock = clock
        self._trouble = trouble
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        self._batch = DatagramBatch(sock) if is_available() else None
        self._reason = ""
        self.unsent = 0
        """Answers that the kernel did not take."""

    def stop(self, reason: str) -> None:
        """End the loop soon. For any thread and for signal handlers; the first reason counts."""
        self._reason = self._reason or reason
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def run(self) -> str:
        """Serve until :meth:`stop`; gives its reason. Raises OSError when the socket is broken."""
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        core, clock = self._core, self._clock
        errors = 0
        while not self._reason:
            wait = min(core.next_expiry - clock(), MAX_WAIT)
            # Rounded up, or the loop would spin through the last millisecond.
            poller.poll(max(0, math.ceil(wait * 1000)))
            try:
                self._drain()
                errors = 0
            except OSError as error:
                # An ICMP error of an earlier answer, or no memory for a moment: the next datagram is another matter.
                errors += 1
                if errors >= MAX_ERRORS:
                    raise
                self._core.refusals.count(RefusalReason.INTERNAL)
                self._trouble(f"receiving failed: {error.strerror or error}")
            now = clock()
            if core.next_expiry <= now:
                core.expire(now)
        return self._reason

    def close(self) -> None:
        """Close the socket."""
        for one in (self._socket, self._wake, self._waker):
            one.close()

    def _drain(self) -> None:
        if self._batch is None:
            self._drain_singly()
            return
        batch, clock = self._batch, self._clock
        core = self._core
        quick, oldest_id = core.quick.answer, core.ids.oldest
        others = {_LOOKUP: core.quick_requests.lookup, _OUTCOME: core.quick_requests.outcome}
        for _ in range(MAX_DATAGRAMS_PER_TURN // MAX_BATCH_SIZE):
            count = batch.receive()
            if not count:
                return
            now = clock()
            oldest = oldest_id(now)
            short = 0
            for index, fields in enumerate(batch.fields()):
                size = batch.sizes[index]
                try:
                    if fields[2] == _ANNOUNCE:
                        options = b"" if size <= ANNOUNCE_SIZE else batch.options(index)
                        answer = quick(fields, size, options, oldest, now)
                        data = batch.data(index) if answer is None else b""
                    else:
                        data = batch.data(index)
                        other = others.get(fields[2])
                        answer = None if other is None else other(fields, data, oldest, now)
                    if answer is not None:
                        short += 1
                    else:
                        answer = self._core.handle(data, batch.source(index), now)
                except Exception as error:  # a bug that one datagram meets must not end the service for all
                    self._bug(size, error)
                    answer = None
                if answer is None:
                    batch.silence(index)
                elif len(answer) > MAX_DATAGRAM_SIZE:
                    batch.silence(index)
                    self.unsent += 1
                else:
                    batch.answer(index, answer)
            self._core.received += short
            self._core.flush()
            self.unsent += batch.send()
            if count < MAX_BATCH_SIZE:
                return

    def _drain_singly(self) -> None:
        """The same where the system cannot receive many at once."""
        receive, send, clock = self._socket.recvfrom, self._socket.sendto, self._clock
        for _ in range(MAX_DATAGRAMS_PER_TURN):
            try:
                data, source = receive(MAX_DATAGRAM_SIZE)
            except BlockingIOError:
                return
            try:
                answer = self._core.handle(data, source, clock())
            except Exception as error:
                self._bug(len(data), error)
                continue
            if answer is not None:
                try:
                    send(answer, source)
                except OSError:
                    self.unsent += 1

    def _bug(self, size: int, error: Exception) -> None:
        self._core.refusals.count(RefusalReason.INTERNAL)
        self._trouble(f"a datagram of {size} bytes: {type(error).__name__}: {error}")


def bind(host: str, port: int) -> socket.socket:
    """A UDP socket at that IPv4 address or host name. Raises :class:`LocalError` with the cause and the remedy."""
    try:
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise LocalError(
            f"no IPv4 address is known for {host!r}", hint="check the spelling, or give the address"
        ) from None
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_SIZE)
        sock.setblocking(False)
        sock.bind(found[0][4])
    except OSError as error:
        sock.close()
        raise LocalError(
            f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}", hint=_bind_hint(error)
        ) from None
    return sock


def _bind_hint(error: OSError) -> str:
    return _BIND_HINTS.get(errno.errorcode.get(error.errno or 0, ""), "choose another address or port")
