"""The packet loop on real sockets: expiry without packets, bugs, answers that cannot be sent."""

from __future__ import annotations

import socket
import threading
import time

from tests.unit.tracker.world import Client, World
from torrentnet.tracker.refusals import RefusalReason
from torrentnet.tracker.server import TrackerServer, bind
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.packets import AnnounceEvent


def serve(world: World, trouble: list[str]) -> tuple[TrackerServer, socket.socket, threading.Thread]:
    sock = bind("127.0.0.1", 0)
    server = TrackerServer(sock, world.core, trouble.append)
    thread = threading.Thread(target=server.run)
    thread.start()
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(10)
    client.connect(sock.getsockname())
    return server, client, thread


def test_loop_expires_peers_without_any_packet() -> None:
    world = World(now=time.monotonic())
    world.core.registry.timeout = 0.2
    peer = Client(world, "seeder-1", ip="127.0.0.1")
    peer.announce(AnnounceEvent.STARTED)
    server, client, thread = serve(world, [])
    deadline = time.monotonic() + 10
    while not world.logged("forgotten") and time.monotonic() < deadline:
        time.sleep(0.01)
    server.stop("test")
    thread.join(10)
    server.close()
    client.close()
    assert len(world.logged("forgotten")) == 1


def test_bug_in_one_datagram_does_not_end_the_service() -> None:
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


def test_answer_that_cannot_be_sent_is_counted() -> None:
    world = World(now=time.monotonic())
    real = world.core.handle

    def handle(data: bytes, source: tuple[str, int], now: float) -> bytes | None:
        return bytes(70_000) if data == b"big" else real(data, source, now)

    world.core.handle = handle  # type: ignore[method-assign]
    server, client, thread = serve(world, [])
    client.send(b"big")
    client.send(packets.pack_connect(1))
    assert len(client.recv(100)) == 16
    assert world.core.unsent == 1
    server.stop("test")
    thread.join(10)
    server.close()
    client.close()
