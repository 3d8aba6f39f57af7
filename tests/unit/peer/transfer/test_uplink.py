"""How little data waits in the kernel, and for which connection."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from torrentnet.peer.transfer.connection import STALL_TIMEOUT, Connection
from torrentnet.peer.transfer.protocol import PeerProtocol
from torrentnet.peer.transfer.uplink import (
    INITIAL_QUEUE_BYTES,
    MIN_QUEUE_BYTES,
    MIN_UNSENT_BYTES,
    POLL_INTERVAL,
    QUEUE_TARGET,
    SEGMENT_PAYLOAD,
    UNSENT_TARGET,
    UNSHAPED_RATE,
    Uplink,
)
from torrentnet.wire.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 1_000_000


@dataclass
class Upload:
    backlog: int = 0
    turns: int = 0
    given: int = 0
    has_granted_requests: bool = True
    has_requests: bool = True

    def promised_bytes(self, _: float) -> int:
        return 0

    def wants_turn(self, _: float, most: int) -> bool:
        return self.given < self.turns and self.backlog < most

    def grant_turn(self, _: float) -> int:
        self.given += 1
        self.backlog += 100_000
        return 100_000


class Talk:
    pending_bytes = 1


@dataclass(eq=False)
class Stub:
    """A connection as the uplink sees it."""

    queued: int = 0
    held: int = 0
    stuck: bool = False
    upload: Upload = field(default_factory=Upload)
    protocol: Talk = field(default_factory=Talk)
    pieces_held: int = 0
    waiting_since: float = 0.0

    def unacknowledged_bytes(self, _: float) -> int:
        return self.queued + self.held

    def queued_on_host(self, _: int) -> int:
        return self.queued

    def unsent_bytes(self) -> int:
        return self.held

    def is_stalled(self, _: float) -> bool:
        return self.stuck


def connection(*args: Any, **kwargs: Any) -> Connection:
    return cast("Connection", Stub(*args, **kwargs))


def uplink(rate: float = RATE) -> Uplink:
    """Return an uplink with a known rate, in bytes a second."""
    one = Uplink(random.Random(1), 0.0)
    one.choking = True
    busy = connection(upload=Upload(backlog=1))
    if rate:
        for step in range(1, 60):
            one.sent(busy, round(rate * 0.1))
            one.grant_turns([busy], step * 0.1)
    one.forget(busy)
    return one


def test_the_kernel_gets_a_moments_worth_of_whole_segments() -> None:
    one = uplink()
    room = one.room(connection(), 9.0)
    assert room is not None
    assert room % SEGMENT_PAYLOAD == 0
    assert RATE * UNSENT_TARGET - SEGMENT_PAYLOAD < room <= RATE * UNSENT_TARGET


def test_queued_bytes_of_every_connection_count() -> None:
    one, other = uplink(), connection(queued=round(RATE * QUEUE_TARGET) - 3 * SEGMENT_PAYLOAD - 1)
    one.sent(other, 1)
    assert one.room(connection(), 9.0) == 3 * SEGMENT_PAYLOAD
    one.sent(connection(queued=3 * SEGMENT_PAYLOAD), 1)
    assert one.room(connection(), 9.0) == 0


def test_bytes_of_closed_connections_do_not_count() -> None:
    one, other = uplink(), Stub(queued=round(RATE * QUEUE_TARGET))
    one.sent(cast("Connection", other), 1)
    assert one.room(connection(), 9.0) == 0
    other.queued = 0
    assert one.room(connection(), 9.0)


def test_a_narrow_path_does_not_block_the_line() -> None:
    """A socket that cannot send its data must not leave the uplink idle."""
    one, first, second = uplink(), Stub(), Stub()
    assert one.may_send(cast("Connection", first), 9.0)
    assert not one.may_send(cast("Connection", second), 9.0)
    # Less than a whole segment below the limit.
    first.held = round(RATE * UNSENT_TARGET) - SEGMENT_PAYLOAD // 2
    assert one.room(cast("Connection", first), 9.0) == 0
    assert one.may_send(cast("Connection", second), 9.0)
    first.held = 0
    assert not one.may_send(cast("Connection", second), 9.0)
    first.stuck = True
    assert one.may_send(cast("Connection", second), 9.0)


def test_a_connection_without_data_leaves_the_line() -> None:
    one, first, second = uplink(), Stub(), Stub()
    assert one.may_send(cast("Connection", first), 9.0)
    assert not one.may_send(cast("Connection", second), 9.0)
    first.upload.has_requests = first.upload.has_granted_requests = False
    first.protocol.pending_bytes = 0
    assert one.may_send(cast("Connection", second), 9.0)
    assert one.line == [cast("Connection", second)]


def test_room_before_the_rate_is_known_and_when_slow() -> None:
    assert uplink(0).room(connection(), 9.0) == MIN_UNSENT_BYTES // SEGMENT_PAYLOAD * SEGMENT_PAYLOAD
    assert uplink(0).poll_interval < POLL_INTERVAL == uplink().poll_interval
    for rate, below in ((0, INITIAL_QUEUE_BYTES), (1_000, MIN_QUEUE_BYTES)):
        one = uplink(rate)
        one.sent(connection(queued=below - SEGMENT_PAYLOAD), 1)
        assert one.room(connection(), 9.0) == SEGMENT_PAYLOAD


def test_a_fast_uplink_holds_nothing_back() -> None:
    assert uplink(2 * UNSHAPED_RATE).room(connection(), 9.0) is None
    one = uplink()
    one.choking = False
    assert one.room(connection(), 9.0) is None


def test_the_first_peer_is_not_promised_everything() -> None:
    one = uplink(5 * RATE)
    peers = [Stub(upload=Upload(turns=50)) for _ in range(10)]
    one.grant_turns([cast("Connection", peer) for peer in peers], 5.95)
    assert sorted(peer.upload.given for peer in peers) == [1] * 10
    alone = Stub(upload=Upload(turns=50))
    one.grant_turns([cast("Connection", alone)], 5.96)
    assert alone.upload.given == 10


# -- the kernel's counters -------------------------------------------------------------------------


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sending = socket.create_connection(listener.getsockname())
        receiving, _ = listener.accept()
        with sending, receiving:
            talk = PeerProtocol(bytes(20), bytes(20), initiator=True)
            yield Connection(sending, Endpoint("127.0.0.1", 6881), talk, None, 0.0), receiving


def test_bytes_that_are_not_received_become_a_stall(ends: tuple[Connection, socket.socket]) -> None:
    one, receiving = ends
    assert one.unacknowledged_bytes(0.0) == 0
    one.transport.sock.setblocking(False)
    sent = 0
    while True:
        # More than both buffers hold.
        try:
            sent += one.transport.sock.send(bytes(1 << 20))
        except BlockingIOError:
            break
    left = one.unacknowledged_bytes(1.0)
    assert 0 < left <= sent
    assert 0 < one.unsent_bytes() <= left
    assert 0 <= one.queued_on_host(left) <= left
    assert not one.is_stalled(1.0 + STALL_TIMEOUT / 2)
    assert one.is_stalled(1.1 + STALL_TIMEOUT)
    # A connection that was not checked for long does not count as stalled meanwhile.
    assert not one.is_stalled(9.0)
    receiving.settimeout(10.0)
    received = 0
    while received < sent:
        received += len(receiving.recv(1 << 20))
    assert not one.is_stalled(9.1)
