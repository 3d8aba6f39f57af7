"""The messages between peers (BEP 3, BEP 6, BEP 10).

They are packed and parsed from one table.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from torrentnet.wire.errors import PeerProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK: Final = 16 * 1024
"""The only size of block that real clients request and serve."""
MAX_BLOCK: Final = 256 * 1024
"""The largest block that our own peers agree on: a whole piece of the default length."""
BLOCK_HEAD: Final = 13
"""Bytes of a piece message before its data."""


class KeepAlive(NamedTuple):
    """A message of length 0: the connection is still wanted."""


class Choke(NamedTuple):
    """The sender answers no more requests."""


class Unchoke(NamedTuple):
    """The sender answers requests."""


class Interested(NamedTuple):
    """The sender wants pieces that the receiver has."""


class NotInterested(NamedTuple):
    """The sender wants no piece that the receiver has."""


class Have(NamedTuple):
    """The sender has verified another piece."""

    piece: int


class Bitfield(NamedTuple):
    """The pieces that the sender has (the high bit of the first byte is piece 0)."""

    bits: bytes


class Request(NamedTuple):
    """Request ``length`` bytes of ``piece`` from offset ``begin`` on."""

    piece: int
    begin: int
    length: int


class Block(NamedTuple):
    """The reply to a request; BEP 3 calls the message "piece".

    ``data`` is valid until the reader is fed again, unless it is memory that
    :attr:`~torrentnet.wire.peer.message_reader.MessageReader.block_buffer` returned.
    """

    piece: int
    begin: int
    data: memoryview


class Cancel(NamedTuple):
    """Withdraw a request."""

    piece: int
    begin: int
    length: int


class Port(NamedTuple):
    """The sender's DHT port; ignored."""

    port: int


class Suggest(NamedTuple):
    """BEP 6: a hint, ignored."""

    piece: int


class HaveAll(NamedTuple):
    """BEP 6: in place of a full bitfield."""


class HaveNone(NamedTuple):
    """BEP 6: in place of an empty bitfield."""


class Reject(NamedTuple):
    """BEP 6: the sender will not answer this request."""

    piece: int
    begin: int
    length: int


class AllowedFast(NamedTuple):
    """BEP 6: a hint, ignored."""

    piece: int


class Extended(NamedTuple):
    """BEP 10: a message of an extension; id 0 is the extension handshake."""

    id: int
    payload: bytes


class Unknown(NamedTuple):
    """A message with an unknown id; skipped."""

    id: int


Message: TypeAlias = (
    KeepAlive
    | Choke
    | Unchoke
    | Interested
    | NotInterested
    | Have
    | Bitfield
    | Request
    | Block
    | Cancel
    | Port
    | Suggest
    | HaveAll
    | HaveNone
    | Reject
    | AllowedFast
    | Extended
    | Unknown
)

_NUMBER: Final = struct.Struct(">I")
_TRIPLE: Final = struct.Struct(">III")
_SHORT: Final = struct.Struct(">H")
_PAIR: Final = struct.Struct(">II")


def _nothing(make: Callable[[], Message]) -> Callable[[memoryview], Message]:
    return lambda payload: make()


def _number(make: Callable[[int], Message]) -> Callable[[memoryview], Message]:
    return lambda payload: make(_NUMBER.unpack(payload)[0])


def _triple(make: Callable[[int, int, int], Message]) -> Callable[[memoryview], Message]:
    return lambda payload: make(*_TRIPLE.unpack(payload))


def _block(payload: memoryview) -> Message:
    piece, begin = _PAIR.unpack_from(payload)
    return Block(piece, begin, payload[8:])


class MessageSpec(NamedTuple):
    """A row of the message table."""

    id: int
    type: type[Message]
    least: int
    """Minimal payload behind the id, in bytes."""
    most: int | None
    """Maximal payload; None where only the connection's own limit holds."""
    read: Callable[[memoryview], Message]


MESSAGE_SPECS: Final[tuple[MessageSpec, ...]] = (
    MessageSpec(0, Choke, 0, 0, _nothing(Choke)),
    MessageSpec(1, Unchoke, 0, 0, _nothing(Unchoke)),
    MessageSpec(2, Interested, 0, 0, _nothing(Interested)),
    MessageSpec(3, NotInterested, 0, 0, _nothing(NotInterested)),
    MessageSpec(4, Have, 4, 4, _number(Have)),
    MessageSpec(5, Bitfield, 0, None, lambda payload: Bitfield(bytes(payload))),
    MessageSpec(6, Request, 12, 12, _triple(Request)),
    MessageSpec(7, Block, 8, 8 + MAX_BLOCK, _block),
    MessageSpec(8, Cancel, 12, 12, _triple(Cancel)),
    MessageSpec(9, Port, 2, 2, lambda payload: Port(_SHORT.unpack(payload)[0])),
    MessageSpec(13, Suggest, 4, 4, _number(Suggest)),
    MessageSpec(14, HaveAll, 0, 0, _nothing(HaveAll)),
    MessageSpec(15, HaveNone, 0, 0, _nothing(HaveNone)),
    MessageSpec(16, Reject, 12, 12, _triple(Reject)),
    MessageSpec(17, AllowedFast, 4, 4, _number(AllowedFast)),
    MessageSpec(20, Extended, 1, None, lambda payload: Extended(payload[0], bytes(payload[1:]))),
)
_BY_ID: Final = {row.id: row for row in MESSAGE_SPECS}
_IDS: Final = {row.type: row.id for row in MESSAGE_SPECS}
BLOCK_ID: Final = _IDS[Block]


def pack(message: Message) -> bytes:
    """Return the bytes of any message except a block.

    A block's data is not copied here (see :func:`pack_block_head`).
    """
    if isinstance(message, KeepAlive):
        return b"\0\0\0\0"
    if isinstance(message, (Block, Unknown)):
        raise TypeError(f"{type(message).__name__} is not packed here")
    if isinstance(message, (Bitfield, Extended)):
        payload = message.bits if isinstance(message, Bitfield) else bytes((message.id,)) + message.payload
    elif isinstance(message, Port):
        payload = _SHORT.pack(message.port)
    else:
        payload = struct.pack(f">{len(message)}I", *message)
    return _NUMBER.pack(1 + len(payload)) + bytes((_IDS[type(message)],)) + payload


def pack_block_head(piece: int, begin: int, length: int) -> bytes:
    """Return the 13 bytes that precede ``length`` bytes of a block."""
    return struct.pack(">IBII", 9 + length, 7, piece, begin)


def parse(body: memoryview) -> Message:
    """Parse a message without its length field.

    ``body`` has at least one byte. A block's data is a view, not a copy. Raises :class:`PeerProtocolError` for a size
    that does not fit the id.
    """
    row = _BY_ID.get(body[0])
    if row is None:
        return Unknown(body[0])
    size = len(body) - 1
    if size < row.least or (row.most is not None and size > row.most):
        raise PeerProtocolError(f"{row.type.__name__} with {size} bytes of payload")
    return row.read(body[1:])
