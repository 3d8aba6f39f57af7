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
    offers: bool = False
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
        bulk: int = 0,
        of_us: LocalIdentity | None = None,
    ) -> None:
        self._of_us = of_us or LocalIdentity()
        self.initiator = initiator
        """Whether it was us who opened the connection."""
        self._info_hash = info_hash
        self._peer_id = peer_id
        limit = max(_MIN_MESSAGE_LIMIT, pieces // 8 + 2, MAX_BLOCK + BLOCK_HEAD if bulk else 0)
        self._reader = MessageReader(limit, max(bulk, 0))
        self._greeting = bytearray()
        self.other: Handshake | None = None
        """What the other side said first; None until it did."""
        self.extension: ExtensionHandshake | None = None
        """What the other side can do besides; None until it said so."""
        self.output: deque[bytes | FileSpan] = deque()
        self.waiting = 0
        """Bytes in :attr:`output`."""
        self.received_bytes = 0
        self.sent_bytes = 0
        if initiator:
            self._greet()

    @property
    def fast(self) -> bool:
        """Whether both sides speak BEP 6 (we always do)."""
        return self.other is not None and self.other.fast

    def place_blocks(self, place: Callable[[int, int, int], memoryview | None]) -> None:
        """Let ``place`` name the memory for the data of large blocks; see :attr:`MessageReader.place`."""
        self._reader.place = place

    def buffers(self) -> tuple[memoryview, ...]:
        """Where the next bytes from the other side go, in order; the first is never empty."""
        return self._reader.buffers()

    def received(self, count: int) -> Iterator[PeerProtocolEvent]:
        """``count`` bytes were put into :meth:`buffers`. Exhaust it before receiving again.

        Raises :class:`PeerProtocolError` for whatever makes going on senseless.
        """
        self.received_bytes += count
        if self.other is not None:
            yield from map(self._open, self._reader.advance(count))
            return
        data = bytes(self._reader.buffers()[0][:count])
        yield from self.feed(data, counted=True)

    def feed(self, data: bytes, *, counted: bool = False) -> Iterator[PeerProtocolEvent]:
        """Like :meth:`buffers` and :meth:`received` in one, for bytes that are somewhere else."""
        if not counted:
            self.received_bytes += len(data)
        if self.other is None:
            missing = HANDSHAKE_SIZE - len(self._greeting)
            self._greeting += data[:missing]
            data = data[missing:]
            if not may_be_handshake(self._greeting):
                raise PeerProtocolError("what came first is no BitTorrent handshake")
            if len(self._greeting) < HANDSHAKE_SIZE:
                return
            yield self._meet(parse_handshake(bytes(self._greeting)))
        for message in self._reader.feed(data):
            yield self._open(message)

    def send(self, message: Message) -> None:
        """Queue any message but a block."""
        self._put(pack(message))

    def send_block(self, piece: int, begin: int, span: FileSpan) -> None:
        """Queue a block whose data is in a file."""
        self._put(pack_block_head(piece, begin, span.length))
        self.output.append(span)
        self.waiting += span.length

    def send_introduction(self, held: PieceSet | None, metadata_size: int) -> None:
        """Queue what follows the handshakes: what we hold (None: not known yet), and what we can do besides."""
        other = self.other
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
        self.send_abilities(metadata_size)

    def send_abilities(self, metadata_size: int) -> None:
        """Queue what we can do besides BEP 3, if the other side speaks BEP 10; what is said again takes its place."""
        if self.other is None or not self.other.extended:
            return
        of_us = self._of_us
        ours = ExtensionHandshake(
            METADATA_ID,
            metadata_size,
            CLIENT_NAME,
            MAX_REQUESTS,
            MAX_BLOCK,
            OFFER_ID if of_us.offers else 0,
            True,
            of_us.name,
            of_us.port,
        )
        self.send(Extended(HANDSHAKE_ID, pack_extension_handshake(ours)))

    def send_metadata(self, metadata: Metadata) -> None:
        """Queue a BEP 9 message, if the other side takes them."""
        if self.extension and self.extension.metadata_id:
            self.send(Extended(self.extension.metadata_id, pack_metadata(metadata)))

    @property
    def begun(self) -> int:
        """Bytes that are here of a message that is not wholly here."""
        return self._reader.begun

    @property
    def has_blocks(self) -> bool:
        """Whether data of blocks is in :attr:`output`, and not only words."""
        return any(isinstance(item, FileSpan) for item in self.output)

    @property
    def takes_offers(self) -> bool:
        """Whether the other side asks for pieces only after :meth:`send_offer`."""
        return self.extension is not None and self.extension.offer_id > 0

    @property
    def waits_for_offers(self) -> bool:
        """Whether we ask the other side for pieces only after its offers."""
        return self._of_us.offers and self.extension is not None and self.extension.makes_offers

    def send_offer(self) -> None:
        """Tell the other side that it may ask for one more piece."""
        assert self.extension is not None
        self.send(Extended(self.extension.offer_id, b""))

    def largest_block(self) -> int:
        """The largest block (bytes) that may be asked for: 16 KiB unless the other side said otherwise."""
        return self.extension.block if self.extension else BLOCK

    def sent(self, count: int) -> None:
        """The shell has sent ``count`` bytes of what was in :attr:`output` and taken them out."""
        self.waiting -= count
        self.sent_bytes += count

    def _meet(self, other: Handshake) -> Handshake:
        if other.info_hash != self._info_hash:
            raise PeerProtocolError("asks for another info-hash")
        if other.peer_id == self._peer_id:
            raise SelfConnectionError("the other end is this peer itself")
        self.other = other
        if not self.initiator:
            self._greet()
        return other

    def _greet(self) -> None:
        self._put(pack_handshake(Handshake(self._info_hash, self._peer_id)))

    def _put(self, data: bytes) -> None:
        self.output.append(data)
        self.waiting += len(data)

    def _open(self, message: Message) -> PeerProtocolEvent:
        if not isinstance(message, Extended):
            return message
        if message.id == HANDSHAKE_ID:
            self.extension = parse_extension_handshake(message.payload)
            return self.extension
        if message.id == METADATA_ID:
            return parse_metadata(message.payload) or message
        if message.id == OFFER_ID and self._of_us.offers:
            return Credit()
        return message
