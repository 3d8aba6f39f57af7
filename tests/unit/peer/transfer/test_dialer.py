"""Connecting to remote peers on loopback."""

from __future__ import annotations

import selectors
import socket
from typing import TYPE_CHECKING

import pytest

from torrentnet.peer.transfer.dialer import CONNECT_TIMEOUT, Dialer
from torrentnet.wire.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator


class Loop:
    """A dialer and its loop."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.opened: list[tuple[socket.socket, Endpoint]] = []
        self.failed: list[tuple[Endpoint, str]] = []
        self.dialer = Dialer(
            self.selector,
            "127.0.0.1",
            lambda sock, endpoint, now: self.opened.append((sock, endpoint)),
            lambda endpoint, reason, now: self.failed.append((endpoint, reason)),
        )

    def run_once(self, timeout: float = 5.0) -> None:
        """Run one iteration of the loop."""
        self.dialer.tick(0.0)
        if self.selector.get_map():
            for key, mask in self.selector.select(timeout):
                key.data(mask, 0.0)

    def close(self) -> None:
        self.dialer.close()
        for sock, _ in self.opened:
            sock.close()
        self.selector.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def address(sock: socket.socket) -> Endpoint:
    return Endpoint(*sock.getsockname()[:2])


def test_an_open_connection_is_reported(loop: Loop, listener: socket.socket) -> None:
    loop.dialer.dial(address(listener), 0.0)
    assert loop.dialer.due() == CONNECT_TIMEOUT
    loop.run_once()
    ((sock, endpoint),) = loop.opened
    assert endpoint == address(listener)
    assert not sock.getblocking()
    assert sock.getsockname()[0] == "127.0.0.1"
    assert loop.dialer.due() is None
    assert not loop.selector.get_map()


def test_an_endpoint_is_dialed_once_at_a_time(loop: Loop, listener: socket.socket) -> None:
    """A second attempt once replaced the first, which then broke the loop."""
    for _ in range(3):
        loop.dialer.dial(address(listener), 0.0)
    assert len(loop.selector.get_map()) == 1
    loop.run_once()
    assert len(loop.opened) == 1
    loop.dialer.dial(address(listener), 0.0)
    loop.run_once()
    assert len(loop.opened) == 2


def test_a_refused_connection_is_reported(loop: Loop, listener: socket.socket) -> None:
    closed = address(listener)
    listener.close()
    loop.dialer.dial(closed, 0.0)
    loop.run_once()
    loop.run_once()
    assert loop.failed == [(closed, "connection refused")]
    assert loop.opened == []
    assert not loop.selector.get_map()


def test_an_immediate_error_is_reported_from_the_loop(loop: Loop) -> None:
    """The caller of dial() is not ready for a callback."""
    nowhere = Endpoint("127.0.0.1", 0)
    loop.dialer.dial(nowhere, 0.0)
    loop.run_once(timeout=0.0)
    loop.run_once(timeout=0.0)
    assert [endpoint for endpoint, _ in loop.failed] == [nowhere]


def test_an_attempt_times_out(loop: Loop, listener: socket.socket) -> None:
    endpoint = address(listener)
    loop.dialer.dial(endpoint, 0.0)
    loop.dialer.tick(CONNECT_TIMEOUT - 0.1)
    assert loop.failed == []
    loop.dialer.tick(CONNECT_TIMEOUT)
    assert loop.failed == [(endpoint, "no reply to the connection attempt")]
    assert not loop.selector.get_map()
