"""The packet loop on real sockets.

The tests cover expiry without packets, bugs, and answers that cannot be sent.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.unit.tracker.world import Client, World
from torrentnet.tracker.refusals import RefusalReason
from torrentnet.tracker.server import TrackerServer, bind
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.packets import AnnounceEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Served:
    """A world that is served on a real socket.

    It includes a client's socket, and the reported troubles.
    """

    def __init__(self) -> None:
        self.world = World(now=time.monotonic())
        self.troubles: list[str] = []
        sock = bind("127.0.0.1", 0)
        self.server = TrackerServer(sock, self.world.core, self.troubles.append)
        self.thread = threading.Thread(target=self.server.run)
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.settimeout(60)
        self.client.connect(sock.getsockname())

    def replace(self, packet: bytes, handle: Callable[[], bytes]) -> None:
        """Have the core handle ``packet`` with ``handle``."""
        real = self.world.core.handle

        def replaced(data: bytes, source: tuple[str, int], now: float) -> bytes | None:
            return handle() if data == packet else real(data, source, now)

        self.world.core.handle = replaced  # type: ignore[method-assign]


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.server.stop("test")
    served.thread.join(60)
    assert not served.thread.is_alive()
    served.server.close()
    served.client.close()


def test_loop_expires_peers_without_any_packet(served: Served) -> None:
    served.world.core.registry.timeout = 0.2
    Client(served.world, "seeder-1", ip="127.0.0.1").announce(AnnounceEvent.STARTED)
    served.thread.start()
    deadline = time.monotonic() + 10
    while not served.world.logged("forgotten") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(served.world.logged("forgotten")) == 1


def test_bug_in_one_datagram_does_not_end_the_service(served: Served) -> None:
    def fail() -> bytes:
        raise RuntimeError("a bug")

    served.replace(b"bug", fail)
    served.thread.start()
    served.client.send(b"bug")
    served.client.send(packets.pack_connect(1))
    assert len(served.client.recv(100)) == 16
    served.server.stop("first")
    served.server.stop("second")
    served.thread.join(60)
    assert not served.thread.is_alive()
    assert served.server.run() == "first"
    assert served.troubles == ["a datagram of 3 bytes: RuntimeError: a bug"]
    assert served.world.core.refusals.counts[RefusalReason.INTERNAL] == 1


@pytest.mark.parametrize("batches", [True, False])
def test_answer_leaves_from_the_address_that_was_asked(batches: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not batches:
        monkeypatch.setattr("torrentnet.tracker.server.is_available", lambda: False)
    world = World(now=time.monotonic())
    sock = bind("0.0.0.0", 0)
    server = TrackerServer(sock, world.core, lambda _: None)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        for host in ("127.0.0.1", "127.0.0.2", "127.9.9.9"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(60)
                client.connect((host, sock.getsockname()[1]))  # a connected socket drops what another address sends
                for number in range(40):
                    client.send(packets.pack_connect(number))
                assert {len(client.recv(100)) for _ in range(40)} == {16}
    finally:
        server.stop("test")
        thread.join(60)
        server.close()


def test_answer_that_cannot_be_sent_is_counted(served: Served) -> None:
    served.replace(b"big", lambda: bytes(70_000))
    served.thread.start()
    served.client.send(b"big")
    served.client.send(packets.pack_connect(1))
    assert len(served.client.recv(100)) == 16
    assert served.world.core.unsent == 1
