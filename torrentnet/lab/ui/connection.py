"""A connection of the live page's server that nobody can hold for nothing.

Each connection carries one request. It ends where the request does not arrive in time, or what is sent is not read.

Tested by tests/unit/lab/ui/test_server.py.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

MAX_CONNECTIONS: Final = 256
REQUEST_TIMEOUT: Final = 10.0
"""Seconds for the head of a request."""
UNREAD_TIMEOUT: Final = 20.0
"""Seconds that a reader may stop reading."""


class BoundedConnection(H11Protocol):
    """One connection, with its time limits."""

    request_timeout = REQUEST_TIMEOUT
    unread_timeout = UNREAD_TIMEOUT

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._cut_off()
            return
        self._limit("request", self.request_timeout)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None:
            self._unlimit("request")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._limit("unread", self.unread_timeout)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unlimit("unread")

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # What is in the buffers is sent first, and waits for a reader.
        self._limit("close", self.unread_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        for name in list(self._timers):
            self._unlimit(name)
        super().connection_lost(exc)

    def _limit(self, name: str, seconds: float) -> None:
        self._unlimit(name)
        self._timers[name] = self.loop.call_later(seconds, self._cut_off)

    def _unlimit(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()

    def _cut_off(self) -> None:
        # Otherwise the kernel keeps what is not sent, for a reader that does not read.
        with contextlib.suppress(OSError):
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
