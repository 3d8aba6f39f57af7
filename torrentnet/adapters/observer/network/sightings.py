"""What a datagram mentions: nodes, the file's name and its size, in any format."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torrentnet.wire.endpoint import Endpoint

NEAR: Final = 16
"""A port of two bytes counts only within so many bytes of an address: any two bytes may look like it."""
LOCALHOST: Final = "127.0.0.1"
MAX_EXAMINED: Final = 8192
"""Bytes of a datagram that are looked at."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was found in one datagram."""

    nodes: tuple[str, ...]
    """Names of the nodes whose address or port is in it, in the order of the lab."""
    size: bool
    """Whether the wanted file's size is in it."""
    file: bool
    """Whether the wanted file's name is in it."""


class DatagramReader:
    """Search for what a datagram of any format mentions.

    ``nodes`` are all nodes with their own address and the port that they were told; ``file`` and ``size`` are those of
    the wanted file, if there is one.
    """

    def __init__(self, nodes: Iterable[tuple[str, Endpoint]], file: str = "", size: int | None = None) -> None:
        self._nodes = tuple(nodes)
        addresses = [endpoint.ip for _, endpoint in self._nodes]
        ports = [endpoint.port for _, endpoint in self._nodes]
        self._anchors = [form for ip in {*addresses, LOCALHOST} for form in _address_forms(ip)]
        self._own: list[tuple[str, list[re.Pattern[bytes]], re.Pattern[bytes] | None, tuple[bytes, ...]]] = []
        for name, endpoint in self._nodes:
            alone = addresses.count(endpoint.ip) == 1 and endpoint.ip != LOCALHOST
            unique = ports.count(endpoint.port) == 1
            self._own.append(
                (
                    name,
                    _address_forms(endpoint.ip) if alone else [],
                    _decimal(endpoint.port) if unique else None,
                    _packed(endpoint.port, 2) if unique else (),
                )
            )
        self._names = {form for form in (file.encode(), json.dumps(file)[1:-1].encode()) if form}
        self._size = None if size is None else _decimal(size)
        self._packed_size = () if size is None else (*_packed(size, 4), *_packed(size, 8))

    def read(self, payload: bytes) -> Sighting:
        """Return what a datagram mentions."""
        payload = payload[:MAX_EXAMINED]
        near: bytes | None = None
        found = []
        for name, addresses, port, packed in self._own:
            if any(form.search(payload) for form in addresses) or (port is not None and port.search(payload)):
                found.append(name)
            elif packed:
                if near is None:
                    near = b"\n".join(self._near_addresses(payload))
                if any(form in near for form in packed):
                    found.append(name)
        size = self._size is not None and (
            self._size.search(payload) is not None or any(form in payload for form in self._packed_size)
        )
        return Sighting(tuple(found), size, any(name in payload for name in self._names))

    def _near_addresses(self, payload: bytes) -> Iterator[bytes]:
        for form in self._anchors:
            for match in form.finditer(payload):
                # Without the address itself, part of which may look like a port.
                yield payload[max(0, match.start() - NEAR) : match.start()]
                yield payload[match.end() : match.end() + NEAR]


def _address_forms(ip: str) -> list[re.Pattern[bytes]]:
    packed = socket.inet_aton(ip)
    text = rb"(?<![0-9.])" + re.escape(ip.encode()) + rb"(?![0-9]|\.[0-9])"
    return [re.compile(text), *(re.compile(re.escape(form), re.DOTALL) for form in (packed, packed[::-1]))]


def _decimal(number: int) -> re.Pattern[bytes]:
    return re.compile(rb"(?<![0-9])%d(?![0-9])" % number)


def _packed(number: int, size: int) -> tuple[bytes, ...]:
    """Return a number's forms of so many bytes, in both orders.

    There is none if the number does not fit.
    """
    if number >= 1 << (8 * size):
        return ()
    return number.to_bytes(size, "big"), number.to_bytes(size, "little")
