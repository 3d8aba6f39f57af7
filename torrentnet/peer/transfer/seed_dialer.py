"""A new seed calls on those who wait: real clients ask their tracker again only after minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.peer.transfer.dialer import Dialer

if TYPE_CHECKING:
    import selectors
    import socket
    from collections.abc import Iterable

    from torrentnet.peer.transfer.connection_manager import ConnectionManager
    from torrentnet.wire.endpoint import Endpoint

MAX_SEED_DIALS = 40
"""Peers that are called on; whoever comes later finds us by the tracker."""


class SeedDialer:
    """Opens connections for :class:`ConnectionManager` to serve on. Who does not answer is left alone: it may call
    us."""

    def __init__(self, selector: selectors.BaseSelector, own: Endpoint, connections: ConnectionManager) -> None:
        self._own = own
        self._connections = connections
        self._dialer = Dialer(selector, own.ip, on_open=self._on_open, on_failed=lambda *_: None)

    def dial(self, endpoints: Iterable[Endpoint], now: float) -> None:
        """Call on the first ones of these."""
        for endpoint in list(dict.fromkeys(endpoints))[:MAX_SEED_DIALS]:
            if endpoint != self._own:
                self._dialer.dial(endpoint, now)

    def due(self, now: float) -> float | None:
        """When :meth:`tick` is to be called next."""
        return self._dialer.due(now)

    def tick(self, now: float) -> None:
        """Look at the clock."""
        self._dialer.tick(now)

    def close(self) -> None:
        """Give up what is not open yet."""
        self._dialer.close()

    def _on_open(self, sock: socket.socket, endpoint: Endpoint, now: float) -> None:
        self._connections.add_connection(sock, endpoint, initiator=True, now=now)
