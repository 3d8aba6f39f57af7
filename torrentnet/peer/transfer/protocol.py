"""One TCP connection between two peers: handshakes, framing, and what waits to be sent. No socket in here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

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
from torrentnet.wire.peer.handshake import HANDSHAKE_SIZE, Handshake, may_be_handshake, pack_handshake, parse_handshake
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

CLIENT_NAME = "torrentnet 0.1.0"
_MIN_MESSAGE_LIMIT = 64 * 1024
"""Largest message that an uploader believes, unless the bitfield of its file is larger."""


class FileSpan(NamedTuple):
    """Bytes of an open file that are to be sent; the kernel takes them from there."""

    descriptor: int
    offset: int
    length: int


class Credit(NamedTuple):
    """The other side will serve one more piece, now (our own extension, ``tn_offer``)."""


@dataclass(frozen=True, slots=True)
class LocalIdentity:
    """What we tell of ourselves besides the pieces that we hold."""

    name: str = ""
    port: int = 0
    """The TCP port that we listen on; 0 says nothing."""
    uses_credits: bool = False
    """Whether we ask for a piece only after an offer, from those who make them."""


class SelfConnectionError(PeerProtocolError):
    """The other end is this very peer."""


PeerProtocolEvent: TypeAlias = Handshake | ExtensionHandshake | Metadata | Credit | Message


class PeerProtocol:
    """Both ends of BEP 3's connection.

    The shell receives into :meth:`buffers`, calls :meth:`received`, and sends what is in :attr:`output`, in order.
    What comes is handed out as events: the other side's :class:`Handshake` first, its
    :class:`ExtensionHandshake` and :class:`Metadata` messages decoded, everything else as it is.
    ``bulk`` is how many bytes the reader takes at once, for the side that downloads.
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
        """Whether it was us who opened the connection."""
        self._info_hash = info_hash
        self._peer_id = peer_id
        limit = max(_MIN_MESSAGE_LIMIT, pieces // 8 + 2, MAX_BLOCK + BLOCK_HEAD if buffer_size else 0)
        self._reader = MessageReader(limit, max(buffer_size, 0))
        self._handshake_buffer = bytearray()
        self.remote_handshake: Handshake | None = None
        """What the other side said first; None until it did."""
        self.remote_extension: ExtensionHandshake | None = None
        """What the other side can do besides; None until it said so."""
        self.output: deque[bytes | FileSpan] = deque()
        self.pending_bytes = 0
        """Bytes in :attr:`output`."""
        self.received_bytes = 0
        self.sent_bytes = 0
        if initiator:
            self._send_handshake()

    @property
    def fast(self) -> bool:
        """Whether both sides speak BEP 6 (we always do)."""
        return self.remote_handshake is not None and self.remote_handshake.fast

    def set_block_buffers(self, buffer_for: Callable[[int, int, int], memoryview | None]) -> None:
        """Let ``place`` name the memory for the data of large blocks; see :attr:`MessageReader.block_buffer`."""
        self._reader.block_buffer = buffer_for

    def buffers(self) -> tuple[memoryview, ...]:
        """Where the next bytes from the other side go, in order; the first is never empty."""
        return self._reader.buffers()

    def data_received(self, count: int) -> Iterator[PeerProtocolEvent]:
        """``count`` bytes were put into :meth:`buffers`. Exhaust it before receiving again.

        Raises :class:`PeerProtocolError` for whatever makes going on senseless.
        """
        self.received_bytes += count
        if self.remote_handshake is not None:
            yield from map(self._decode, self._reader.advance(count))
            return
        data = bytes(self._reader.buffers()[0][:count])
        yield from self.feed(data, counted=True)

    def feed(self, data: bytes, *, counted: bool = False) -> Iterator[PeerProtocolEvent]:
        """Like :meth:`buffers` and :meth:`received` in one, for bytes that are somewhere else."""
        if not counted:
            self.received_bytes += len(data)
        if self.remote_handshake is None:
            missing = HANDSHAKE_SIZE - len(self._handshake_buffer)
            self._handshake_buffer += data[:missing]
            data = data[missing:]
            if not may_be_handshake(self._handshake_buffer):
                raise PeerProtocolError("the first bytes are not a BitTorrent handshake")
            if len(self._handshake_buffer) < HANDSHAKE_SIZE:
                return
            yield self._accept_handshake(parse_handshake(bytes(self._handshake_buffer)))
        for message in self._reader.feed(data):
            yield self._decode(message)

    def send(self, message: Message) -> None:
        """Queue any message but a block."""
        self._queue(pack(message))

    def send_block(self, piece: int, begin: int, span: FileSpan) -> None:
        """Queue a block whose data is in a file."""
        self._queue(pack_block_head(piece, begin, span.length))
        self.output.append(span)
        self.pending_bytes += span.length

    def send_initial_state(self, held: PieceSet | None, metadata_size: int) -> None:
        """Queue what follows the handshakes: what we hold (None: not known yet), and what we can do besides."""
        other = self.remote_handshake
        assert other is not None
        if other.fast:
            # BEP 6: exactly one of the three comes first.
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
        """Queue what we can do besides BEP 3, if the other side speaks BEP 10; what is said again takes its place."""
        if self.remote_handshake is None or not self.remote_handshake.extended:
            return
        of_us = self._identity
        ours = ExtensionHandshake(
            METADATA_ID,
            metadata_size,
            CLIENT_NAME,
            MAX_REQUESTS,
            MAX_BLOCK,
            OFFER_ID if of_us.uses_credits else 0,
            True,
            of_us.name,
            of_us.port,
        )
        self.send(Extended(HANDSHAKE_ID, pack_extension_handshake(ours)))

    def send_metadata(self, metadata: Metadata) -> None:
        """Queue a BEP 9 message, if the other side takes them."""
        if self.remote_extension and self.remote_extension.metadata_id:
            self.send(Extended(self.remote_extension.metadata_id, pack_metadata(metadata)))

    @property
    def partial_message_bytes(self) -> int:
        """Bytes that are here of a message that is not wholly here."""
        return self._reader.begun

    @property
    def has_block_data(self) -> bool:
        """Whether data of blocks is in :attr:`output`, and not only words."""
        return any(isinstance(item, FileSpan) for item in self.output)

    @property
    def remote_uses_credits(self) -> bool:
        """Whether the other side asks for pieces only after :meth:`send_offer`."""
        return self.remote_extension is not None and self.remote_extension.offer_id > 0

    @property
    def needs_credits(self) -> bool:
        """Whether we ask the other side for pieces only after its offers."""
        return self._identity.uses_credits and self.remote_extension is not None and self.remote_extension.makes_offers

    def send_credit(self) -> None:
        """Tell the other side that it may ask for one more piece."""
        assert self.remote_extension is not None
        self.send(Extended(self.remote_extension.offer_id, b""))

    def max_block_size(self) -> int:
        """The largest block (bytes) that may be asked for: 16 KiB unless the other side said otherwise."""
        return self.remote_extension.block if self.remote_extension else BLOCK

    def data_sent(self, count: int) -> None:
        """The shell has sent ``count`` bytes of what was in :attr:`output` and taken them out."""
        self.pending_bytes -= count
        self.sent_bytes += count

    def _accept_handshake(self, other: Handshake) -> Handshake:
        if other.info_hash != self._info_hash:
            raise PeerProtocolError("asks for another info-hash")
        if other.peer_id == self._peer_id:
            raise SelfConnectionError("the other end is this peer itself")
        self.remote_handshake = other
        if not self.initiator:
            self._send_handshake()
        return other

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
