"""How little of what is sent waits in the kernel, and for whom."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from torrentnet.peer.connection import STALLED_AFTER, Connection
from torrentnet.peer.conversation import Conversation
from torrentnet.peer.uplink import BELOW, EACH, FAST, FIRST_BELOW, LEAST_BELOW, SEGMENT, STEP, Uplink
from torrentnet.wire.udp import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 1_000_000


@dataclass
class Upload:
    backlog: int = 0
    turns: int = 0
    given: int = 0

    def promised(self, _: float) -> int:
        return 0

    def wants_turn(self, _: float, most: int) -> bool:
        return self.given < self.turns and self.backlog < most

    def give_turn(self, _: float) -> int:
        self.given += 1
        self.backlog += 100_000
        return 100_000


@dataclass(eq=False)
class Stub:
    """A connection of which only what the kernel has counts."""

    left: int = 0
    stuck: bool = False
    far: float = 0.0
    upload: Upload = field(default_factory=Upload)
    wealth: int = 0
    waits_since: float = 0.0

    def unacknowledged(self, _: float) -> int:
        return self.left

    def stalled(self, _: float) -> bool:
        return self.stuck

    def round_trip(self, _: float) -> float:
        return self.far


def connection(*args: Any, **kwargs: Any) -> Connection:
    return cast("Connection", Stub(*args, **kwargs))


def uplink(rate: float = RATE) -> Uplink:
    """One that is known to send so many bytes a second."""
    one = Uplink(random.Random(1), 0.0)
    one.in_turns = True
    busy = connection(upload=Upload(backlog=1))
    if rate:
        for step in range(1, 60):
            one.sent(busy, round(rate * 0.1))
            one.give_turns([busy], step * 0.1)
    one.forget(busy)
    return one


def test_a_moments_worth_is_handed_down_in_whole_segments() -> None:
    one, peer = uplink(), connection()
    room = one.room(peer, 9.0)
    assert room is not None
    assert room % SEGMENT == 0
    assert RATE * BELOW * EACH - SEGMENT < room <= RATE * BELOW * EACH


def test_what_is_there_already_counts_whosever_it_is() -> None:
    one, peer, other = uplink(), connection(), connection(left=round(RATE * BELOW * 0.75))
    one.sent(other, 1)
    room = one.room(peer, 9.0)
    assert room is not None
    assert RATE * BELOW * 0.25 - SEGMENT < room <= RATE * BELOW * 0.25
    assert one.room(other, 9.0) == 0


def test_one_that_is_slow_leaves_something_to_the_next() -> None:
    one, slow, peer = uplink(), connection(left=round(RATE * BELOW * EACH)), connection()
    one.sent(slow, 1)
    assert one.room(slow, 9.0) == 0
    room = one.room(peer, 9.0)
    assert room is not None
    assert room > 0


def test_what_a_peer_is_stuck_with_keeps_the_uplink_from_nobody() -> None:
    one, stuck = uplink(), connection(left=10_000_000, stuck=True)
    one.sent(stuck, 1)
    assert one.room(connection(), 9.0)


def test_a_long_way_holds_more() -> None:
    one, far = uplink(), connection(left=SEGMENT, far=0.2)
    one.sent(far, 1)
    room = one.room(connection(), 9.0)
    assert room is not None
    assert room > RATE * BELOW * 2


def test_before_the_rate_is_known_and_on_a_slow_uplink() -> None:
    assert uplink(0).room(connection(), 9.0) == int(FIRST_BELOW * EACH) // SEGMENT * SEGMENT
    assert uplink(0).step < STEP == uplink().step
    assert uplink(1_000).room(connection(), 9.0) == int(LEAST_BELOW * EACH) // SEGMENT * SEGMENT


def test_a_fast_uplink_and_one_without_turns_hold_nothing_back() -> None:
    assert uplink(2 * FAST).room(connection(), 9.0) is None
    one = uplink()
    one.in_turns = False
    assert one.room(connection(), 9.0) is None


def test_whoever_comes_first_is_not_promised_what_is_enough_for_all() -> None:
    one = uplink(5 * RATE)
    peers = [Stub(upload=Upload(turns=50)) for _ in range(10)]
    one.give_turns([cast("Connection", peer) for peer in peers], 5.95)
    assert sorted(peer.upload.given for peer in peers) == [1] * 10
    alone = Stub(upload=Upload(turns=50))
    one.give_turns([cast("Connection", alone)], 5.96)
    assert alone.upload.given == 10


# What the kernel tells


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sending = socket.create_connection(listener.getsockname())
        receiving, _ = listener.accept()
        with sending, receiving:
            talk = Conversation(bytes(20), bytes(20), initiator=True)
            yield Connection(sending, Endpoint("127.0.0.1", 6881), talk, None, 0.0), receiving


def test_bytes_that_nobody_takes_are_unacknowledged_and_then_a_stall(ends: tuple[Connection, socket.socket]) -> None:
    one, receiving = ends
    assert one.unacknowledged(0.0) == 0
    one.link.sock.setblocking(False)
    sent = 0
    while True:
        # More than both buffers take.
        try:
            sent += one.link.sock.send(bytes(1 << 20))
        except BlockingIOError:
            break
    left = one.unacknowledged(1.0)
    assert 0 < left <= sent
    assert not one.stalled(1.0 + STALLED_AFTER / 2)
    assert one.stalled(1.1 + STALLED_AFTER)
    # Looked at anew after a long time it is not taken for one that has stood still meanwhile.
    assert not one.stalled(9.0)
    receiving.settimeout(10.0)
    received = 0
    while received < sent:
        received += len(receiving.recv(1 << 20))
    assert not one.stalled(9.1)


def test_the_round_trip_is_the_kernels(ends: tuple[Connection, socket.socket]) -> None:
    assert 0.0 < ends[0].round_trip(0.0) < 1.0
