"""The messages between peers (BEP 3, BEP 6, BEP 10) as one table, and their bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from torrentnet.wire.errors import PeerProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 16 * 1024
"""What real clients ask for and serve, and nothing else."""
MAX_BLOCK = 256 * 1024
"""The largest block that our own peers agree on: a whole piece, where pieces are as long as by default."""
BLOCK_HEAD = 13
"""Bytes of a piece message before its data."""


class KeepAlive(NamedTuple):
    """Length 0: the connection is still wanted."""


class Choke(NamedTuple):
    """No request will be answered from now on."""


class Unchoke(NamedTuple):
    """Requests are answered from now on."""


class Interested(NamedTuple):
    """The sender wants pieces that the receiver has."""


class NotInterested(NamedTuple):
    """The sender wants nothing."""


class Have(NamedTuple):
    """The sender has one more piece, verified."""

    piece: int


class Bitfield(NamedTuple):
    """Which pieces the sender has (high bit of the first byte is piece 0)."""

    bits: bytes


class Request(NamedTuple):
    """Asks for ``length`` bytes of ``piece`` from offset ``begin`` on."""

    piece: int
    begin: int
    length: int


class Block(NamedTuple):
    """The answer to a request; BEP 3 calls the message "piece".

    ``data`` is valid until the reader is fed again, unless it is memory that
    :attr:`~torrentnet.wire.peer.message_reader.MessageReader.place` named.
    """

    piece: int
    begin: int
    data: memoryview


class Cancel(NamedTuple):
    """Takes a request back."""

    piece: int
    begin: int
    length: int


class Port(NamedTuple):
    """The sender's DHT port; taken and ignored."""

    port: int


class Suggest(NamedTuple):
    """BEP 6: advice, ignored."""

    piece: int


class HaveAll(NamedTuple):
    """BEP 6: instead of a full bitfield."""


class HaveNone(NamedTuple):
    """BEP 6: instead of an empty bitfield."""


class Reject(NamedTuple):
    """BEP 6: this request will not be answered."""

    piece: int
    begin: int
    length: int


class AllowedFast(NamedTuple):
    """BEP 6: advice, ignored."""

    piece: int


class Extended(NamedTuple):
    """BEP 10: a message of an extension; id 0 is the extension handshake."""

    id: int
    payload: bytes


class Unknown(NamedTuple):
    """A message with an id that we do not know; skipped."""

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

_LENGTH = struct.Struct(">I")
_NUMBER = struct.Struct(">I")
_TRIPLE = struct.Struct(">III")
_SHORT = struct.Struct(">H")
_PAIR = struct.Struct(">II")


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
    """One row of the message table."""

    id: int
    type: type[Message]
    least: int
    """Bytes of payload behind the id, at least."""
    most: int | None
    """At most; None where only the connection's own limit holds."""
    read: Callable[[memoryview], Message]


MESSAGE_SPECS: tuple[MessageSpec, ...] = (
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
_BY_ID = {row.id: row for row in MESSAGE_SPECS}
_IDS = {row.type: row.id for row in MESSAGE_SPECS}
BLOCK_ID = _IDS[Block]


def pack(message: Message) -> bytes:
    """The bytes of any message but a block, whose data does not pass through Python (see :func:`pack_block_head`)."""
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
    return _LENGTH.pack(1 + len(payload)) + bytes((_IDS[type(message)],)) + payload


def pack_block_head(piece: int, begin: int, length: int) -> bytes:
    """The 13 bytes that go before ``length`` bytes of a block."""
    return struct.pack(">IBII", 9 + length, 7, piece, begin)


def parse(body: memoryview) -> Message:
    """The message whose bytes behind the length are ``body``, at least one; a block's data stays where it is.

    Raises :class:`PeerProtocolError` for a size that does not fit the id.
    """
    row = _BY_ID.get(body[0])
    if row is None:
        return Unknown(body[0])
    size = len(body) - 1
    if size < row.least or (row.most is not None and size > row.most):
        raise PeerProtocolError(f"{row.type.__name__} with {size} bytes of payload")
    return row.read(body[1:])
