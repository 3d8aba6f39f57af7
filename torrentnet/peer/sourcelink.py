"""The one connection that a download opens itself: connect, receive in bulk, and tell when it breaks."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from typing import TYPE_CHECKING

from torrentnet.peer.conversation import Conversation
from torrentnet.peer.dialer import CONNECT_TIMEOUT, begin_connect
from torrentnet.peer.link import Link
from torrentnet.wire.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.peer.conversation import ConversationEvent
    from torrentnet.wire.udp import Endpoint

BULK = 1024 * 1024
"""Bytes of the buffer that is received into."""
RECEIVES_A_TURN = 8
_EVERYTHING = 1 << 30


class SourceLink:
    """Connects to one endpoint at a time. The three callbacks are called from the loop.

    ``connected(conversation, now)``, ``heard(event, now)``, and ``failed(reason, now)``, after which the connection
    is closed.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        bind_ip: str,
        peer_id: bytes,
        connected: Callable[[Conversation, float], None],
        heard: Callable[[ConversationEvent, float], None],
        failed: Callable[[str, float], None],
    ) -> None:
        self._selector = selector
        self._bind_ip = bind_ip
        self._peer_id = peer_id
        self._connected = connected
        self._heard = heard
        self._failed = failed
        self._sock: socket.socket | None = None
        self._link: Link | None = None
        self._endpoint: Endpoint | None = None
        self._info_hash = b""
        self._deadline: float | None = None
        self._problem: str | None = None

    def open(self, endpoint: Endpoint, info_hash: bytes, timeout: float, now: float) -> None:
        """Begin to connect; an error that shows at once is told at the next :meth:`tick`."""
        self.close()
        self._endpoint, self._info_hash = endpoint, info_hash
        self._deadline = now + min(timeout, CONNECT_TIMEOUT)
        self._sock, problem = begin_connect(self._bind_ip, endpoint)
        if problem:
            self._problem = problem
            self._deadline = now
            return
        self._selector.register(self._sock, selectors.EVENT_WRITE, self._opened)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._sock is None:
            return
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._sock)
        self._sock.close()
        self._sock = self._link = self._deadline = self._problem = None

    def due(self) -> float | None:
        """When :meth:`tick` is to be called next."""
        return self._deadline

    def tick(self, now: float) -> None:
        """Look at the clock."""
        if self._deadline is not None and now >= self._deadline:
            self._break(self._problem or "no connection: it does not answer", now)

    def flush(self, now: float) -> None:
        """Send what waits (requests are small: nearly always all of it)."""
        if self._link is None or self._sock is None:
            return
        try:
            self._link.flush(_EVERYTHING)
        except OSError as error:
            self._break(_text(error), now)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._link.conversation.waiting else 0)
        key = self._selector.get_key(self._sock)
        if key.events != events:
            self._selector.modify(self._sock, events, key.data)

    def _opened(self, _: int, now: float) -> None:
        assert self._sock is not None
        assert self._endpoint is not None
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._break(os.strerror(code).lower(), now)
            return
        self._deadline = None
        conversation = Conversation(self._info_hash, self._peer_id, initiator=True, bulk=BULK)
        self._link = Link(self._sock, self._endpoint, conversation)
        self._selector.modify(self._sock, selectors.EVENT_READ, self._ready)
        self._connected(conversation, now)
        self.flush(now)

    def _ready(self, mask: int, now: float) -> None:
        link = self._link
        assert link is not None
        try:
            for _ in range(RECEIVES_A_TURN if mask & selectors.EVENT_READ else 0):
                count = link.receive()
                if count is None:
                    break
                if not count:
                    self._break("closed the connection", now)
                    return
                for event in link.conversation.received(count):
                    self._heard(event, now)
                    if self._link is not link:
                        return
        except RemoteError as error:
            self._break(error.message, now)
        except OSError as error:
            self._break(_text(error), now)
        else:
            self.flush(now)

    def _break(self, reason: str, now: float) -> None:
        self.close()
        self._failed(reason, now)


def _text(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)
