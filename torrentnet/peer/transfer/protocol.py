"""The peer protocol (BEP 3, 6, 9 and 10) on one connection, without I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from torrentnet import __version__
from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.extension_protocol import (
    HANDSHAKE_ID,
    MAX_REQUESTS,
    METADATA_ID,
    OFFER_ID,
    ExtensionHandshake,
    Metadata,
    pack_extension_handshake,
    pack_metadata,
    parse_extension_handshake,
    parse_metadata,
)
from torrentnet.wire.peer.handshake import (
    HANDSHAKE_SIZE,
    NOT_A_HANDSHAKE,
    Handshake,
    may_be_handshake,
    pack_handshake,
    parse_handshake,
)
from torrentnet.wire.peer.message_reader import MessageReader
from torrentnet.wire.peer.messages import (
    BLOCK,
    BLOCK_HEAD,
    MAX_BLOCK,
    Bitfield,
    Extended,
    HaveAll,
    HaveNone,
    Message,
    pack,
    pack_block_head,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torrentnet.wire.piece_set import PieceSet

CLIENT_NAME: Final = f"torrentnet {__version__}"
"""The client's name and version in the extension handshake (BEP 10)."""
_MIN_MESSAGE_LIMIT: Final = 64 * 1024
"""Bytes of the largest message that an uploader accepts, unless its file's bitfield is larger."""


class FileSpan(NamedTuple):
    """A range of an open file to send with sendfile(2)."""

    descriptor: int
    offset: int
    length: int


class Credit(NamedTuple):
    """The remote peer will serve one more piece now (the extension ``tn_offer``)."""


@dataclass(frozen=True, slots=True)
class LocalIdentity:
    """What the extension handshake says about the local peer."""

    name: str = ""
    port: int = 0
    """The TCP port that the peer listens on; 0 if it is not announced."""
    uses_credits: bool = False
    """Whether the peer requests a piece only after a credit, where the remote peer grants credits."""
    max_block: int = MAX_BLOCK
    """Bytes of the largest block that the remote peer may request."""


class SelfConnectionError(PeerProtocolError):
    """The peer has connected to itself."""


PeerProtocolEvent: TypeAlias = Handshake | ExtensionHandshake | Metadata | Credit | Message


