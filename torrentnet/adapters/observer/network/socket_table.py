"""The program's sockets, from the kernel's tables, and whether they make it up."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.wire.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torrentnet.adapters.observer.network.sock_diag import TcpListener

LISTEN_GRACE: Final = 1.0
"""Seconds after which a peer that listens is up, whether it has sent a datagram to the tracker or not."""
RESOLVER: Final = "127.0.0.11"
"""Docker's own resolver listens in every container."""

_TABLES: Final = ("tcp", "tcp6", "udp", "udp6")
_UDP_TABLES: Final = ("udp", "udp6")
_LISTENING: Final = "0A"
_UNCONNECTED: Final = "07"
_MAPPED: Final = bytes(10) + b"\xff\xff"
_SOCKET_LINK: Final = "socket:["
_NEEDED: Final = {"tracker": "UDP socket", "share": "TCP socket that listens"}
"""Roles of nodes that are of no use without a socket; one that gets a file may listen later."""
_WILDCARD: Final = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """A TCP socket that listens, or a UDP socket."""

    protocol: str
    """``tcp`` or ``udp``."""
    address: Endpoint
    user: int
    inode: int


def parse_table(protocol: str, text: str) -> Iterator[OpenSocket]:
    """Yield the listening TCP sockets, or the UDP sockets, of one table in /proc/net.

    IPv4 addresses in IPv6 form and the IPv6 wildcard become IPv4 addresses; other IPv6 sockets are left out, and so
    are lines of any other form.
    """
    wanted = _LISTENING if protocol == "tcp" else _UNCONNECTED
    for line in text.splitlines()[1:]:
        words = line.split()
        try:
            address, state, user, inode = words[1], words[3], int(words[7]), int(words[9])
            if state == wanted and (endpoint := _endpoint(address)) is not None and endpoint.ip != RESOLVER:
                yield OpenSocket(protocol, endpoint, user, inode)
        except (IndexError, ValueError):
            continue


def _endpoint(text: str) -> Endpoint | None:
    address, _, port = text.partition(":")
    # Each group of four bytes is a number in the machine's byte order.
    groups = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    raw = b"".join(struct.pack("=I", group) for group in groups)
    if len(raw) == 16:
        if raw == bytes(16):
            raw = bytes(4)
        elif raw.startswith(_MAPPED):
            raw = raw[len(_MAPPED) :]
        else:
            return None
    return Endpoint(socket.inet_ntoa(raw), int(port, 16))


class SocketOwner:
    """Decision whether a socket is the program's.

    ``user`` is the program's, if it has one of its own. In a network that others use too, the descriptors of the
    program's ``processes`` decide.
    """

    def __init__(self, user: int | None, processes: Callable[[], Iterable[int]] | None = None) -> None:
        self._user = user
        self._processes = processes
        self._inodes: frozenset[int] = frozenset()

    def refresh(self) -> None:
        """Read the descriptors of the program's processes anew, where they decide."""
        if self._user is None and self._processes is not None:
            self._inodes = frozenset(_socket_inodes(self._processes()))

    def owns(self, user: int, inode: int) -> bool:
        """Return whether a socket with this user and inode is the program's."""
        if self._user is not None:
            return user == self._user
        return self._processes is None or inode in self._inodes


def _socket_inodes(processes: Iterable[int]) -> Iterator[int]:
    for pid in processes:
        folder = f"/proc/{pid}/fd"
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                with contextlib.suppress(OSError, ValueError):
                    target = os.readlink(f"{folder}/{name}")
                    if target.startswith(_SOCKET_LINK):
                        yield int(target[len(_SOCKET_LINK) : -1])


def read_sockets(owner: SocketOwner, listening: Callable[[], Iterable[TcpListener]] | None = None) -> list[OpenSocket]:
    """Return the program's open sockets.

    ``listening`` returns the TCP sockets that listen; without it they are read from /proc/net, which takes long.
    """
    owner.refresh()
    found = []
    if listening is not None:
        found += [
            OpenSocket("tcp", one.address, one.user, one.inode)
            for one in listening()
            if owner.owns(one.user, one.inode) and one.address.ip != RESOLVER
        ]
    for table in _TABLES if listening is None else _UDP_TABLES:
        try:
            text = Path("/proc/thread-self/net", table).read_text("ascii")
        except OSError:
            continue
        found += [one for one in parse_table(table[:3], text) if owner.owns(one.user, one.inode)]
    return found


class Readiness:
    """Decision whether a node is up.

    ``own`` is the node's own IP address, reported for a socket that is bound to all addresses.
    """

    def __init__(self, role: str, listen: Endpoint | None, own: str, ready: float, started: float) -> None:
        self._role = role
        self._listen = listen
        self._own = own
        self._ready = ready
        self._latest = started + ready
        self._listening_since: float | None = None
        self.address: Endpoint | None = None
        """Where the program listens; None if no socket has been seen."""

    def check(self, sockets: list[OpenSocket], now: float, *, called_tracker: bool) -> bool:
        """Return whether the node is up, as far as its sockets say."""
        if self._role == "run":
            self.address = self._own_socket(sockets, "tcp") or self._own_socket(sockets, "udp")
            return True
        protocol = "udp" if self._role == "tracker" else "tcp"
        self.address = self._own_socket(sockets, protocol)
        if self.address is None:
            self._listening_since = None
            return self._role == "get" and now >= self._latest
        if self._role == "tracker":
            return True
        if self._listening_since is None:
            self._listening_since = now
        return called_tracker or now >= min(self._listening_since + LISTEN_GRACE, self._latest)

    def missing(self, now: float) -> str:
        """Return which socket a node has not opened in time; empty if none is missing."""
        if self._role not in _NEEDED or self.address is not None or now < self._latest:
            return ""
        return f"the program has opened no {_NEEDED[self._role]} within {self._ready:g} s"

    def _own_socket(self, sockets: list[OpenSocket], protocol: str) -> Endpoint | None:
        found = [one.address for one in sockets if one.protocol == protocol]
        if not found:
            return None
        wanted = self._listen.port if self._listen is not None else 0
        best = min(found, key=lambda address: (address.port != wanted, address))
        return Endpoint(self._own, best.port) if best.ip == _WILDCARD and self._own else best
