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


class Caller:
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

    def turn(self, now: float = 0.0, most: float = 5.0) -> None:
        """Run one iteration of the loop."""
        self.dialer.tick(now)
        if self.selector.get_map():
            for key, mask in self.selector.select(most):
                key.data(mask, now)

    def close(self) -> None:
        self.dialer.close()
        for sock, _ in self.opened:
            sock.close()
        self.selector.close()


@pytest.fixture
def caller() -> Iterator[Caller]:
    made = Caller()
    yield made
    made.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def address(sock: socket.socket) -> Endpoint:
    return Endpoint(*sock.getsockname()[:2])


def test_an_open_connection_is_reported(caller: Caller, listener: socket.socket) -> None:
    caller.dialer.dial(address(listener), 0.0)
    assert caller.dialer.due() == CONNECT_TIMEOUT
    caller.turn()
    ((sock, endpoint),) = caller.opened
    assert endpoint == address(listener)
    assert not sock.getblocking()
    assert sock.getsockname()[0] == "127.0.0.1"
    assert caller.dialer.due() is None
    assert not caller.selector.get_map()


def test_an_endpoint_is_dialled_once_at_a_time(caller: Caller, listener: socket.socket) -> None:
    """A second attempt once replaced the first, which then broke the loop."""
    for _ in range(3):
        caller.dialer.dial(address(listener), 0.0)
    assert len(caller.selector.get_map()) == 1
    caller.turn()
    assert len(caller.opened) == 1
    caller.dialer.dial(address(listener), 0.0)
    caller.turn()
    assert len(caller.opened) == 2


def test_a_refused_connection_is_reported(caller: Caller, listener: socket.socket) -> None:
    gone = address(listener)
    listener.close()
    caller.dialer.dial(gone, 0.0)
    caller.turn()
    caller.turn()
    assert caller.failed == [(gone, "connection refused")]
    assert caller.opened == []
    assert not caller.selector.get_map()


def test_an_immediate_error_is_reported_from_the_loop(caller: Caller) -> None:
    """Not from within dial(), whose caller is not ready for the callback."""
    nowhere = Endpoint("127.0.0.1", 0)
    caller.dialer.dial(nowhere, 0.0)
    caller.turn(most=0.0)
    caller.turn(most=0.0)
    assert [endpoint for endpoint, _ in caller.failed] == [nowhere]


def test_an_attempt_times_out(caller: Caller, listener: socket.socket) -> None:
    endpoint = address(listener)
    caller.dialer.dial(endpoint, 0.0)
    caller.dialer.tick(CONNECT_TIMEOUT - 0.1)
    assert caller.failed == []
    caller.dialer.tick(CONNECT_TIMEOUT)
    assert caller.failed == [(endpoint, "no reply to the connection attempt")]
    assert not caller.selector.get_map()
