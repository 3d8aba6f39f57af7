"""A download's connection to its source on loopback, in virtual time."""

from __future__ import annotations

import selectors
import socket
from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.streams import LEECH_ID, SEED_ID
from torrentnet.peer.transfer.source_connection import BULK_THRESHOLD, LOW_WATER_TIMEOUT, SourceConnection
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.peer.handshake import HANDSHAKE_SIZE, Handshake, pack_handshake
from torrentnet.wire.peer.messages import Block, Choke, Unchoke, pack, pack_block_head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.peer.transfer.protocol import PeerProtocol, PeerProtocolEvent

NOW = 100.0
DEADLINE_S = 20.0
QUIET_S = 1.0
INFO_HASH = bytes(range(20))
SIZE = 4 * BULK_THRESHOLD


class Loop:
    """A source connection, its loop, and a plain socket at its other end."""

    def __init__(self) -> None:
        self.now = NOW
        self.expected = 0
        self.events: list[PeerProtocolEvent] = []
        self.failed: list[str] = []
        self.selector = selectors.DefaultSelector()
        self.connection = SourceConnection(
            self.selector,
            "127.0.0.1",
            LEECH_ID,
            self._on_connected,
            self._on_event,
            lambda reason, now: self.failed.append(reason),
            lambda: self.expected,
        )
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.connection.open(Endpoint(*listener.getsockname()), INFO_HASH, 5.0, NOW)
            self.other, _ = listener.accept()
        self.other.settimeout(DEADLINE_S)
        self.run_once()
        assert len(self.other.recv(HANDSHAKE_SIZE, socket.MSG_WAITALL)) == HANDSHAKE_SIZE
        self.send(pack_handshake(Handshake(INFO_HASH, SEED_ID)))
        self.events.clear()

    def _on_connected(self, protocol: PeerProtocol, now: float) -> None:
        protocol.set_block_buffers(lambda piece, begin, length: memoryview(bytearray(length)))

    def _on_event(self, event: PeerProtocolEvent, now: float) -> None:
        if isinstance(event, Block):
            self.expected -= len(event.data)
        self.events.append(event)

    def run_once(self) -> None:
        """Run one iteration of the loop.

        If no socket is ready, advance the clock to the next deadline.
        """
        due = self.connection.due()
        ready = self.selector.select(DEADLINE_S if due is None else QUIET_S)
        if not ready:
            assert due is not None, "nothing was received"
            self.now = due
        for key, mask in ready:
            key.data(mask, self.now)
        self.connection.tick(self.now)

    def send(self, data: bytes) -> None:
        """Send from the other end, and receive it."""
        self.other.sendall(data)
        self.run_once()

    def close(self) -> None:
        self.connection.close()
        self.other.close()
        self.selector.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def send_block_part(loop: Loop, count: int) -> None:
    """Send the first ``count`` bytes of a block, and receive them."""
    loop.other.sendall(pack_block_head(0, 0, SIZE) + bytes(count))
    while loop.connection.due() is None:
        loop.run_once()


def test_the_last_block_is_received_without_a_timeout(loop: Loop) -> None:
    loop.expected = SIZE
    send_block_part(loop, 2 * BULK_THRESHOLD)
    loop.other.sendall(bytes(SIZE - 2 * BULK_THRESHOLD))
    while not loop.events:
        loop.run_once()
    assert isinstance(loop.events[0], Block)
    assert loop.now == NOW


def test_a_short_message_among_many_blocks_waits_briefly(loop: Loop) -> None:
    loop.expected = 2 * SIZE
    send_block_part(loop, 2 * BULK_THRESHOLD)
    loop.other.sendall(bytes(SIZE - 2 * BULK_THRESHOLD) + pack(Choke()))
    while len(loop.events) < 2:
        loop.run_once()
    assert isinstance(loop.events[0], Block)
    assert loop.events[1] == Choke()
    assert loop.now == NOW + LOW_WATER_TIMEOUT


def test_a_short_message_alone_is_received_at_once(loop: Loop) -> None:
    loop.expected = 10 * SIZE
    for message in (Unchoke(), Choke(), Unchoke()):
        loop.send(pack(message))
        assert loop.connection.due() is None
    assert loop.events == [Unchoke(), Choke(), Unchoke()]


def test_a_closed_connection_fails_while_bytes_are_expected(loop: Loop) -> None:
    loop.expected = SIZE
    send_block_part(loop, 2 * BULK_THRESHOLD)
    loop.other.close()
    while not loop.failed:
        loop.run_once()
    assert loop.failed == ["closed the connection"]
