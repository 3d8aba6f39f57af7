"""Who sent a captured frame, and to whom."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_IPV4: Final = b"\x08\x00"
_ARP: Final = b"\x08\x06"


class NodeAddresses:
    """The nodes by their addresses in frames."""

    def __init__(self, nodes: Mapping[str, str]) -> None:
        """``nodes``: name to IPv4 address."""
        self._names = {socket.inet_aton(address): name for name, address in nodes.items() if address}

    def ends(self, frame: bytes) -> tuple[str, str, bool]:
        """Return the sender, the receiver, and whether the frame has an IPv4 packet.

        A name is empty where it is no node's.
        """
        kind = frame[12:14]
        if kind == _IPV4:
            return self._names.get(frame[26:30], ""), self._names.get(frame[30:34], ""), True
        if kind == _ARP:
            return self._names.get(frame[28:32], ""), self._names.get(frame[38:42], ""), False
        return "", "", False
