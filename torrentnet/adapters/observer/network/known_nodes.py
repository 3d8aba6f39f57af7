"""The nodes of the lab, recognised by their addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torrentnet.wire.endpoint import Endpoint

LOOPBACK = "127."


class KnownNodes:
    """Every node's own address, with the port that the node was told to listen on.

    A program may have been told 127.0.0.1 for every node: the ports tell the nodes apart then.
    """

    def __init__(self, own: str, nodes: Iterable[tuple[str, Endpoint]], own_address: str) -> None:
        self.own_address = own_address
        self.others = {name: endpoint for name, endpoint in nodes if name != own}
        self._addresses = {endpoint.ip: name for name, endpoint in self.others.items()}
        ports = [endpoint.port for endpoint in self.others.values()]
        self._ports = {endpoint.port: name for name, endpoint in self.others.items() if ports.count(endpoint.port) == 1}

    @property
    def shared_network(self) -> bool:
        """Whether other nodes and programs use the same network namespace."""
        return not self.own_address or self.own_address.startswith(LOOPBACK)

    def name_of(self, remote: Endpoint) -> str | None:
        """Return the name of the other node behind the far end of a connection."""
        address = self.peer_address(remote)
        return None if address is None else self._addresses.get(address)

    def peer_address(self, remote: Endpoint) -> str | None:
        """Return the address of the node behind the far end of a connection.

        The far end may be written as the program was told. None stands for the node itself.
        """
        if remote.ip in self._addresses:
            return remote.ip
        if remote.ip.startswith(LOOPBACK) or remote.ip == self.own_address:
            name = self._ports.get(remote.port) if remote.ip.startswith(LOOPBACK) else None
            return self.others[name].ip if name is not None else None
        return remote.ip
