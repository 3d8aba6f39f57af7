"""Raw sockets against the real peer.

A client, a seed and a tracker do what the test wants.
Every wait has a deadline; none is a measurement.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self, TypeVar

from tests.unit.peer.streams import content, info_of
from tests.unit.peer.trackers import ScriptedTracker
from torrentnet.wire.endpoint import Endpoint, pack_endpoint
from torrentnet.wire.peer.extension_protocol import (
    METADATA_ID,
    METADATA_PIECE,
    ExtensionHandshake,
    Metadata,
    MetadataKind,
    pack_extension_handshake,
    pack_metadata,
    parse_extension_handshake,
    parse_metadata,
)
from torrentnet.wire.peer.handshake import HANDSHAKE_SIZE, Handshake, pack_handshake, parse_handshake
from torrentnet.wire.peer.message_reader import MessageReader
from torrentnet.wire.peer.messages import Extended, HaveAll, Message, Request, Unchoke, pack, pack_block_head
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.lookup import HolderPage, LookupHolder, LookupReply, pack_lookup_page
from torrentnet.wire.udp.packets import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.loopback.programs import Program
    from torrentnet.wire.info import Info

DEADLINE_S = 60.0
NAME = "myfile.txt"
PIECE = 32 * 1024
KEEPALIVE_MS = 200

M = TypeVar("M")


def info_for(size: int, piece_length: int = PIECE) -> tuple[bytes, Info]:
    """Return the bytes of a file and their info dictionary."""
    data = content(size)
    return data, info_of(data, piece_length, NAME)


def endpoint_of(program: Program) -> tuple[str, int]:
    """Return where a program listens."""
    host, port = program.address.split(":")
    return host, int(port)


class Wire:
    """A connected socket with the framing of the peer protocol."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(DEADLINE_S)
        self._reader = MessageReader(1 << 20)
        self.heard: list[Message] = []
        self._unread: list[Message] = []
        self.remote: Handshake | None = None

    @classmethod
    def connect(cls, program: Program) -> Wire:
        """Connect to a peer's process."""
        return cls(socket.create_connection(endpoint_of(program), DEADLINE_S))

    @classmethod
    def greet(
        cls,
        program: Program,
        info_hash: bytes,
        peer_id: bytes = b"-XX0000-raw-socket--",
        *,
        fast: bool = True,
        extended: bool = True,
    ) -> Wire:
        """Connect, and exchange handshakes."""
        wire = cls.connect(program)
        wire.raw(pack_handshake(Handshake(info_hash, peer_id, extended=extended, fast=fast)))
        wire.receive_handshake()
        return wire

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def raw(self, data: bytes) -> None:
        """Send bytes."""
        self.sock.sendall(data)

    def say(self, *messages: Message) -> None:
        """Send messages in one packet."""
        self.raw(b"".join(map(pack, messages)))

    def flood(self, data: bytes, times: int) -> bool:
        """Send bytes again and again; return whether the peer closes the connection."""
        try:
            for _ in range(times):
                self.sock.sendall(data)
        except OSError:
            return True
        return self.is_closed()

    def extend(self, handshake: ExtensionHandshake) -> None:
        """Send an extension handshake."""
        self.say(Extended(0, pack_extension_handshake(handshake)))

    def block(self, piece: int, begin: int, data: bytes) -> None:
        """Send a block."""
        self.raw(pack_block_head(piece, begin, len(data)) + data)

    def receive_handshake(self) -> Handshake:
        """Wait for the peer's handshake."""
        data = b""
        while len(data) < HANDSHAKE_SIZE:
            more = self.sock.recv(HANDSHAKE_SIZE - len(data))
            assert more, "closed before the handshake"
            data += more
        self.remote = parse_handshake(data)
        return self.remote

    def messages(self) -> Iterator[Message]:
        """Yield messages as they come, until the peer closes the connection."""
        while True:
            while self._unread:
                yield self._unread.pop(0)
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionResetError:
                return
            if not data:
                return
            self._unread = list(self._reader.feed(data))
            self.heard += self._unread

    def until(self, kind: type[M]) -> M:
        """Wait for a message of a kind."""
        for message in self.messages():
            if isinstance(message, kind):
                return message
        raise AssertionError(f"closed before a {kind.__name__}; heard {self.heard[-5:]}")

    def is_closed(self) -> bool:
        """Read to the end; return whether the peer closes the connection."""
        try:
            for _ in self.messages():
                pass
        except TimeoutError:
            return False
        return True


