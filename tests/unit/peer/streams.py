"""Both ends of a peer connection, over a fake stream.

The stream splits the bytes anywhere.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from torrentnet.peer.storage.file_store import FileStore, open_complete
from torrentnet.peer.transfer.fetcher import FetcherEvent, PieceReceived
from torrentnet.peer.transfer.metadata_exchange import MetadataReceived
from torrentnet.peer.transfer.protocol import FileSpan, PeerProtocol
from torrentnet.peer.transfer.source_fetcher import SourceFetcher
from torrentnet.peer.transfer.upload import Upload
from torrentnet.wire.info import Info, make_info
from torrentnet.wire.peer.extension_protocol import (
    METADATA_ID,
    ExtensionHandshake,
    Metadata,
    MetadataKind,
    pack_extension_handshake,
    pack_metadata,
)
from torrentnet.wire.peer.handshake import Handshake, pack_handshake
from torrentnet.wire.peer.message_reader import MessageReader
from torrentnet.wire.peer.messages import Block, Extended, HaveAll, Message, pack, pack_block_head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.wire.piece_set import PieceSet

SEED_ID = b"-NL0100-the-seeder--"
LEECH_ID = b"-NL0100-the-leecher-"
PIECE = 32 * 1024
BULK = 256 * 1024

M = TypeVar("M")


def content(size: int, seed: int = 1) -> bytes:
    """Return ``size`` bytes, the same for the same ``seed``."""
    return random.Random(seed).randbytes(size)


def info_of(data: bytes, piece_length: int = PIECE, name: str = "myfile.txt") -> Info:
    """Return the info dictionary of ``data``."""
    hashes = b"".join(
        hashlib.sha1(data[start : start + piece_length], usedforsecurity=False).digest()
        for start in range(0, len(data), piece_length)
    )
    return make_info(name, len(data), piece_length, hashes)


def make_store(path: Path, data: bytes, piece_length: int = PIECE) -> FileStore:
    """Write ``data`` into a file, and open that for sharing."""
    path.write_bytes(data)
    return open_complete(path, piece_length, lambda done, size: None, lambda: False)


def whole(data: bytes) -> Iterator[bytes]:
    """Yield the data in one piece."""
    yield data


def bytewise(data: bytes) -> Iterator[bytes]:
    """Yield the data byte by byte."""
    for start in range(len(data)):
        yield data[start : start + 1]


def cut_at(position: int) -> Callable[[bytes], Iterator[bytes]]:
    """Return a splitter that cuts the data at ``position``."""

    def chunks(data: bytes) -> Iterator[bytes]:
        yield from (part for part in (data[:position], data[position:]) if part)

    return chunks


def at_random(seed: int) -> Callable[[bytes], Iterator[bytes]]:
    """Return a splitter that cuts the data at random, often into small pieces."""
    rng = random.Random(seed)

    def chunks(data: bytes) -> Iterator[bytes]:
        start = 0
        while start < len(data):
            size = int(10 ** rng.uniform(0, 5))
            yield data[start : start + size]
            start += size

    return chunks


def drained(protocol: PeerProtocol) -> bytes:
    """Return the whole output, as the kernel would send it."""
    parts: list[bytes] = []
    while protocol.output:
        head = protocol.output.popleft()
        parts.append(os.pread(head.descriptor, head.length, head.offset) if isinstance(head, FileSpan) else head)
    data = b"".join(parts)
    protocol.data_sent(len(data))
    assert protocol.pending_bytes == 0
    return data


def pour(protocol: PeerProtocol, data: bytes) -> Iterator[PeerProtocolEvent]:
    """Receive ``data`` as from a socket: into the protocol's own buffer."""
    while data:
        room = protocol.buffers()[0]
        count = min(len(room), len(data))
        room[:count] = data[:count]
        data = data[count:]
        yield from protocol.data_received(count)


class Seed:
    """The serving end."""

    def __init__(self, store: FileStore, now: float = 0.0, peer_id: bytes = SEED_ID) -> None:
        info = store.info
        self.protocol = PeerProtocol(info.info_hash, peer_id, initiator=False, pieces=info.pieces)
        self.upload = Upload(self.protocol, store, now)

    def receive(self, data: bytes, now: float = 0.0) -> None:
        for event in pour(self.protocol, data):
            self.upload.handle(event, now)
        self.upload.fill_output()

    def output(self) -> bytes:
        """Return the output, until nothing more is pending."""
        said = b""
        while self.protocol.output:
            said += drained(self.protocol)
            self.upload.fill_output()
        return said


class Asking:
    """The other end of a :class:`Seed`.

    It sends the messages that a test wants, and reads the replies.
    """

    def __init__(self, store: FileStore, *, fast: bool = True) -> None:
        info_hash = store.info.info_hash
        self.seed = Seed(store)
        self._reader = PeerProtocol(info_hash, LEECH_ID, initiator=True, buffer_size=BULK)
        drained(self._reader)
        self.seed.receive(pack_handshake(Handshake(info_hash, LEECH_ID, fast=fast)))

    def tell(self, *messages: Message, now: float = 0.0) -> None:
        """Send messages, all at once."""
        self.seed.receive(b"".join(map(pack, messages)), now)

    def listen(self) -> list[PeerProtocolEvent]:
        """Return the messages since the last call.

        Blocks are copies, so that they can be kept.
        """
        return [
            event._replace(data=memoryview(bytes(event.data))) if isinstance(event, Block) else event
            for event in pour(self._reader, self.seed.output())
        ]


