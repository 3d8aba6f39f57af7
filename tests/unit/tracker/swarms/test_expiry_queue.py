"""The small parts on their own: deadlines, kept answers, the socket loop's bad days."""

from __future__ import annotations

import math
import random
import socket
import threading
import time
from array import array
from dataclasses import dataclass

from tests.unit.tracker.world import Client, World
from torrentnet.tracker.handlers.response_cache import RequestKey, ResponseCache, request_key
from torrentnet.tracker.refusals import RefusalReason
from torrentnet.tracker.server import TrackerServer, bind
from torrentnet.tracker.swarms.expiry_queue import ExpiryQueue
from torrentnet.tracker.swarms.timer_wheel import TimerWheel
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.packets import AnnounceEvent


@dataclass(eq=False)
class Item:
    seen: float
    gone: bool = False


def test_deadlines_agree_with_looking_at_everybody() -> None:
    chance = random.Random(5)
    items: list[Item] = []
    deadlines: ExpiryQueue[Item] = ExpiryQueue(lambda item: None if item.gone else item.seen + 10)
    now = 0.0
    for _ in range(5_000):
        now += chance.random()
        what = chance.random()
        if what < 0.4 or not items:
            items.append(Item(now))
            deadlines.add(items[-1], now + 10)
        elif what < 0.6:
            item = items.pop(chance.randrange(len(items)))
            item.gone = True
            deadlines.discard()
        else:
            chance.choice(items).seen = now
        late = [item for item in items if item.seen + 10 <= now]
        assert (deadlines.next <= now) or not late
        found = []
        for item in deadlines.late(now):
            item.gone = True
            deadlines.discard()
            items.remove(item)
            found.append(item)
        assert sorted(map(id, found)) == sorted(map(id, late))
        assert len(deadlines) <= 3 * len(items) + 200


def test_watch_agrees_with_looking_at_everybody() -> None:
    """Rows are used again, as the roll does it; deadlines move on without a word, and once in a while come nearer."""
    chance = random.Random(6)
    where, seen, silence = array("I", [0] * 64), [0.0] * 64, [10.0] * 64
    watch = TimerWheel(0.7, where, lambda row: seen[row] + silence[row])
    there: set[int] = set()
    now = 0.0
    for _ in range(20_000):
        now += chance.random() / 2
        row = chance.randrange(64)
        if row not in there:
            there.add(row)
            seen[row], silence[row] = now, chance.choice([3.0, 10.0, 40.0])
            watch.add(row)
        elif chance.random() < 0.2:
            there.remove(row)
            watch.remove(row)
        elif chance.random() < 0.1:
            silence[row] = 3.0
            watch.add(row)
        else:
            seen[row] = now
        late = {one for one in there if seen[one] + silence[one] <= now}
        assert watch.next <= now or not late
        found = list(watch.late(now))
        assert len(found) == len(set(found))
        assert set(found) == late
        there -= late
        assert len(watch) <= 3 * len(there) + 200
        assert (watch.next == math.inf) == (not there)


def test_watch_wakes_nobody_long_before_anything_is_due() -> None:
    where = array("I", [0])
    watch = TimerWheel(0.5, where, lambda _row: 100.0)
    watch.add(0)
    wakes = 0
    now = 0.0
    while watch.next < 100.0:
        now = watch.next
        assert list(watch.late(now)) == []
        wakes += 1
    assert wakes <= 1
    assert watch.next == 100.0
    assert list(watch.late(100.0)) == [0]


def test_nobody_is_late_when_nobody_is_there() -> None:
    deadlines: ExpiryQueue[Item] = ExpiryQueue(lambda item: item.seen)
    assert deadlines.next == math.inf
    assert list(deadlines.late(1e9)) == []


def test_answers_are_bounded_by_number_bytes_and_age() -> None:
    source = ("10.0.0.1", 1)
    answered: ResponseCache[RequestKey, bytes] = ResponseCache(most=6, most_bytes=2_000, lifetime=120)
    keys = [request_key(bytes(8) + bytes([number]), source) for number in range(10)]
    for count, key in enumerate(keys, start=1):
        answered.keep(key, b"a", 1, 0.0)
        assert len(answered) <= 6
        # The last three at least.
        assert [answered.find(one, 1.0) for one in keys[max(0, count - 3) : count]] == [b"a"] * min(3, count)
    assert answered.find(keys[0], 1.0) is None
    assert answered.find(keys[9], 119.0) == b"a"
    assert answered.find(keys[9], 120.0) is None
    for count, key in enumerate(keys[:4]):
        answered.keep(key, bytes(900), 900, 130.0)
        assert len(answered) <= 2 or count == 0
        assert answered.find(key, 131.0) == bytes(900)
    answered.keep(keys[4], b"b", 1, 251.0)
    answered.keep(keys[5], b"b", 1, 372.0)
    assert len(answered) <= 2, "what is too old goes"


def serve(world: World, trouble: list[str]) -> tuple[TrackerServer, socket.socket, threading.Thread]:
    sock = bind("127.0.0.1", 0)
    server = TrackerServer(sock, world.core, time.monotonic, trouble.append)
    thread = threading.Thread(target=server.run)
    thread.start()
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(10)
    client.connect(sock.getsockname())
    return server, client, thread


def test_loop_forgets_on_time_without_any_packet() -> None:
    world = World(now=time.monotonic())
    world.core.registry.timeout = 0.2
    peer = Client(world, "seeder-1", ip="127.0.0.1")
    peer.announce(AnnounceEvent.STARTED)
    server, client, thread = serve(world, [])
    deadline = time.monotonic() + 10
    while not world.told("forgotten") and time.monotonic() < deadline:
        time.sleep(0.01)
    server.stop("test")
    thread.join(10)
    server.close()
    client.close()
    assert len(world.told("forgotten")) == 1


def test_bug_that_one_datagram_meets_does_not_end_the_service() -> None:
    world = World(now=time.monotonic())
    real = world.core.handle

    def handle(data: bytes, source: tuple[str, int], now: float) -> bytes | None:
        if data == b"bug":
            raise RuntimeError("a bug")
        return real(data, source, now)

    world.core.handle = handle  # type: ignore[method-assign]
    trouble: list[str] = []
    server, client, thread = serve(world, trouble)
    client.send(b"bug")
    client.send(packets.pack_connect(1))
    assert len(client.recv(100)) == 16
    server.stop("first")
    server.stop("second")
    thread.join(10)
    assert not thread.is_alive()
    assert server.run() == "first"
    server.close()
    client.close()
    assert trouble == ["a datagram of 3 bytes: RuntimeError: a bug"]
    assert world.core.refusals.counts[RefusalReason.INTERNAL] == 1


def test_answer_that_the_kernel_does_not_take_is_counted() -> None:
    world = World(now=time.monotonic())
    real = world.core.handle

    def handle(data: bytes, source: tuple[str, int], now: float) -> bytes | None:
        return bytes(70_000) if data == b"big" else real(data, source, now)

    world.core.handle = handle  # type: ignore[method-assign]
    server, client, thread = serve(world, [])
    client.send(b"big")
    client.send(packets.pack_connect(1))
    assert len(client.recv(100)) == 16
    assert server.unsent == 1
    server.stop("test")
    thread.join(10)
    server.close()
    client.close()
