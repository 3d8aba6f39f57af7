"""The socket to the tracker: what a session has to say goes out by it, and what comes in goes to the session."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from typing import TYPE_CHECKING

from torrentnet.wire.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.peer.tracker_client.session import SessionEvent, TrackerSession
    from torrentnet.wire.endpoint import Endpoint

MAX_DATAGRAM = 2048
DATAGRAMS_PER_WAKEUP = 64


class TrackerTransport:
    """Datagrams between one tracker and one session. ``heard(event, now)`` is called from the loop."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        bind_ip: str,
        tracker: Endpoint,
        session: TrackerSession,
        on_event: Callable[[SessionEvent, float], None],
    ) -> None:
        """Raises :class:`LocalError` where the tracker cannot be reached from ``bind_ip``."""
        self._session = session
        self._on_event = on_event
        self._sock = _open_socket(bind_ip, tracker)
        selector.register(self._sock, selectors.EVENT_READ, self._on_ready)

    def due(self, now: float) -> float | None:
        """When :meth:`tick` is to be called next."""
        return self._session.due(now)

    def tick(self, now: float) -> None:
        """Send what is due; tell when the tracker has fallen silent."""
        for data in self._session.datagrams_to_send(now):
            # Unreachable for now, or the tracker's port is closed: it is repeated like a lost one.
            with contextlib.suppress(OSError):
                self._sock.send(data)
        for event in self._session.poll_silence():
            self._on_event(event, now)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _on_ready(self, _: int, now: float) -> None:
        for _ in range(DATAGRAMS_PER_WAKEUP):
            try:
                data = self._sock.recv(MAX_DATAGRAM)
            except OSError:
                return
            for event in self._session.receive_datagram(data, now):
                self._on_event(event, now)


def _open_socket(bind_ip: str, tracker: Endpoint) -> socket.socket:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setblocking(False)
    # The tracker takes our address from the packet: it must be the one that others are to connect to.
    udp.bind((bind_ip, 0))
    # Connected, so that the kernel drops what comes from anybody else.
    try:
        udp.connect(tuple(tracker))
    except OSError as error:
        udp.close()
        raise LocalError(
            f"the tracker at {tracker} cannot be reached from {bind_ip}: {os.strerror(error.errno or 0).lower()}",
            hint="listen on an address of the network that the tracker is in",
        ) from None
    return udp
