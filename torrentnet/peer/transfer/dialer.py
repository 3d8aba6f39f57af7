"""Open TCP connections to remote peers, several at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

from torrentnet.runtime.system import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.runtime.system import System
    from torrentnet.wire.endpoint import Endpoint

CONNECT_TIMEOUT: Final = 5.0
CONNECT_TIMED_OUT: Final = "no reply to the connection attempt"


class _Attempt(NamedTuple):
    sock: socket.socket | None
    """None if no file descriptor was left."""
    deadline: float
    reason: str
    """The failure to report at the deadline."""


class Dialer:
    """Connections to endpoints, each with its result reported by a callback.

    The callbacks are called from the loop, never from :meth:`dial`. The callbacks are ``on_open(sock, endpoint, now)``
    with a non-blocking socket, and ``on_failed(endpoint, reason, now)``. Connections are made from ``bind_ip``.
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
        self._attempts: dict[Endpoint, _Attempt] = {}

    def dial(self, endpoint: Endpoint, now: float, timeout: float = CONNECT_TIMEOUT) -> None:
        """Start to connect, unless an attempt is in progress."""
        if endpoint in self._attempts:
            return
        sock: socket.socket | None = None
        try:
            sock = self._system.make_socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # The tracker lists this peer under this address, so that the logs of both ends show the same one.
            sock.bind((self._bind_ip, 0))
            code = sock.connect_ex(tuple(endpoint))
        except OSError as error:
            code = error.errno or errno.EIO
        if sock is not None and code in {0, errno.EINPROGRESS}:
            self._attempts[endpoint] = _Attempt(sock, now + min(timeout, CONNECT_TIMEOUT), CONNECT_TIMED_OUT)
            self._selector.register(sock, selectors.EVENT_WRITE, lambda _, at: self._on_ready(endpoint, at))
        else:
            self._attempts[endpoint] = _Attempt(sock, now, os.strerror(code).lower())

    def due(self) -> float | None:
        """Return when to call :meth:`tick` next."""
        return min((attempt.deadline for attempt in self._attempts.values()), default=None)

    def tick(self, now: float) -> None:
        """Report failed and timed-out attempts."""
        for endpoint, attempt in list(self._attempts.items()):
            if now >= attempt.deadline:
                self._drop(endpoint)
                self._on_failed(endpoint, attempt.reason, now)

    def close(self) -> None:
        """Cancel all attempts."""
        for endpoint in list(self._attempts):
            self._drop(endpoint)

    def _drop(self, endpoint: Endpoint) -> None:
        sock = self._attempts.pop(endpoint).sock
        if sock is None:
            return
        with contextlib.suppress(KeyError):
            self._selector.unregister(sock)
        sock.close()

    def _on_ready(self, endpoint: Endpoint, now: float) -> None:
        sock = self._attempts[endpoint].sock
        assert sock is not None
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._drop(endpoint)
            self._on_failed(endpoint, os.strerror(code).lower(), now)
            return
        del self._attempts[endpoint]
        self._selector.unregister(sock)
        self._on_open(sock, endpoint, now)
