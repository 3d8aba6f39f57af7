"""Opens TCP connections to other peers, several at a time."""

from __future__ import annotations

import errno
import os
import selectors
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.wire.endpoint import Endpoint

CONNECT_TIMEOUT = 5.0


class Dialer:
    """Connects; calls ``opened(sock, endpoint, now)`` with a non-blocking socket, or ``failed(endpoint, reason, now)``.

    Both are called from the loop, never from within :meth:`dial`.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        bind_ip: str,
        on_open: Callable[[socket.socket, Endpoint, float], None],
        on_failed: Callable[[Endpoint, str, float], None],
    ) -> None:
        self._selector = selector
        self._bind_ip = bind_ip
        self._on_open = on_open
        self._on_failed = on_failed
        self._dialling: dict[Endpoint, tuple[socket.socket, float]] = {}
        self._failed_at_once: list[tuple[Endpoint, str]] = []

    def dial(self, endpoint: Endpoint, now: float) -> None:
        """Begin to connect, unless that is under way."""
        if endpoint in self._dialling:
            return
        sock, problem = begin_connect(self._bind_ip, endpoint)
        if problem:
            sock.close()
            self._failed_at_once.append((endpoint, problem))
            return
        self._dialling[endpoint] = sock, now + CONNECT_TIMEOUT
        self._selector.register(sock, selectors.EVENT_WRITE, lambda mask, at: self._on_ready(endpoint, at))

    def due(self, now: float) -> float | None:
        """When :meth:`tick` is to be called next."""
        return now if self._failed_at_once else min((until for _, until in self._dialling.values()), default=None)

    def tick(self, now: float) -> None:
        """Look at the clock."""
        refused, self._failed_at_once = self._failed_at_once, []
        for endpoint, reason in refused:
            self._on_failed(endpoint, reason, now)
        for endpoint, (sock, until) in list(self._dialling.items()):
            if now >= until:
                self._drop(endpoint, sock)
                self._on_failed(endpoint, "no connection: it does not answer", now)

    def close(self) -> None:
        """Give up all attempts."""
        for endpoint, (sock, _) in list(self._dialling.items()):
            self._drop(endpoint, sock)

    def _drop(self, endpoint: Endpoint, sock: socket.socket) -> None:
        del self._dialling[endpoint]
        self._selector.unregister(sock)
        sock.close()

    def _on_ready(self, endpoint: Endpoint, now: float) -> None:
        sock, _ = self._dialling[endpoint]
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._drop(endpoint, sock)
            self._on_failed(endpoint, os.strerror(code).lower(), now)
            return
        del self._dialling[endpoint]
        self._selector.unregister(sock)
        self._on_open(sock, endpoint, now)


def begin_connect(bind_ip: str, endpoint: Endpoint) -> tuple[socket.socket, str]:
    """A non-blocking TCP socket that is connecting, and what was wrong with that at once (empty for nothing)."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        # The address that the tracker lists us under, so that both ends and their logs name the same peer.
        sock.bind((bind_ip, 0))
        code = sock.connect_ex(tuple(endpoint))
    except OSError as error:
        code = error.errno or errno.EIO
    return sock, "" if code in {0, errno.EINPROGRESS} else os.strerror(code).lower()
