"""Batches of datagrams on real sockets."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

import pytest

from torrentnet.tracker.fastpath.datagram_batch import MAX_BATCH_SIZE, DatagramBatch, is_available
from torrentnet.tracker.server import bind

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not is_available(), reason="this system has no recvmmsg")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with bind("127.0.0.1", 0) as sock:
        yield sock


@pytest.fixture
def client(server: socket.socket) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(60)
        sock.bind(("127.0.0.7", 0))
        sock.connect(server.getsockname())
        yield sock


def receive(server: socket.socket, batch: DatagramBatch) -> int:
    assert select.select([server], [], [], 10)[0]
    return batch.receive()


def test_receive_without_datagrams_returns_zero(server: socket.socket) -> None:
    assert DatagramBatch(server).receive() == 0


def test_datagrams_keep_bytes_and_source(server: socket.socket, client: socket.socket) -> None:
    batch = DatagramBatch(server)
    sent = [bytes([number]) * number * 40 for number in range(1, 31)]
    for data in sent:
        client.send(data)
    count = receive(server, batch)
    assert batch.sizes == [len(data) for data in sent[:count]] == [40 * number for number in range(1, 31)]
    assert [batch.data(index) for index in range(count)] == sent
    assert {batch.source(index) for index in range(count)} == {client.getsockname()}
    assert [batch.options(index) for index in range(count)] == [data[98:] for data in sent]
    assert [fields[0] for fields in batch.fields()] == [0x7F000007] * count


def test_rest_is_received_by_the_next_call(server: socket.socket, client: socket.socket) -> None:
    batch = DatagramBatch(server)
    for number in range(MAX_BATCH_SIZE + 3):
        client.send(bytes([number]))
    assert [receive(server, batch), batch.receive()] == [MAX_BATCH_SIZE, 3]
    assert [batch.data(index) for index in range(3)] == [
        bytes([MAX_BATCH_SIZE]),
        bytes([MAX_BATCH_SIZE + 1]),
        bytes([MAX_BATCH_SIZE + 2]),
    ]


@pytest.mark.parametrize("silent", [(), (0,), (4,), (2, 3), (0, 1, 2, 3, 4)])
def test_answers_go_to_their_sources_and_skipped_get_none(
    server: socket.socket, client: socket.socket, silent: tuple[int, ...]
) -> None:
    batch = DatagramBatch(server)
    for number in range(5):
        client.send(bytes([number]))
    count = receive(server, batch)
    for index in range(count):
        if index in silent:
            batch.skip(index)
        else:
            batch.answer(index, b"answer to " + batch.data(index))
    assert batch.send() == 0
    assert [client.recv(100) for _ in range(5 - len(silent))] == [
        b"answer to " + bytes([number]) for number in range(5) if number not in silent
    ]
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)


def test_unsent_answer_does_not_stop_the_others(server: socket.socket, client: socket.socket) -> None:
    batch = DatagramBatch(server)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        # The kernel sends nothing to port 0, which a raw packet may have as its source.
        client.send(b"1")
        other.sendto(b"2", server.getsockname())
        client.send(b"3")
        assert receive(server, batch) == 3
        batch._in[2048 + 2 : 2048 + 4] = b"\0\0"
        for index in range(3):
            batch.answer(index, bytes([index]))
        assert batch.send() == 1
        assert [client.recv(9), client.recv(9)] == [b"\0", b"\2"]


def test_broken_socket_raises_oserror(server: socket.socket) -> None:
    batch = DatagramBatch(server)
    server.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        batch.receive()
