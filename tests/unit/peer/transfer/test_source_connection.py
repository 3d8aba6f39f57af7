"""A download's connection to its source on loopback, with a clock that stands still."""

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


class Ends:
    """A source connection and a plain socket at its other end."""

    def __init__(self) -> None:
        self.now = NOW
        self.expected = 0
        self.heard: list[PeerProtocolEvent] = []
        self.failed: list[str] = []
        self.selector = selectors.DefaultSelector()
        self.link = SourceConnection(
            self.selector,
            "127.0.0.1",
            LEECH_ID,
            self._connected,
            lambda event, now: self._take(event),
            lambda reason, now: self.failed.append(reason),
            lambda: self.expected,
        )
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.link.open(Endpoint(*listener.getsockname()), INFO_HASH, 5.0, NOW)
            self.other, _ = listener.accept()
        self.other.settimeout(DEADLINE_S)
        self.turn()
        assert len(self.other.recv(HANDSHAKE_SIZE, socket.MSG_WAITALL)) == HANDSHAKE_SIZE
        self.say(pack_handshake(Handshake(INFO_HASH, SEED_ID)))
        self.heard.clear()

    def _connected(self, protocol: PeerProtocol, now: float) -> None:
        protocol.set_block_buffers(lambda piece, begin, length: memoryview(bytearray(length)))

    def _take(self, event: PeerProtocolEvent) -> None:
        if isinstance(event, Block):
            self.expected -= len(event.data)
        self.heard.append(event)

    def turn(self) -> None:
        """Run one iteration of the loop; if no socket is ready, the clock jumps to the next deadline."""
        due = self.link.due()
        ready = self.selector.select(DEADLINE_S if due is None else QUIET_S)
        if not ready:
            assert due is not None, "nothing came"
            self.now = due
        for key, mask in ready:
            key.data(mask, self.now)
        self.link.tick(self.now)

    def say(self, data: bytes) -> None:
        """Send from the other end, and receive it."""
        self.other.sendall(data)
        self.turn()

    def close(self) -> None:
        self.link.close()
        self.other.close()
        self.selector.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


def stream(ends: Ends, count: int) -> None:
    """The first ``count`` bytes of a block arrive at once."""
    ends.other.sendall(pack_block_head(0, 0, SIZE) + bytes(count))
    while ends.link.due() is None:
        ends.turn()


def test_the_last_block_is_received_without_a_timeout(ends: Ends) -> None:
    ends.expected = SIZE
    stream(ends, 2 * BULK_THRESHOLD)
    ends.other.sendall(bytes(SIZE - 2 * BULK_THRESHOLD))
    while not ends.heard:
        ends.turn()
    assert isinstance(ends.heard[0], Block)
    assert ends.now == NOW


def test_a_short_message_among_many_blocks_waits_briefly(ends: Ends) -> None:
    ends.expected = 2 * SIZE
    stream(ends, 2 * BULK_THRESHOLD)
    ends.other.sendall(bytes(SIZE - 2 * BULK_THRESHOLD) + pack(Choke()))
    while len(ends.heard) < 2:
        ends.turn()
    assert isinstance(ends.heard[0], Block)
    assert ends.heard[1] == Choke()
    assert ends.now == NOW + LOW_WATER_TIMEOUT


def test_a_short_message_alone_is_received_at_once(ends: Ends) -> None:
    ends.expected = 10 * SIZE
    for word in (Unchoke(), Choke(), Unchoke()):
        ends.say(pack(word))
        assert ends.link.due() is None
    assert ends.heard == [Unchoke(), Choke(), Unchoke()]


def test_the_end_is_noticed_while_many_bytes_are_expected(ends: Ends) -> None:
    ends.expected = SIZE
    stream(ends, 2 * BULK_THRESHOLD)
    ends.other.close()
    while not ends.failed:
        ends.turn()
    assert ends.failed == ["closed the connection"]
