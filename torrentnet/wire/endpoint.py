"""IPv4 addresses with a port, and conversions between their forms.

The forms are text, BitTorrent's compact form, and one number.
"""

from __future__ import annotations

import socket
import struct
from functools import lru_cache
from typing import Final, NamedTuple

_COMPACT: Final = struct.Struct(">4sH")
COMPACT_SIZE: Final = _COMPACT.size
"""Bytes of an endpoint in compact form (BEP 23)."""
_CACHED: Final = 4_096
"""Addresses whose other form is cached."""


class Endpoint(NamedTuple):
    """An IPv4 address (text) and a port."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}"


def pack_endpoint(endpoint: Endpoint) -> bytes:
    """Return the compact form (BEP 23): 4 bytes address, 2 bytes port."""
    return _COMPACT.pack(socket.inet_aton(endpoint.ip), endpoint.port)


def unpack_endpoint(raw: bytes) -> Endpoint:
    """Return the endpoint that 6 bytes in compact form hold."""
    address, port = _COMPACT.unpack(raw)
    return Endpoint(socket.inet_ntoa(address), port)


def unpack_endpoints(raw: bytes) -> tuple[Endpoint, ...]:
    """Return the endpoints of a compact list, without those that have port 0.

    ``raw`` must consist of whole entries.
    """
    return tuple(Endpoint(socket.inet_ntoa(address), port) for address, port in _COMPACT.iter_unpack(raw) if port)


@lru_cache(_CACHED)
def address_text(ip: int) -> str:
    """Return an IPv4 address, given as a number, in dotted form."""
    return socket.inet_ntoa(ip.to_bytes(4, "big"))


@lru_cache(_CACHED)
def _address_number(ip: str) -> int:
    return int.from_bytes(socket.inet_aton(ip), "big")


def endpoint_key(ip: str, port: int) -> int:
    """Return an IPv4 address, given as text, and a port as one number of 48 bits.

    The numbers have the order of the compact form.
    """
    return _address_number(ip) << 16 | port


def endpoint_from_key(key: int) -> Endpoint:
    """Return the endpoint that :func:`endpoint_key` made ``key`` of."""
    return Endpoint(address_text(key >> 16), key & 0xFFFF)


def pack_endpoint_key(key: int) -> bytes:
    """Return the compact form (BEP 23) of what :func:`endpoint_key` returns."""
    return key.to_bytes(COMPACT_SIZE, "big")
