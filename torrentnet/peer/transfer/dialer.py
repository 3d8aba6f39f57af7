"""Open TCP connections to remote peers, several at a time."""

from __future__ import annotations

import errno
import os
import selectors
import socket
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.system import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torrentnet.peer.transfer.connection_manager import ConnectionManager
    from torrentnet.runtime.system import System
    from torrentnet.wire.endpoint import Endpoint

CONNECT_TIMEOUT: Final = 5.0
CONNECT_TIMED_OUT: Final = "no reply to the connection attempt"
MAX_SEED_DIALS: Final = 40
"""Peers to connect to; later ones learn of the seed from the tracker."""


class Dialer:
    """Connect to endpoints, and report each by a callback from the loop, never from within :meth:`dial`.

    The callbacks are ``on_open(sock, endpoint, now)`` with a non-blocking socket, and ``on_failed(endpoint, reason,
    now)``. Connections are made from ``bind_ip``.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        bind_ip: str,
        on_open: Callable[[socket.socket, Endpoint, float], None],
        on_failed: Callable[[Endpoint, str, float], None],
        system: System = MACHINE,
    ) -> None:
        self._system = system
        self._selector = selector
        self._bind_ip = bind_ip
        self._on_open = on_open
        self._on_failed = on_failed
        self._attempts: dict[Endpoint, tuple[socket.socket, float]] = {}
        self._failed_at_once: list[tuple[Endpoint, str]] = []

    def dial(self, endpoint: Endpoint, now: float) -> None:
        """Start to connect, unless an attempt is in progress."""
        if endpoint in self._attempts:
            return
        sock, error_text = begin_connect(self._bind_ip, endpoint, self._system)
        if error_text:
            sock.close()
            self._failed_at_once.append((endpoint, error_text))
            return
        self._attempts[endpoint] = sock, now + CONNECT_TIMEOUT
        self._selector.register(sock, selectors.EVENT_WRITE, lambda mask, at: self._on_ready(endpoint, at))

    def due(self, now: float) -> float | None:
        """Return when to call :meth:`tick` next."""
        return now if self._failed_at_once else min((until for _, until in self._attempts.values()), default=None)

    def tick(self, now: float) -> None:
        """Report failed and timed-out attempts."""
        refused, self._failed_at_once = self._failed_at_once, []
        for endpoint, reason in refused:
            self._on_failed(endpoint, reason, now)
        for endpoint, (sock, until) in list(self._attempts.items()):
            if now >= until:
                self._drop(endpoint, sock)
                self._on_failed(endpoint, CONNECT_TIMED_OUT, now)

    def close(self) -> None:
        """Cancel all attempts."""
        for endpoint, (sock, _) in list(self._attempts.items()):
            self._drop(endpoint, sock)

    def _drop(self, endpoint: Endpoint, sock: socket.socket) -> None:
        del self._attempts[endpoint]
        self._selector.unregister(sock)
        sock.close()

    def _on_ready(self, endpoint: Endpoint, now: float) -> None:
        sock, _ = self._attempts[endpoint]
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._drop(endpoint, sock)
            self._on_failed(endpoint, os.strerror(code).lower(), now)
            return
        del self._attempts[endpoint]
        self._selector.unregister(sock)
        self._on_open(sock, endpoint, now)


class SeedDialer:
    """Connect a new seed to waiting leechers; ``connections`` then serves them.

    Other clients ask their tracker for peers only every few minutes, and would find a new seed late. A failed attempt
    is not repeated.
    """

    def __init__(
        self, selector: selectors.BaseSelector, own: Endpoint, connections: ConnectionManager, system: System = MACHINE
    ) -> None:
        self._own = own
        self._connections = connections
        self._dialer = Dialer(selector, own.ip, on_open=self._on_open, on_failed=lambda *_: None, system=system)

    def dial(self, endpoints: Iterable[Endpoint], now: float) -> None:
        """Connect to the first of these endpoints."""
        for endpoint in list(dict.fromkeys(endpoints))[:MAX_SEED_DIALS]:
            if endpoint != self._own:
                self._dialer.dial(endpoint, now)

    def due(self, now: float) -> float | None:
        """Return when to call :meth:`tick` next."""
        return self._dialer.due(now)

    def tick(self, now: float) -> None:
        """Report failed and timed-out attempts."""
        self._dialer.tick(now)

    def close(self) -> None:
        """Cancel all attempts."""
        self._dialer.close()

    def _on_open(self, sock: socket.socket, endpoint: Endpoint, now: float) -> None:
        self._connections.add_connection(sock, endpoint, initiator=True, now=now)


def begin_connect(bind_ip: str, endpoint: Endpoint, system: System) -> tuple[socket.socket, str]:
    """Start to connect from ``bind_ip``; return the non-blocking socket and the immediate error (empty if none)."""
    sock = system.make_socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        # The address that the tracker lists this peer under, so that both ends' logs name the same peer.
        sock.bind((bind_ip, 0))
        code = sock.connect_ex(tuple(endpoint))
    except OSError as error:
        code = error.errno or errno.EIO
    return sock, "" if code in {0, errno.EINPROGRESS} else os.strerror(code).lower()
