"""The extension protocol between peers (BEP 10).

Peers exchange the info dictionary through it (BEP 9).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from torrentnet.wire import bencode
from torrentnet.wire.errors import BencodeError, InvalidNameError, PeerProtocolError
from torrentnet.wire.info import MAX_INFO_SIZE
from torrentnet.wire.names import decode_peer_name
from torrentnet.wire.peer.messages import BLOCK, MAX_BLOCK

HANDSHAKE_ID: Final = 0
METADATA_ID: Final = 1
"""The id by which we receive ``ut_metadata``."""
OFFER_ID: Final = 2
"""The id by which we receive ``tn_offer``, if we accept offers."""
METADATA_PIECE: Final = 16 * 1024
MAX_REQUESTS: Final = 250
"""Requests that we queue for a peer (``reqq``)."""
_MIN_REQQ, _MAX_REQQ = 1, 2_000
MAX_HANDSHAKE: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class ExtensionHandshake:
    """The features of a peer beyond BEP 3."""

    metadata_id: int = 0
    """The id by which the peer receives ``ut_metadata``; 0 if it does not support it."""
    metadata_size: int = 0
    """Bytes of the info dictionary; 0 if the peer has none."""
    client: str = ""
    requests: int = MAX_REQUESTS
    """Requests that the peer queues."""
    block: int = BLOCK
    """The largest block (bytes) that the peer serves: our own key, ``tn_block``; 16 KiB if it is missing."""
    offer_id: int = 0
    """The id by which the peer receives ``tn_offer``; 0 if it requests pieces without waiting for offers."""
    makes_offers: bool = False
    """Whether the peer serves those that accept offers only after an offer: our own key, ``tn_turns``."""
    name: str = ""
    """The peer's name: our own key, ``tn_name``."""
    port: int = 0
    """The TCP port that the peer listens on (BEP 10's ``p``); 0 if it does not say."""


def pack_extension_handshake(handshake: ExtensionHandshake) -> bytes:
    """Return the bencoded payload behind extended id 0."""
    understood: dict[bytes, bencode.Value] = {b"ut_metadata": handshake.metadata_id}
    if handshake.offer_id:
        understood[b"tn_offer"] = handshake.offer_id
    value: dict[bytes, bencode.Value] = {
        b"m": understood,
        b"reqq": handshake.requests,
        b"v": handshake.client.encode("utf-8"),
    }
    if handshake.metadata_size:
        value[b"metadata_size"] = handshake.metadata_size
    if handshake.block != BLOCK:
        value[b"tn_block"] = handshake.block
    if handshake.makes_offers:
        value[b"tn_turns"] = 1
    if handshake.name:
        value[b"tn_name"] = handshake.name.encode("utf-8")
    if handshake.port:
        value[b"p"] = handshake.port
    return bencode.encode(value)


def parse_extension_handshake(payload: bytes) -> ExtensionHandshake:
    """Parse an extension handshake, the payload behind extended id 0.

    Whatever is missing or invalid counts as not supported. Raises :class:`PeerProtocolError` when the payload is not a
    bencoded dictionary of at most :data:`MAX_HANDSHAKE` bytes.
    """
    if len(payload) > MAX_HANDSHAKE:
        raise PeerProtocolError(f"extension handshake of {len(payload)} bytes")
    value = _dictionary(payload)
    understood = value.get(b"m")
    ids = understood if isinstance(understood, dict) else {}
    client = value.get(b"v")
    return ExtensionHandshake(
        metadata_id=_bounded(ids.get(b"ut_metadata"), 0, 255, 0),
        metadata_size=_bounded(value.get(b"metadata_size"), 0, MAX_INFO_SIZE, 0),
        client=_printable(client) if isinstance(client, bytes) else "",
        requests=_bounded(value.get(b"reqq"), _MIN_REQQ, _MAX_REQQ, MAX_REQUESTS),
        block=_bounded(value.get(b"tn_block"), BLOCK, MAX_BLOCK, BLOCK),
        offer_id=_bounded(ids.get(b"tn_offer"), 0, 255, 0),
        makes_offers=value.get(b"tn_turns") == 1,
        name=_peer_name(value.get(b"tn_name")),
        port=_bounded(value.get(b"p"), 0, 65_535, 0),
    )


class MetadataKind(IntEnum):
    """BEP 9 message types."""

    REQUEST = 0
    DATA = 1
    REJECT = 2


class Metadata(NamedTuple):
    """A ``ut_metadata`` message; ``piece`` counts 16 KiB parts of the info dictionary."""

    kind: MetadataKind
    piece: int
    total: int = 0
    data: bytes = b""


def pack_metadata(metadata: Metadata) -> bytes:
    """Return the payload behind the receiver's id."""
    value: dict[bytes, bencode.Value] = {b"msg_type": int(metadata.kind), b"piece": metadata.piece}
    if metadata.kind is MetadataKind.DATA:
        value[b"total_size"] = metadata.total
    return bencode.encode(value) + metadata.data


def parse_metadata(payload: bytes) -> Metadata | None:
    """Parse a ``ut_metadata`` payload; return None for a type unknown to BEP 9.

    Raises :class:`PeerProtocolError`.
    """
    try:
        value, end = bencode.decode_prefix(payload)
    except BencodeError as error:
        raise PeerProtocolError(f"metadata message: {error.message}") from None
    if not isinstance(value, dict):
        raise PeerProtocolError("metadata message is not a dictionary")
    kind, piece, total = value.get(b"msg_type"), value.get(b"piece"), value.get(b"total_size", 0)
    if not (isinstance(kind, int) and isinstance(piece, int) and isinstance(total, int)):
        raise PeerProtocolError("metadata message lacks its type or piece")
    if kind not in set(MetadataKind):
        return None
    if piece < 0 or total < 0:
        raise PeerProtocolError(f"metadata message: piece {piece} of {total} bytes")
    return Metadata(MetadataKind(kind), piece, total, payload[end:])


def _dictionary(payload: bytes) -> dict[bytes, bencode.Value]:
    try:
        value, _ = bencode.decode_prefix(payload)
    except BencodeError as error:
        raise PeerProtocolError(f"extension handshake: {error.message}") from None
    if not isinstance(value, dict):
        raise PeerProtocolError("extension handshake is not a dictionary")
    return value


def _bounded(value: object, least: int, most: int, otherwise: int) -> int:
    return value if isinstance(value, int) and least <= value <= most else otherwise


def _peer_name(value: object) -> str:
    if not isinstance(value, bytes):
        return ""
    try:
        return decode_peer_name(value)
    except InvalidNameError:
        return ""


def _printable(raw: bytes) -> str:
    return "".join(c if c.isprintable() else "?" for c in raw[:64].decode("utf-8", "replace"))
