"""Payload bytes between this node and each other one, over TCP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from torrentnet.adapters.observer.network.known_nodes import KnownNodes
    from torrentnet.adapters.observer.network.sock_diag import TcpConnection

PAIR_INTERVAL: Final = 0.25
"""Seconds between two reports of one peer."""
MAX_PEERS: Final = 1000
MAX_ENDED: Final = 10_000
"""Ended connections that are remembered, so that none counts twice."""

# CLOSE_WAIT, LAST_ACK, CLOSING: the other side's FIN has arrived, and counts as a byte.
_FIN_RECEIVED: Final = frozenset({8, 9, 11})


@dataclass(slots=True)
class PairBytes:
    """Payload bytes received from one peer, and sent to it."""

    received: int = 0
    sent: int = 0


class PairCounter:
    """Sums of the bytes of all connections with each peer, since the start.

    ``owns`` says whether a connection is the program's. ``counts_fin`` says, of a connection's local and remote port
    and its received bytes, whether a FIN is among these; None if that is not known.
    """

    def __init__(
        self,
        nodes: KnownNodes,
        owns: Callable[[TcpConnection], bool],
        counts_fin: Callable[[int, int, int], bool | None],
    ) -> None:
        self._nodes = nodes
        self._owns = owns
        self._counts_fin = counts_fin
        self._open: dict[int, TcpConnection] = {}
        self._ended: dict[int, None] = {}
        self._closed: dict[str, PairBytes] = {}
        self._reported: dict[str, tuple[int, int]] = {}
        self._reported_at: dict[str, float] = {}

    def update(self, existing: Iterable[TcpConnection] | None, ended: Iterable[TcpConnection]) -> None:
        """Count a dump of connections, and those that have ended until after the dump.

        Without a dump, the open connections stay as they were.
        """
        if existing is None:
            existing = list(self._open.values())
        now = {one.cookie: one for one in existing if one.cookie not in self._ended}
        before, self._open = self._open, {}
        for cookie, one in now.items():
            if cookie in before or self._owns(one):
                self._open[cookie] = one
        for one in ended:
            known = self._open.pop(one.cookie, None) or before.get(one.cookie)
            if one.cookie not in self._ended and (known is not None or self._owns(one)):
                self._close(one, known)
        for cookie, one in before.items():
            # Gone without a word: the kernel's message was lost.
            if cookie not in now and cookie not in self._ended:
                self._close(one, one)

    def _close(self, connection: TcpConnection, known: TcpConnection | None) -> None:
        self._ended[connection.cookie] = None
        if len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]
        peer = self._nodes.peer_address(connection.remote)
        if peer is None or (peer not in self._closed and len(self._closed) >= MAX_PEERS):
            return
        total = self._closed.setdefault(peer, PairBytes())
        fin = self._counts_fin(connection.local.port, connection.remote.port, connection.received)
        if fin is None:
            fin = known is not None and known.state in _FIN_RECEIVED
        total.received += connection.received - fin
        total.sent += connection.sent

    @property
    def any_open(self) -> bool:
        """Whether the program had a connection in the last dump."""
        return bool(self._open)

    def totals(self) -> dict[str, PairBytes]:
        """Return the bytes of every peer, by its address."""
        found = {peer: PairBytes(total.received, total.sent) for peer, total in self._closed.items()}
        for connection in self._open.values():
            peer = self._nodes.peer_address(connection.remote)
            if peer is not None and (peer in found or len(found) < MAX_PEERS):
                total = found.setdefault(peer, PairBytes())
                total.received += connection.received - (connection.state in _FIN_RECEIVED)
                total.sent += connection.sent
        return found

    def changed(self, totals: Mapping[str, PairBytes], now: float, *, last: bool = False) -> list[str]:
        """Return the peers whose bytes have changed and are to be reported now."""
        found = []
        for peer, total in totals.items():
            value = (total.received, total.sent)
            due = last or now >= self._reported_at.get(peer, float("-inf")) + PAIR_INTERVAL
            if value != self._reported.get(peer, (0, 0)) and due:
                self._reported[peer] = value
                self._reported_at[peer] = now
                found.append(peer)
        return found