class PeerProtocol:
    """One end of a connection between two peers.

    The transport receives into :meth:`buffers`, calls :meth:`data_received`, sends the items of :attr:`output` in
    order and calls :meth:`data_sent`. Received messages become events: first the remote peer's :class:`Handshake`,
    then messages, of which :class:`ExtensionHandshake`, :class:`Metadata` and :class:`Credit` are decoded.
    ``pieces`` is the file's number of pieces, 0 if unknown; ``buffer_size`` is that of the receive buffer in bytes, 0
    for a connection that only serves.
    """

    def __init__(
        self,
        info_hash: bytes,
        peer_id: bytes,
        *,
        initiator: bool,
        pieces: int = 0,
        buffer_size: int = 0,
        identity: LocalIdentity | None = None,
    ) -> None:
        self._identity = identity or LocalIdentity()
        self.initiator = initiator
        """Whether the local peer has opened the connection."""
        self._info_hash = info_hash
        self._peer_id = peer_id
        limit = max(_MIN_MESSAGE_LIMIT, pieces // 8 + 2, MAX_BLOCK + BLOCK_HEAD if buffer_size else 0)
        self._reader = MessageReader(limit, max(buffer_size, 0))
        self._handshake_buffer = bytearray()
        self.remote_handshake: Handshake | None = None
        """The remote peer's handshake; None until it is received."""
        self.remote_extension: ExtensionHandshake | None = None
        """The remote peer's extension handshake; None until it is received."""
        self.output: deque[bytes | FileSpan] = deque()
        self.pending_bytes = 0
        """Bytes in :attr:`output`."""
        self.received_bytes = 0
        self.sent_bytes = 0
        if initiator:
            self._send_handshake()

    @property
    def fast(self) -> bool:
        """Whether both peers support the fast extension (BEP 6).

        The local peer always supports the extension.
        """
        return self.remote_handshake is not None and self.remote_handshake.fast

    def set_block_buffers(self, buffer_for: Callable[[int, int, int], memoryview | None]) -> None:
        """Receive the data of large blocks into the caller's memory.

        ``buffer_for(piece, begin, length)`` returns the memory.
        """
        self._reader.block_buffer = buffer_for

    def buffers(self) -> tuple[memoryview, ...]:
        """Return the buffers for the next received bytes, in order.

        The first buffer is never empty.
        """
        return self._reader.buffers()

    def data_received(self, count: int) -> Iterator[PeerProtocolEvent]:
        """Parse ``count`` bytes that were received into :meth:`buffers`.

        Who stops the iteration early must call this again with a count of 0, which yields the events that are left,
        before receiving again. Raises :class:`PeerProtocolError`, after which the connection must be closed.
        """
        self.received_bytes += count
        if self.remote_handshake is not None:
            yield from map(self._decode, self._reader.advance(count))
            return
        data = bytes(self._reader.buffers()[0][:count])
        missing = HANDSHAKE_SIZE - len(self._handshake_buffer)
        self._handshake_buffer += data[:missing]
        if not may_be_handshake(self._handshake_buffer):
            raise PeerProtocolError(NOT_A_HANDSHAKE)
        if len(self._handshake_buffer) < HANDSHAKE_SIZE:
            return
        handshake = self._accept_handshake(parse_handshake(bytes(self._handshake_buffer)))
        self._reader.store(data[missing:])
        yield handshake
        yield from map(self._decode, self._reader.advance(0))

    def send(self, message: Message) -> None:
        """Queue a message other than a block."""
        self._queue(pack(message))

    def send_block(self, piece: int, begin: int, span: FileSpan) -> None:
        """Queue a block whose data is ``span``."""
        self._queue(pack_block_head(piece, begin, span.length))
        self.output.append(span)
        self.pending_bytes += span.length

    def send_initial_state(self, held: PieceSet | None, metadata_size: int) -> None:
        """Queue what follows the handshake: held pieces and the extension handshake.

        ``held`` is None if the pieces are unknown.
        """
        if self.fast:
            # BEP 6 wants exactly one of these three messages first.
            if held is None or not len(held):
                self.send(HaveNone())
            elif held.is_full:
                self.send(HaveAll())
            else:
                self.send(Bitfield(held.bitfield()))
        elif held is not None and len(held):
            self.send(Bitfield(held.bitfield()))
        self.send_extension_handshake(metadata_size)

    def send_extension_handshake(self, metadata_size: int) -> None:
        """Queue an extension handshake if the remote peer supports BEP 10.

        A later extension handshake replaces the first.
        """
        if self.remote_handshake is None or not self.remote_handshake.extended:
            return
        identity = self._identity
        handshake = ExtensionHandshake(
            METADATA_ID,
            metadata_size,
            CLIENT_NAME,
            MAX_REQUESTS,
            identity.max_block,
            OFFER_ID if identity.uses_credits else 0,
            True,
            identity.name,
            identity.port,
        )
        self.send(Extended(HANDSHAKE_ID, pack_extension_handshake(handshake)))

    def send_metadata(self, metadata: Metadata) -> None:
        """Queue a metadata message if the remote peer supports BEP 9."""
        if self.remote_extension and self.remote_extension.metadata_id:
            self.send(Extended(self.remote_extension.metadata_id, pack_metadata(metadata)))

    @property
    def partial_message_bytes(self) -> int:
        """Bytes received of a message that is not complete yet."""
        return self._reader.begun

    @property
    def partial_block_bytes(self) -> int:
        """Bytes received of a requested large block that is not complete yet."""
        return self._reader.begun_block

    @property
    def has_block_data(self) -> bool:
        """Whether :attr:`output` contains the data of a block."""
        return any(isinstance(item, FileSpan) for item in self.output)

    @property
    def remote_uses_credits(self) -> bool:
        """Whether the remote peer requests pieces only after :meth:`send_credit`."""
        return self.remote_extension is not None and self.remote_extension.offer_id > 0

    @property
    def needs_credits(self) -> bool:
        """Whether the local peer requests pieces only after the remote peer's credits."""
        return self._identity.uses_credits and self.remote_extension is not None and self.remote_extension.makes_offers

    def send_credit(self) -> None:
        """Queue a credit: the remote peer may request one more piece."""
        assert self.remote_extension is not None
        self.send(Extended(self.remote_extension.offer_id, b""))

    def max_block_size(self) -> int:
        """Return the size of the largest block to request from the remote peer.

        The size is 16 KiB unless the remote peer sends larger blocks.
        """
        return self.remote_extension.block if self.remote_extension else BLOCK

    def data_sent(self, count: int) -> None:
        """Count bytes that the transport has sent and removed from :attr:`output`."""
        self.pending_bytes -= count
        self.sent_bytes += count

    def _accept_handshake(self, handshake: Handshake) -> Handshake:
        if handshake.info_hash != self._info_hash:
            raise PeerProtocolError("the handshake is for another info-hash")
        if handshake.peer_id == self._peer_id:
            raise SelfConnectionError("the peer has connected to itself")
        self.remote_handshake = handshake
        if not self.initiator:
            self._send_handshake()
        return handshake

    def _send_handshake(self) -> None:
        self._queue(pack_handshake(Handshake(self._info_hash, self._peer_id)))

    def _queue(self, data: bytes) -> None:
        self.output.append(data)
        self.pending_bytes += len(data)

    def _decode(self, message: Message) -> PeerProtocolEvent:
        if not isinstance(message, Extended):
            return message
        if message.id == HANDSHAKE_ID:
            self.remote_extension = parse_extension_handshake(message.payload)
            return self.remote_extension
        if message.id == METADATA_ID:
            return parse_metadata(message.payload) or message
        if message.id == OFFER_ID and self._identity.uses_credits:
            return Credit()
        return message