class FakeSeed:
    """A listening socket.

    ``serve`` is called with each connection in a thread of its own.
    """

    def __init__(self, serve: Callable[[Wire], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = Endpoint("127.0.0.1", self._listener.getsockname()[1])
        self._wires: list[Wire] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes the thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for wire in self._wires:
            wire.sock.close()

    @property
    def connections(self) -> int:
        """Number of connections so far."""
        return len(self._wires)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            wire = Wire(sock)
            self._wires.append(wire)
            threading.Thread(target=self._run, args=(wire,), daemon=True).start()

    def _run(self, wire: Wire) -> None:
        # The peer may close the connection, and the test may end, at any moment.
        with contextlib.suppress(OSError, AssertionError):
            self._serve(wire)


def welcome(wire: Wire, info: Info, *, reqq: int = 250, peer_id: bytes = b"-XX0000-fake-seed---") -> None:
    """Answer a handshake as a seed that has everything, and unchoke."""
    wire.receive_handshake()
    wire.raw(pack_handshake(Handshake(info.info_hash, peer_id)))
    wire.say(HaveAll())
    wire.extend(ExtensionHandshake(METADATA_ID, len(info.raw), "fake", reqq))
    wire.say(Unchoke())


def requests(wire: Wire, info: Info) -> Iterator[Request]:
    """Yield the requests for blocks; send the info dictionary meanwhile."""
    metadata_id = 0
    for message in wire.messages():
        if isinstance(message, Request):
            yield message
        elif isinstance(message, Extended) and message.id == 0:
            metadata_id = parse_extension_handshake(message.payload).metadata_id
        elif isinstance(message, Extended) and message.id == METADATA_ID:
            asked = parse_metadata(message.payload)
            if asked is not None and asked.kind is MetadataKind.REQUEST:
                start = asked.piece * METADATA_PIECE
                part = info.raw[start : start + METADATA_PIECE]
                answer = Metadata(MetadataKind.DATA, asked.piece, len(info.raw), part)
                wire.say(Extended(metadata_id or METADATA_ID, pack_metadata(answer)))


class LyingTracker(ScriptedTracker):
    """A tracker on a real socket, which lists what the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.keepalive_ms = KEEPALIVE_MS
        self.info_hash = bytes(20)
        self.size = 0
        self.piece_length = 0
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._sock.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def lists(self, info: Info, *seeds: FakeSeed) -> None:
        """Know a file, which these seeds hold."""
        self.info_hash, self.size, self.piece_length = info.info_hash, info.length, info.piece_length
        self.holders = [LookupHolder(seed.endpoint, f"seed-{number}") for number, seed in enumerate(seeds)]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.sendto(b"", self._sock.getsockname())
        self._thread.join()
        self._sock.close()

    def _serve(self) -> None:
        while data := self._sock.recvfrom(2048):
            if not data[0]:
                return
            if (reply := self.handle(data[0], data[1], 0.0)) is not None:
                self._sock.sendto(reply, data[1])

    def handle(self, data: bytes, source: tuple[str, int], now: float) -> bytes | None:
        """Answer look-ups and announces with the test's values."""
        head = packets.parse_head(data)
        listed = head.action in {Action.ANNOUNCE, Action.LOOKUP} and head.connection_id == self.ids
        usual = super().handle(data, source, now)
        if not listed or usual is None or head.action in self.refuse:
            return usual
        if head.action == Action.ANNOUNCE:
            peers = b"".join(pack_endpoint(holder.endpoint) for holder in self.holders)
            return packets.pack_announce_reply(head.transaction_id, 5, 0, len(self.holders), peers)
        page = HolderPage()
        for holder in self.holders:
            page.add(pack_endpoint(holder.endpoint), holder.name)
        return pack_lookup_page(
            LookupReply(
                head.transaction_id,
                True,
                7,
                self.keepalive_ms,
                2_000,
                self.info_hash,
                self.size,
                self.piece_length,
                len(self.holders),
                0,
                0,
                (),
            ),
            page,
        )