class Leech:
    """The downloading end of a peer connection.

    It opens its file at once, keeps the pieces in memory and checks their hashes.
    """

    def __init__(
        self,
        info_hash: bytes,
        pieces: Iterable[int] | None = None,
        *,
        info: Info | None = None,
        stall: float = 15.0,
        now: float = 0.0,
        opens: bool = True,
    ) -> None:
        self.protocol = PeerProtocol(info_hash, LEECH_ID, initiator=True, buffer_size=BULK)
        self.fetch = SourceFetcher(self.protocol, info_hash, info, self._next, stall, now)
        self.todo: deque[int] | None = None if pieces is None else deque(pieces)
        self.got: dict[int, bytes] = {}
        self.bad: list[int] = []
        self.info: Info | None = None
        self._opens = opens
        if info is not None:
            self.open(info, now)

    def open(self, info: Info, now: float = 0.0) -> None:
        self.info = info
        if self.todo is None:
            self.todo = deque(range(info.pieces))
        self.fetch.start(info, now)

    def _next(self, theirs: PieceSet) -> int | None:
        assert self.todo is not None
        for piece in self.todo:
            if piece in theirs:
                self.todo.remove(piece)
                return piece
        return None

    def receive(self, data: bytes, now: float = 0.0) -> None:
        for event in pour(self.protocol, data):
            for result in self.fetch.handle(event, now):
                self._keep(result, now)

    def _keep(self, result: FetcherEvent, now: float) -> None:
        if isinstance(result, MetadataReceived):
            if self._opens:
                self.open(result.info, now)
            return
        assert isinstance(result, PieceReceived)
        assert self.info is not None
        assert result.piece not in self.got
        data = bytes(result.data)
        if hashlib.sha1(data, usedforsecurity=False).digest() == self.info.piece_hash(result.piece):
            self.got[result.piece] = data
        else:
            self.bad.append(result.piece)

    def output(self) -> bytes:
        return drained(self.protocol)

    @property
    def data(self) -> bytes:
        """The received pieces, joined."""
        return b"".join(self.got[piece] for piece in sorted(self.got))


def converse(leech: Leech, seed: Seed, chunks: Callable[[bytes], Iterable[bytes]] = whole, now: float = 0.0) -> None:
    """Carry bytes in both directions until both ends are silent."""
    while True:
        there, back = leech.output(), seed.output()
        if not there and not back:
            return
        for chunk in chunks(there):
            seed.receive(chunk, now)
        for chunk in chunks(back):
            leech.receive(chunk, now)


class Script:
    """A source that sends exactly what the test wants, and parses the requests."""

    def __init__(
        self,
        leech: Leech,
        info: Info,
        *,
        fast: bool = True,
        extended: bool = True,
        peer_id: bytes = SEED_ID,
        greet: bool = True,
    ) -> None:
        self.leech = leech
        self.info = info
        self.fast = fast
        self._reader = MessageReader(1 << 20)
        self._greeting = b""
        self.heard: list[Message] = []
        self.now = 0.0
        self.listen()
        if greet:
            self.raw(pack_handshake(Handshake(info.info_hash, peer_id, extended=extended, fast=fast)))

    def raw(self, data: bytes) -> None:
        """Send bytes, then read the reply."""
        self.leech.receive(data, self.now)
        self.listen()

    def say(self, *messages: Message) -> None:
        """Send messages, one after the other."""
        for message in messages:
            self.raw(pack(message))

    def offer(
        self, metadata_size: int | None = None, *, metadata_id: int = METADATA_ID, block: int = 16_384, name: str = ""
    ) -> None:
        """Send the extension handshake; with a name, as our own peers do."""
        size = len(self.info.raw) if metadata_size is None else metadata_size
        handshake = ExtensionHandshake(metadata_id, size, "script", 250, block, name=name)
        self.say(Extended(0, pack_extension_handshake(handshake)))

    def block(self, piece: int, begin: int, data: bytes) -> None:
        """Send a block."""
        self.raw(pack_block_head(piece, begin, len(data)) + data)

    def give_info(self, part: int, data: bytes, kind: MetadataKind = MetadataKind.DATA) -> None:
        """Send a part of the info dictionary, or a message that looks like one."""
        self.say(Extended(METADATA_ID, pack_metadata(Metadata(kind, part, len(self.info.raw), data))))

    def listen(self) -> None:
        data = self.leech.output()
        if len(self._greeting) < 68:
            missing = 68 - len(self._greeting)
            self._greeting += data[:missing]
            data = data[missing:]
        # Copies: a reader's messages are valid until it is fed again.
        self.heard.extend(self._reader.feed(data))

    def of(self, kind: type[M]) -> list[M]:
        """Return the received messages of one kind."""
        return [message for message in self.heard if isinstance(message, kind)]


def wanting(info: Info, metadata_size: int | None = None) -> Script:
    """Return a source from which the info dictionary was requested."""
    script = Script(Leech(info.info_hash), info)
    script.say(HaveAll())
    script.offer(metadata_size)
    return script
