"""Connect a new seed to the waiting leechers.

Other clients ask their tracker for peers only every few minutes, and would find a new seed late.

Tested by tests/loopback/test_peer_calls.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.peer.transfer.dialer import Dialer
from torrentnet.runtime.system import MACHINE

if TYPE_CHECKING:
    import selectors
    import socket
    from collections.abc import Iterable

    from torrentnet.peer.transfer.connection_manager import ConnectionManager
    from torrentnet.runtime.system import System
    from torrentnet.wire.endpoint import Endpoint

MAX_SEED_DIALS: Final = 40
"""Peers to connect to; later ones learn of the seed from the tracker."""


class SeedDialer:
    """Open connections that ``connections`` then serves; a failed attempt is not repeated."""

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
