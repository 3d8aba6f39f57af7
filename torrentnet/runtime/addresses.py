"""Addresses as people write them: ``HOST:PORT``."""

from __future__ import annotations

from typing import Final

from torrentnet.runtime.units import shown

EXAMPLE: Final = "127.0.0.1:6771"
MAX_PORT: Final = 65_535


def parse_address(text: str, *, min_port: int = 0) -> tuple[str, int]:
    """Return the host and the port of an address such as ``HOST:PORT``.

    The host is an IPv4 address or a name. Raises ValueError with a sentence for the user.
    """
    scheme, link, rest = text.partition("://")
    if (rest if link else text).partition("/")[0].count(":") > 1:
        raise ValueError(f"{shown(text)} looks like IPv6, which is not supported; write an IPv4 address: `{EXAMPLE}`")
    if link:
        plain = rest.partition("/")[0]
        raise ValueError(f"{shown(text)} is a link of the kind {scheme}; write its address alone: {shown(plain)}")
    host, colon, port = text.rpartition(":")
    if not (colon and host and port):
        raise ValueError(f"{shown(text)} is not HOST:PORT; write for example `{EXAMPLE}`")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and min_port <= int(port) <= MAX_PORT):
        raise ValueError(f"{shown(port)} is not a port; write a number from {min_port} to {MAX_PORT}")
    return host, int(port)
