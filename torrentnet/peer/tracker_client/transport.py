"""Carry a session's datagrams over a UDP socket.

Tested by tests/loopback/test_peer_messages.py, tests/loopback/test_peer_failures.py.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.system import MACHINE
from torrentnet.wire.errors import LocalError, os_error_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.peer.tracker_client.session import TrackerSession
    from torrentnet.peer.tracker_client.session_events import SessionEvent
    from torrentnet.runtime.system import System
    from torrentnet.wire.endpoint import Endpoint

RECEIVE_SIZE: Final = 2048
DATAGRAMS_PER_WAKEUP: Final = 64


class TrackerTransport:
    """The UDP socket between one session and its tracker.

    The loop calls ``on_event(event, now)``.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        bind_ip: str,
        tracker: Endpoint,
        session: TrackerSession,
        on_event: Callable[[SessionEvent, float], None],
        system: System = MACHINE,
    ) -> None:
        """Open the socket.

        Raises :class:`LocalError` if ``bind_ip`` has no route to the tracker.
        """
        self._session = session
        self._on_event = on_event
        self._sock = _open_socket(bind_ip, tracker, system)
        selector.register(self._sock, selectors.EVENT_READ, self._on_ready)

    def due(self, now: float) -> float | None:
        """Return when to call :meth:`tick` next."""
        return self._session.due(now)

    def tick(self, now: float) -> None:
        """Send the session's datagrams and report whether the tracker is silent."""
        for data in self._session.datagrams_to_send(now):
            # An unreachable host or a closed port: the datagram is repeated like a lost one.
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
                data = self._sock.recv(RECEIVE_SIZE)
            except OSError:
                return
            for event in self._session.receive_datagram(data, now):
                self._on_event(event, now)


def _open_socket(bind_ip: str, tracker: Endpoint, system: System) -> socket.socket:
    sock = system.make_socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    # The tracker lists the packet's source address, which remote peers connect to.
    sock.bind((bind_ip, 0))
    # On a connected socket, the kernel drops the datagrams of other senders.
    try:
        sock.connect(tuple(tracker))
    except OSError as error:
        sock.close()
        raise LocalError(
            f"cannot reach the tracker at {tracker} from {bind_ip}: {os_error_text(error)}",
            hint="listen on an address in the tracker's network",
        ) from None
    return sock
