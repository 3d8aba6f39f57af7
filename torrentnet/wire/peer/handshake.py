"""The handshake of two peers (BEP 3, "handshake"), and their peer ids (BEP 20)."""

from __future__ import annotations

from typing import Final, NamedTuple

from torrentnet.wire.errors import PeerProtocolError

PROTOCOL: Final = b"\x13BitTorrent protocol"
HANDSHAKE_SIZE: Final = 68
NOT_A_HANDSHAKE: Final = (
    "the first bytes are not a BitTorrent handshake: encrypted (MSE), which is not supported, or another protocol"
)
CLIENT_PREFIX: Final = b"-NL0100-"
"""BEP 20, Azureus style: a network lab, version 0.1.0.0."""

_EXTENSION_BYTE, _EXTENSION_BIT = 5, 0x10
_FAST_BYTE, _FAST_BIT = 7, 0x04


class Handshake(NamedTuple):
    """The first message of both sides."""

    info_hash: bytes
    peer_id: bytes
    extended: bool = True
    """Whether the sender supports BEP 10."""
    fast: bool = True
    """Whether the sender supports BEP 6."""


def pack_handshake(handshake: Handshake) -> bytes:
    """Return the 68 bytes of a handshake."""
    reserved = bytearray(8)
    if handshake.extended:
        reserved[_EXTENSION_BYTE] |= _EXTENSION_BIT
    if handshake.fast:
        reserved[_FAST_BYTE] |= _FAST_BIT
    return PROTOCOL + bytes(reserved) + handshake.info_hash + handshake.peer_id


def may_be_handshake(data: bytes | bytearray) -> bool:
    """Whether ``data`` (any number of bytes) can be the beginning of a handshake.

    Real clients try an encrypted handshake first; when the connection is closed at its first byte, they connect again
    in plain text within a second.
    """
    return PROTOCOL.startswith(bytes(data[: len(PROTOCOL)]))


def parse_handshake(data: bytes) -> Handshake:
    """Parse 68 bytes. Raises :class:`PeerProtocolError` when they are not a handshake."""
    if len(data) != HANDSHAKE_SIZE or not data.startswith(PROTOCOL):
        raise PeerProtocolError(NOT_A_HANDSHAKE)
    reserved = data[20:28]
    return Handshake(
        data[28:48],
        data[48:68],
        extended=bool(reserved[_EXTENSION_BYTE] & _EXTENSION_BIT),
        fast=bool(reserved[_FAST_BYTE] & _FAST_BIT),
    )


def make_peer_id(random_bytes: bytes) -> bytes:
    """Return a peer id (20 bytes) made of 12 random bytes."""
    if len(random_bytes) != HANDSHAKE_SIZE - 56:
        raise ValueError("a peer id needs 12 random bytes")
    return CLIENT_PREFIX + random_bytes
